"""
Start the node perception.

`ros2 launch xmodelkd_ros perception.launch.py cameras:=front` listens to /points, /front/image,
/front/camera_info and TF; without cameras it labels points alone. This file imports nothing of the
package, which would set how many threads BLAS has in all that a vehicle launches beside it.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import (
    EnvironmentVariable,
    LaunchConfiguration,
    PathJoinSubstitution,
    TextSubstitution,
)
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare
import yaml

CONFIG = PathJoinSubstitution([FindPackageShare('xmodelkd_ros'), 'config'])

ARGUMENTS = {
    'cameras': ('', 'names of the cameras, as front,left; empty for those of the file'),
    'params_file': (PathJoinSubstitution([CONFIG, 'perception.yaml']), 'parameters'),
    'points': ('/points', 'topic of the cloud'),
    'image': ('/{camera}/image', 'topic of the images, for all or as front=/a,left=/b'),
    'camera_info': ('/{camera}/camera_info', 'topic of the calibrations'),
    'transport': ('', 'raw, or compressed for <image>/compressed'),
    'rectified': ('', 'true, or the cameras whose images are rectified, as front,left'),
    'device': ('', 'cpu, cuda or auto'),
    'precision': ('', 'auto, or float for no 8-bit integers on a CPU'),
    'fixed_frame': ('', 'frame that does not move, as odom'),
    'calibration_file': ('', 'transforms for where TF has none'),
    'point_model': ('', 'checkpoint of the point segmenter'),
    'video_model': ('', 'checkpoint of the video segmenter'),
    'use_sim_time': ('false', 'take the time from /clock'),
    'rviz': ('false', 'show the results in RViz'),
}
"""
Defaults and meanings; what is left empty is as the file of parameters says.

`image`, `camera_info`, `transport` and `rectified` are for all cameras, or each camera's own, as
transport:=front=raw,left=compressed.
"""

OF_CAMERAS = ('image', 'camera_info', 'transport', 'rectified')
GIVEN = (
    'device', 'precision', 'fixed_frame', 'calibration_file', 'point_model', 'video_model')
FASTDDS = 'FASTDDS_DEFAULT_PROFILES_FILE'
FASTRTPS = 'FASTRTPS_DEFAULT_PROFILES_FILE'


def generate_launch_description():
    """Return the arguments, the environment, the node and RViz."""
    profile = PathJoinSubstitution([CONFIG, 'fastdds.xml'])
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=default, description=meaning)
          for name, (default, meaning) in ARGUMENTS.items()),
        # Two names of one setting: older versions of Fast DDS know only the second.
        *(SetEnvironmentVariable(name, EnvironmentVariable(name, default_value=profile))
          for name in (FASTDDS, FASTRTPS)),
        OpaqueFunction(function=start_perception),
        Node(
            package='rviz2', executable='rviz2',
            arguments=['-d', PathJoinSubstitution([CONFIG, 'perception.rviz'])],
            parameters=[{'use_sim_time': flag('use_sim_time')}],
            condition=IfCondition(LaunchConfiguration('rviz'))),
    ])


def start_perception(context):
    """Return the node, with a remapping for each topic of each camera."""
    values = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    cameras = items(values['cameras'])
    parameters = {name: text(values[name]) for name in GIVEN if values[name]}
    remappings = [('~/input/points', values['points'])]
    if cameras:
        parameters['cameras'] = cameras
    cameras = cameras or cameras_of(values['params_file'])
    refuse_other_cameras(values, cameras)
    values['rectified'] = true_for(values['rectified'], cameras)
    for camera in cameras:
        if transport := of_camera(values, 'transport', camera):
            parameters[f'camera.{camera}.transport'] = transport
        if rectified := of_camera(values, 'rectified', camera):
            parameters[f'camera.{camera}.rectified'] = ParameterValue(
                TextSubstitution(text=rectified), value_type=bool)
        image = of_camera(values, 'image', camera)
        remappings += [
            (f'~/input/{camera}/image', image),
            (f'~/input/{camera}/image/compressed', f'{image}/compressed'),
            (f'~/input/{camera}/camera_info', of_camera(values, 'camera_info', camera)),
        ]
    return [LifecycleNode(
        package='xmodelkd_ros', executable='perception', name='perception', namespace='',
        parameters=[values['params_file'], parameters, {'use_sim_time': flag('use_sim_time')}],
        remappings=remappings, output='screen', emulate_tty=True)]


def cameras_of(path):
    """Return the names of the cameras that a file of parameters gives to the node."""
    content = yaml.safe_load(Path(path).read_text(encoding='utf-8')) or {}
    lists = [values.get('ros__parameters', {}).get('cameras') for node, values in content.items()
             if node.strip('/') in ('**', '*', 'perception')]
    return next((names for names in reversed(lists) if names), [])


def refuse_other_cameras(values, cameras):
    """Raise ValueError where an argument is for a camera that is not there."""
    for name in OF_CAMERAS:
        for camera in own_values(values[name]):
            if camera not in cameras:
                known = ', '.join(cameras) or 'none'
                raise ValueError(f'{name}:={values[name]}: no camera {camera}, cameras: {known}')


def true_for(value, cameras):
    """Return names of cameras, as `front,left`, as `front=true,left=true`; else the value."""
    names = items(value)
    return ','.join(f'{name}=true' for name in names) if set(names) <= set(cameras) else value


def of_camera(values, name, camera):
    """Return the value of an argument for a camera; the default where only others have one."""
    value = values[name]
    if '=' in value:
        value = own_values(value).get(camera, ARGUMENTS[name][0])
    return value.replace('{camera}', camera)


def own_values(value):
    """Return by camera what is given as `front=a,left=b`."""
    parts = (item.partition('=') for item in items(value))
    return {camera: rest for camera, equals, rest in parts if equals}


def flag(name):
    """Return an argument as a boolean parameter."""
    return ParameterValue(LaunchConfiguration(name), value_type=bool)


def text(value):
    """Return a text as a parameter that YAML does not read as anything else."""
    return ParameterValue(value, value_type=str)


def items(argument):
    """Return the items of an argument, given as `a,b` or `[a, b]`."""
    return [item for part in argument.strip('[] ').split(',') if (item := part.strip())]
