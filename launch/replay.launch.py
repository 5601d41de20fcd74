"""
Play a bag through the node perception, and record what it says where `record` is given.

`ros2 launch xmodelkd_ros replay.launch.py bag:=<bag>` finds the cameras of the bag and ends with
the bag, or as soon as one of its processes ends.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare
from xmodelkd_ros.bags.reader import BagReader
from xmodelkd_ros.bags.topics import find_topics
from xmodelkd_ros.errors import BagError

ARGUMENTS = {
    'cameras': ('', 'names of the cameras, as front,left; empty for all of the bag'),
    'points': ('', 'topic of the cloud; empty for that of the bag'),
    'rate': ('1.0', 'recorded seconds per second'),
    'start_offset': ('0.0', 'where to start, s'),
    'loop': ('false', 'start again at the end'),
    'lossless': ('false', 'wait for the labels of each cloud before the next one is played'),
    'record': ('', 'bag to record the results to'),
    'topics': ('', 'what to record, as /diagnostics,/tf; empty for all results'),
    'report': ('', 'JSON file for the times from clouds to their labels'),
    'use_sim_time': ('true', 'take the time from the bag'),
}
"""Defaults and meanings; those of perception.launch.py can be given too, and go first."""

LABELS = '/perception/output/points'
RESULTS = (LABELS, '/perception/output/instances', '/perception/output/label_info')
RESULTS_OF_CAMERA = ('instance_mask', 'detections', 'overlay', 'label_info')


def generate_launch_description():
    """Return the arguments and what they start."""
    return LaunchDescription([
        DeclareLaunchArgument('bag', description='bag folder, or .mcap or .db3 file'),
        *(DeclareLaunchArgument(name, default_value=default, description=meaning)
          for name, (default, meaning) in ARGUMENTS.items()),
        RegisterEventHandler(OnProcessExit(on_exit=[EmitEvent(
            event=Shutdown(reason='the bag has ended, or a process has'))])),
        OpaqueFunction(function=start),
    ])


def start(context):
    """Return perception, recorder and player for the cameras of the bag."""
    values = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    with BagReader(LaunchConfiguration('bag').perform(context)) as bag:
        sensors = find_topics(bag, values['points'])
    topics = sensors.cameras
    cameras = items(values['cameras']) or list(topics)
    found = {name: topics[name] for name in cameras if name in topics}
    if len(found) < len(cameras) and not LaunchConfiguration('image', default='').perform(context):
        raise BagError('the bag has the cameras ' + (', '.join(topics) or 'none')
                       + f', not all of {", ".join(cameras)}; image:= names topics')
    if values['record'] and Path(values['record']).exists():
        raise BagError(f'{values["record"]} exists already: choose another name or remove it')
    connections = {name: value for name, value in connections_of(found).items()
                   if not LaunchConfiguration(name, default='').perform(context)}
    recorded = items(values['topics']) or [
        *results_of(cameras), '/diagnostics', '/tf', '/tf_static']
    perception = PathJoinSubstitution(
        [FindPackageShare('xmodelkd_ros'), 'launch', 'perception.launch.py'])
    return [
        IncludeLaunchDescription(PythonLaunchDescriptionSource(perception), launch_arguments={
            'cameras': ','.join(cameras),
            'points': sensors.points,
            'use_sim_time': values['use_sim_time'],
            **connections,
        }.items()),
        *(record(values['record'], recorded) if values['record'] else ()),
        play(values, sensors.points, [
            sensors.points, *(camera.image for camera in found.values() if 'image' in connections),
            *(name for name in results_of(cameras) if values['record'] and name in recorded),
        ]),
    ]


def connections_of(cameras):
    """Return the arguments of perception.launch.py for the topics of each camera."""
    values = {'image': {}, 'camera_info': {}, 'transport': {}, 'rectified': {}}
    for name, camera in cameras.items():
        image = camera.image.removesuffix('/compressed')
        values['image'][name] = image
        values['camera_info'][name] = camera.info
        values['transport'][name] = 'raw' if image == camera.image else 'compressed'
        if camera.rectified:
            values['rectified'][name] = 'true'
    return {argument: ','.join(f'{name}={value}' for name, value in own.items())
            for argument, own in values.items() if own}


def results_of(cameras):
    """Return the topics of the results."""
    return [*RESULTS, *(f'/perception/output/{camera}/{name}'
                        for camera in cameras for name in RESULTS_OF_CAMERA)]


def play(values, reference, awaited):
    """Return the player, which waits until perception and the recorder are listening."""
    return Node(
        package='xmodelkd_ros', executable='bag_player', name='bag_player', output='screen',
        parameters=[{
            'bag': ParameterValue(LaunchConfiguration('bag'), value_type=str),
            'rate': ParameterValue(LaunchConfiguration('rate'), value_type=float),
            'start_offset': ParameterValue(LaunchConfiguration('start_offset'), value_type=float),
            'loop': ParameterValue(LaunchConfiguration('loop'), value_type=bool),
            'reference': reference,
            'wait_for': LABELS if values['report'] or values['lossless'] == 'true' else '',
            'in_flight': 1 if values['lossless'] == 'true' else 0,
            'report': values['report'],
            'wait_for_subscribers': awaited,
        }])


def record(path, topics):
    """Return the recorder."""
    return [Node(
        package='xmodelkd_ros', executable='bag_recorder', name='bag_recorder', output='screen',
        parameters=[{'bag': path, 'topics': topics}])]


def items(argument):
    """Return the items of an argument, given as `a,b` or `[a, b]`."""
    return [item for part in argument.strip('[] ').split(',') if (item := part.strip())]
