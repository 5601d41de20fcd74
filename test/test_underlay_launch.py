"""Launch files run through the command ros2 launch, with real processes."""

from __future__ import annotations

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import textwrap
import time

import pytest

pytest.importorskip('launch')

pytestmark = pytest.mark.ros

HEADER = """
from launch import LaunchDescription
from launch.actions import *
from launch.conditions import IfCondition, UnlessCondition
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import *
from launch_ros.actions import Node, PushRosNamespace, SetParameter, SetRemap
from launch_ros.descriptions import ParameterFile, ParameterValue
from launch_ros.substitutions import FindPackageShare

def generate_launch_description():
    return LaunchDescription([
"""
NODE = f"""#!{sys.executable}
import json
import rclpy
from rclpy.executors import ExternalShutdownException
from std_msgs.msg import String
rclpy.init()
node = rclpy.create_node('unnamed', automatically_declare_parameters_from_overrides=True)
topic = node.create_publisher(String, 'chatter', 1).topic_name
values = {{name: node.get_parameter(name).value for name in node._parameters}}
scalar = (str, int, float, bool)
values = {{k: v if isinstance(v, scalar) else list(v) for k, v in values.items()}}
name = node.get_fully_qualified_name()
print(json.dumps({{'name': name, 'topic': topic, 'parameters': values}}))
try:
    print('ready', flush=True)
    rclpy.spin(node)
except (KeyboardInterrupt, ExternalShutdownException):
    print('stopped in order', flush=True)
"""


@pytest.fixture
def package(tmp_path):
    """Return a function that writes launch files into a package with one node."""
    prefix = tmp_path / 'prefix'
    index = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages'
    for folder in (index, prefix / 'share' / 'sample', prefix / 'lib' / 'sample'):
        folder.mkdir(parents=True)
    (index / 'sample').touch()
    node = prefix / 'lib' / 'sample' / 'reporter'
    node.write_text(NODE)
    node.chmod(0o755)

    def write(name: str, entities: str) -> Path:
        path = prefix / 'share' / 'sample' / name
        path.write_text(HEADER + textwrap.indent(textwrap.dedent(entities), ' ' * 8) + '    ])\n')
        return path

    write.prefix = prefix
    return write


def environment(prefix: Path, **added: str) -> dict[str, str]:
    """Environment in which the package is found, on a ROS domain of this test process."""
    path = f'{prefix}{os.pathsep}{os.environ["AMENT_PREFIX_PATH"]}'
    domain = str(160 + os.getpid() % 60)
    return os.environ | {'AMENT_PREFIX_PATH': path, 'ROS_DOMAIN_ID': domain, **added}


