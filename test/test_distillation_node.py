"""The node distillation over real DDS: progress, cancel, resume, refusals; tiny models."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from live_perception import DOMAIN, LATCHED, wait_for
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from small_distillation import settings, write_drive, write_teacher
from std_srvs.srv import Trigger
from test_docs import _flat, ROOT
from xmodelkd_ros.config import default_of, leaves
from xmodelkd_ros.nodes.distillation_config import DistillationConfig
from xmodelkd_ros.nodes.node_main import run_node
import yaml

pytestmark = [pytest.mark.ros, pytest.mark.timeout(200)]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('node')
    write_drive(folder / 'drive')
    return folder


@pytest.fixture(scope='module')
def teacher(folder):
    return write_teacher(folder / 'teacher.safetensors')


class LiveDistillation:
    """Starts the node in its own process and keeps what it says."""

    def __init__(self, folder, values):
        os.environ['ROS_DOMAIN_ID'] = DOMAIN
        self.log = folder / 'node.log'
        parameters = folder / 'parameters.yaml'
        parameters.write_text(yaml.safe_dump({'/**': {'ros__parameters': values}}))
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node('test', context=self.context)
        self.told, self.diagnosed = [], []
        self.node.create_subscription(
            DiagnosticStatus, '/distillation/progress', self.told.append, LATCHED)
        self.node.create_subscription(
            DiagnosticArray, '/diagnostics', self.diagnosed.append, 10)
        self.cancel = self.node.create_client(Trigger, '/distillation/cancel')
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()
        with self.log.open('w') as log:
            self.process = subprocess.Popen(
                [sys.executable, '-m', 'xmodelkd_ros.nodes.distillation', '--ros-args',
                 '--params-file', str(parameters)], stdout=log, stderr=subprocess.STDOUT)

    def stages(self):
        return [values(status)['stage'] for status in self.told]

    def end(self):
        """Return the exit code and what was said."""
        try:
            return self.process.wait(180), self.log.read_text()
        finally:
            self.process.kill()
            self._executor.shutdown()
            self._thread.join(10)
            self.context.shutdown()


def values(status):
    return {pair.key: pair.value for pair in status.values}


@pytest.mark.timeout(400)
def test_a_cancelled_distillation_is_gone_on_with_to_the_end(folder, teacher):
    given = settings(folder, teacher)
    given['student'] = {**given['student'], 'steps': 40}
    live = LiveDistillation(folder, given)
    wait_for(lambda: 'train' in live.stages(), 180)
    answer = live.cancel.call(Trigger.Request())
    assert answer.success and str(folder / 'out') in answer.message
    code, said = live.end()
    assert code == 0 and 'cancelled in train' in said, said
    assert not (folder / 'out' / 'student.safetensors').exists()

    live = LiveDistillation(folder, given)
    code, said = live.end()
    assert code == 0 and 'Agreement with the teacher' in said, said
    assert (folder / 'out' / 'student.safetensors').is_file()
    assert 'extract' not in live.stages()
    last = live.told[-1]
    assert last.level == DiagnosticStatus.OK and values(last)['stage'] == 'done'
    assert values(last)['out'] == str(folder / 'out') and float(values(last)['share']) == 1
    named = [status.name for array in live.diagnosed for status in array.status]
    assert named and set(named) == {'distillation'}


def test_what_is_wrong_with_a_bag_is_one_fatal_line(folder, teacher):
    write_drive(folder / 'blind', images=False)
    live = LiveDistillation(folder, settings(
        folder, teacher, bags=[str(folder / 'blind')], out=str(folder / 'blinded')))
    code, said = live.end()
    fatal = [line for line in said.splitlines() if '[FATAL]' in line]
    assert code == 2 and len(fatal) == 1 and 'blind has no images' in fatal[0], said
    assert 'Traceback' not in said


def test_an_unknown_parameter_is_one_fatal_line(folder, teacher):
    live = LiveDistillation(folder, {**settings(folder, teacher), 'techer': 'x'})
    code, said = live.end()
    assert code == 2 and "techer = 'x' is not allowed: unknown key" in said, said


def test_arguments_of_the_launch_file_reach_the_node(monkeypatch):
    pytest.importorskip('launch')
    from launch import LaunchContext

    path = ROOT / 'launch' / 'distillation.launch.py'
    spec = importlib.util.spec_from_file_location('distillation_launch', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, 'LifecycleNode', lambda **arguments: arguments)
    context = LaunchContext()
    given = {'bags': 'a,b', 'teacher': '1', 'adaptation': '0.25', 'lidar': 'vlp32c'}
    names = (*module.LISTS, *module.TEXTS, *module.NUMBERS, 'params_file')
    context.launch_configurations.update({**dict.fromkeys(names, ''), **given})
    (node,) = module.start_distillation(context)
    found = {
        name: value.evaluate(context) if hasattr(value, 'evaluate') else value
        for name, value in node['parameters'][1].items()}
    assert found == {
        'bags': ['a', 'b'], 'teacher': '1', 'adaptation': 0.25, 'student.lidar': 'vlp32c'}


def test_the_file_of_parameters_holds_the_defaults():
    content = yaml.safe_load((ROOT / 'config' / 'distillation.yaml').read_text())
    ((_, node),) = content.items()
    defaults = {key: default_of(field) for key, field in leaves(DistillationConfig)}
    shown = _flat(node['ros__parameters'])
    wrong = {k: (v, defaults.get(k)) for k, v in shown.items() if v != defaults.get(k)}
    assert not wrong and len(shown) > 30


def test_what_is_not_installed_is_named():
    code = (
        'import sys; sys.modules["pytorch_lightning"] = None;'
        'from xmodelkd_ros.distillation.pipeline_config import PipelineConfig;'
        'from xmodelkd_ros.nodes.distillation import make_pipeline;'
        'make_pipeline(PipelineConfig())')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert 'MissingDependencyError: pytorch_lightning is needed' in done.stderr
    assert 'pip install pytorch_lightning' in done.stderr


def test_what_nobody_expected_to_be_missing_is_one_fatal_line(capfd):
    def make_node():
        import no_such_package  # noqa: F401

    assert run_node(make_node, []) == 2
    said = capfd.readouterr().err
    assert "No module named 'no_such_package'; the files in requirements/" in said
    assert said.count('[FATAL]') == 1 and 'Traceback' not in said