def launch(package, *arguments: str, timeout: float = 30, **added: str):
    """Run ros2 launch to its end."""
    return subprocess.run(
        ['ros2', 'launch', *arguments],
        env=environment(package.prefix, **added),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def start(package, *arguments: str) -> subprocess.Popen:
    """Start ros2 launch."""
    return subprocess.Popen(
        ['ros2', 'launch', *arguments],
        env=environment(package.prefix),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read_until(process: subprocess.Popen, text: str) -> str:
    """Read lines up to the first that holds the text."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return ''.join(lines)
    raise AssertionError(f'{text!r} never came: {"".join(lines)}')


def report(output: str) -> dict:
    """Return what the node said of itself."""
    return json.loads(
        next(line for line in output.splitlines() if '{"name"' in line).split(' ', 1)[1]
    )


def test_parameters_names_and_remappings_reach_the_node(package, tmp_path):
    (tmp_path / 'file.yaml').write_text(
        '/**:\n  ros__parameters:\n    from_file: 7\n    rate: 1.0\n'
        'other_node:\n  ros__parameters:\n    not_mine: 1\n'
    )
    package(
        'all.launch.py',
        f"""
        DeclareLaunchArgument('rate', default_value='10.5'),
        DeclareLaunchArgument('cameras', default_value="['front', 'left']"),
        DeclareLaunchArgument('digits', default_value='012'),
        SetParameter('everywhere', True),
        GroupAction([
            PushRosNamespace('vehicle'),
            PushRosNamespace('roof'),
            SetRemap('chatter', '~/said'),
            Node(
                package='sample', executable='reporter', name='speaker', namespace='inner',
                output='screen',
                parameters=[
                    ParameterFile('{tmp_path / 'file.yaml'}'),
                    {{
                        'rate': LaunchConfiguration('rate'),
                        'cameras': LaunchConfiguration('cameras'),
                        'digits': ParameterValue(LaunchConfiguration('digits'), value_type=str),
                        'joined': ['hz ', LaunchConfiguration('digits'), ' x'],
                        'flag': True, 'text': '5', 'mixed': [1, 2.5],
                        'nested': {{'deep': {{'value': 3}}}},
                    }},
                ],
            ),
        ]),
        Node(package='sample', executable='reporter', output='both'),
    """,
    )
    process = start(package, 'sample', 'all.launch.py', 'rate:=20')
    output = read_until(process, 'ready') + read_until(process, 'ready')
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    reports = [
        json.loads(line.split(' ', 1)[1]) for line in output.splitlines() if '{"name"' in line
    ]
    named = next(r for r in reports if r['name'] == '/vehicle/roof/inner/speaker')
    assert named['topic'] == '/vehicle/roof/inner/speaker/said'
    values = named['parameters']
    values = {
        k: v
        for k, v in values.items()
        if k not in ('use_sim_time', 'start_type_description_service')
    }
    assert values == {
        'everywhere': True,
        'from_file': 7,
        'rate': 20,
        'cameras': ['front', 'left'],
        'digits': '012',
        'joined': 'hz 012 x',
        'flag': True,
        'text': '5',
        'mixed': [1.0, 2.5],
        'nested.deep.value': 3,
    }
    other = next(r for r in reports if r is not named)
    assert (other['name'], other['topic']) == ('/unnamed', '/chatter')
    assert other['parameters']['everywhere'] is True


def test_sigint_stops_the_node_in_order(package):
    package('one.launch.py', "Node(package='sample', executable='reporter', output='screen'),")
    process = start(package, 'sample', 'one.launch.py')
    before = read_until(process, 'ready')
    process.send_signal(signal.SIGINT)
    after, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert '[INFO] [reporter-1]: process started with pid [' in before
    assert '[WARNING] [launch]: user interrupted with ctrl-c (SIGINT)' in after
    assert "[INFO] [reporter-1]: sending signal 'SIGINT' to process[reporter-1]" in after
    assert '[reporter-1] stopped in order' in after
    assert '[INFO] [reporter-1]: process has finished cleanly [pid ' in after


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_stubborn_process_is_terminated_then_killed(package, number):
    stubborn = (
        'import signal, time; '
        'signal.signal(signal.SIGINT, signal.SIG_IGN); '
        'signal.signal(signal.SIGTERM, signal.SIG_IGN); '
        "print('deaf', flush=True); time.sleep(60)"
    )
    package(
        'deaf.launch.py',
        f"""
        ExecuteProcess(cmd=[{sys.executable!r}, '-S', '-c', {stubborn!r}], name='deaf',
                       output='screen', sigterm_timeout='0.2', sigkill_timeout='0.3'),
    """,
    )
    process = start(package, 'sample', 'deaf.launch.py')
    read_until(process, '[deaf-1] deaf')
    sent = time.monotonic()
    process.send_signal(number)
    after, _ = process.communicate(timeout=20)
    assert 0.45 < time.monotonic() - sent < 10
    escalation = (
        "process[deaf-1] failed to terminate '{}' seconds after receiving '{}', escalating to '{}'"
    )
    assert escalation.format('0.2', 'SIGINT', 'SIGTERM') in after
    assert escalation.format('0.5', 'SIGTERM', 'SIGKILL') in after
    assert 'exit code -9' in after


def test_exit_codes_and_what_follows_an_exit(package):
    package(
        'exit.launch.py',
        """
        ExecuteProcess(cmd=['sh', '-c', 'echo out; echo err >&2; exit 3'], name='fails',
                       on_exit=[LogInfo(msg='it ended'), Shutdown(reason='because')]),
        ExecuteProcess(cmd=['sleep', '60'], name='sleeper'),
    """,
    )
    done = launch(package, 'sample', 'exit.launch.py')
    assert done.returncode == 0
    assert '[ERROR] [fails-1]: process has died [pid ' in done.stdout
    assert "exit code 3, cmd 'sh -c echo out; echo err >&2; exit 3']." in done.stdout
    assert '[fails-1] err' in done.stdout
    assert '[fails-1] out' not in done.stdout, "output='log' shows stderr alone"
    assert '[INFO] [launch.user]: it ended' in done.stdout
    assert "sending signal 'SIGINT' to process[sleeper-2]" in done.stdout


def test_a_missing_argument_is_named_and_nothing_starts(package):
    package(
        'need.launch.py',
        """
        ExecuteProcess(cmd=['echo', 'started'], output='screen'),
        DeclareLaunchArgument('bags', description='recordings'),
    """,
    )
    done = launch(package, 'sample', 'need.launch.py', 'other:=1')
    assert done.returncode == 1
    assert (
        '[ERROR] [launch]: Caught exception in launch (see debug for traceback): Included launch '
        "description missing required argument 'bags' (description: 'recordings'), given: [other]"
    ) in done.stdout
    assert 'started' not in done.stdout
    assert 'Traceback' not in done.stdout + done.stderr


def test_a_wrong_choice_or_malformed_argument_is_refused(package):
    package(
        'choice.launch.py',
        "DeclareLaunchArgument('device', default_value='cpu', choices=['cpu', 'cuda']),",
    )
    done = launch(package, 'sample', 'choice.launch.py', 'device:=tpu')
    assert done.returncode == 1
    assert (
        'Argument "device" provided value "tpu" is not valid. '
        "Valid options are: ['cpu', 'cuda']"
    ) in done.stdout
    done = launch(package, 'sample', 'choice.launch.py', 'device=cpu')
    assert done.returncode == 1
    assert (
        "malformed launch argument 'device=cpu', expected format '<name>:=<value>'" in done.stderr
    )


def test_show_args(package):
    package(
        'inner.launch.py',
        """
        DeclareLaunchArgument('gain', default_value='2', description='Set by the outer file'),
        DeclareLaunchArgument('depth', default_value=[LaunchConfiguration('gain'), 'm']),
    """,
    )
    path = package(
        'outer.launch.py',
        """
        DeclareLaunchArgument('rate', default_value='10', description='Rate in Hz'),
        DeclareLaunchArgument('mode', default_value='a', description='How', choices=['a', 'b']),
        DeclareLaunchArgument('needed'),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource([FindPackageShare('sample'), '/inner.launch.py']),
            launch_arguments={'gain': '5'}.items()),
        GroupAction([DeclareLaunchArgument('seldom', default_value=EnvironmentVariable('HOME'))],
                    condition=IfCondition(LaunchConfiguration('mode'))),
    """,
    )
    expected = textwrap.dedent("""\
        Arguments (pass arguments as '<name>:=<value>'):

            'rate':
                Rate in Hz
                (default: '10')

            'mode':
                How. Valid choices are: ['a', 'b']
                (default: 'a')

            'needed':
                no description given

            'depth':
                no description given
                (default: LaunchConfig('gain') + 'm')

            'seldom':*
                no description given
                (default: EnvVar('HOME'))

        * argument(s) which are only used if specific conditions occur
        """)
    for arguments in (('sample', 'outer.launch.py', '--show-args'), ('-s', str(path))):
        done = launch(package, *arguments)
        assert (done.returncode, done.stdout) == (0, expected), done.stderr


def test_includes_conditions_and_scopes(package):
    package(
        'inner.launch.py',
        """
        DeclareLaunchArgument('word'),
        LogInfo(msg=['inner ', LaunchConfiguration('word'), ' in ', ThisLaunchFileDir()]),
        SetLaunchConfiguration('leaked', 'yes'),
    """,
    )
    path = package(
        'outer.launch.py',
        """
        DeclareLaunchArgument('on', default_value='true'),
        SetEnvironmentVariable('TEST_SCOPE', 'outer'),
        IncludeLaunchDescription(
            PathJoinSubstitution([FindPackageShare('sample'), 'inner.launch.py']),
            launch_arguments=[('word', ['o', LaunchConfiguration('on')])]),
        LogInfo(msg=['file ', ThisLaunchFile(), ' leaked ', LaunchConfiguration('leaked')]),
        GroupAction([
            SetEnvironmentVariable('TEST_SCOPE', 'group'),
            SetLaunchConfiguration('scoped', 'group'),
            ExecuteProcess(cmd=['sh', '-c', 'echo scope $TEST_SCOPE $EXTRA'], name='group',
                           output='screen', additional_env={'EXTRA': 'more'}),
        ], launch_configurations={'scoped': 'start'}),
        ExecuteProcess(cmd=['sh', '-c', 'echo scope $TEST_SCOPE'], name='after', output='screen'),
        LogInfo(msg=['scoped is ', LaunchConfiguration('scoped', default='gone')]),
        LogInfo(msg='if holds', condition=IfCondition(LaunchConfiguration('on'))),
        LogInfo(msg='unless holds', condition=UnlessCondition(LaunchConfiguration('on'))),
        LogInfo(msg=PythonExpression([
            "'", LaunchConfiguration('on'), "' == 'true' and floor(2.5) == 2"])),
    """,
    )
    done = launch(package, str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    folder = path.parent
    for text in (
        f'inner otrue in {folder}',
        f'file {path} leaked yes',
        '[group-1] scope group more',
        '[after-2] scope outer',
        'scoped is gone',
        'if holds',
        '[launch.user]: True',
    ):
        assert text in done.stdout, text
    assert 'unless holds' not in done.stdout
    done = launch(package, str(path), 'on:=maybe')
    assert done.returncode == 1
    assert 'invalid condition expression' in done.stdout


def test_respawn_timers_and_event_handlers(package):
    package(
        'events.launch.py',
        """
        ExecuteProcess(cmd=['false'], name='again', respawn=True, respawn_delay=0.05,
                       respawn_max_retries=2),
        (first := ExecuteProcess(cmd=['true'], name='first')),
        RegisterEventHandler(OnProcessExit(
            target_action=first,
            on_exit=lambda event, context: LogInfo(msg=f'first ended with {event.returncode}'))),
        RegisterEventHandler(OnProcessStart(
            target_action=first, on_start=[LogInfo(msg='first started')])),
        TimerAction(period=0.2, actions=[LogInfo(msg='later')]),
        TimerAction(period=60.0, actions=[LogInfo(msg='too late')]),
        TimerAction(period='1.5', actions=[Shutdown()]),
        OpaqueFunction(
            function=lambda context, word: [LogInfo(msg=f'opaque {word}')], args=['call']),
    """,
    )
    began = time.monotonic()
    done = launch(package, 'sample', 'events.launch.py')
    assert time.monotonic() - began < 20
    assert done.returncode == 0
    assert done.stdout.count('[ERROR] [again-1]: process has died') == 3
    for text in ('first started', 'first ended with 0', ']: later', 'opaque call'):
        assert text in done.stdout, text
    assert 'too late' not in done.stdout


def test_errors_in_launch_files_are_one_line(package):
    package('unset.launch.py', "LogInfo(msg=LaunchConfiguration('unset')),")
    done = launch(package, 'sample', 'unset.launch.py')
    assert done.returncode == 1
    assert "launch configuration 'unset' does not exist" in done.stdout
    package('exec.launch.py', "Node(package='sample', executable='nothing'),")
    done = launch(package, 'sample', 'exec.launch.py')
    assert done.returncode == 1
    assert "executable 'nothing' not found on the libexec directory" in done.stdout
    done = launch(package, 'sample', 'nowhere.launch.py')
    assert done.returncode == 1
    assert (
        "file 'nowhere.launch.py' was not found in the share directory of package" in done.stderr
    )
    done = launch(package, 'unknown_package', 'a.launch.py')
    assert done.returncode == 1
    assert "Package 'unknown_package' not found" in done.stderr


def test_an_emulated_terminal_and_all_output(package):
    package(
        'tty.launch.py',
        """
        ExecuteProcess(
            cmd=['sh', '-c', 'test -t 1 && echo a terminal'], name='t', emulate_tty=True),
    """,
    )
    done = launch(package, '-a', 'sample', 'tty.launch.py')
    assert '[t-1] a terminal\n' in done.stdout, done.stdout


def test_what_is_not_there_raises_by_name():
    missing = pytest.importorskip('launch.missing', reason='the real launch is installed')
    import launch.substitutions
    import launch_ros.actions

    assert missing
    with pytest.raises(NotImplementedError, match=r'launch\.substitutions\.Command'):
        _ = launch.substitutions.Command
    with pytest.raises(NotImplementedError, match='ComposableNodeContainer'):
        from launch_ros.actions import ComposableNodeContainer  # noqa: F401
    with pytest.raises(AttributeError):
        _ = launch_ros.actions.NoSuchAction
