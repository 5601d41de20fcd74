"""
Start the node distillation.

`ros2 launch xmodelkd_ros distillation.launch.py bags:=<folder or bags> teacher:=... out:=<folder>`
makes a student from bags and an image teacher; the same command goes on after an interruption.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, TextSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

CONFIG = PathJoinSubstitution([FindPackageShare('xmodelkd_ros'), 'config'])

LISTS = {
    'bags': 'bags to learn from, or folders of bags, separated by commas',
    'validation': 'bags to choose the weights and to judge by, separated by commas',
    'labelled': 'bags with labels for fine-tuning, separated by commas',
    'labels': 'folders of .label files, one for each of them, separated by commas',
    'simulated': 'simulated bags to mix in, or folders of them, separated by commas',
    'sweeps': 'bags without images, separated by commas',
    'rectified': 'cameras whose images are rectified, separated by commas',
    'cameras': 'cameras that are used, separated by commas',
}
TEXTS = {
    'out': 'folder for the result; a second start goes on with what is there',
    'teacher': 'image teacher, as espnetv2:city.pth@0.7',
    'class_map': "YAML file with our class name by the teacher's",
    'label_topic': 'clouds with a field label in the labelled bags, where there are no files',
    'label_map': "YAML file with our class name by the labels' id",
    'start': 'checkpoint to start from',
    'lidar': 'sensor profile, as hdl64e, vlp32c or os1_128, or its YAML file',
    'device': 'of all but the training: cpu, cuda or auto',
}
NUMBERS = {
    'adaptation': "share of the pictures' own statistics in the teacher's batch norms, 0 for none",
}
"""Arguments; what is left empty is as the file of parameters says."""

PARAMETERS = {
    'rectified': 'extraction.rectified', 'cameras': 'extraction.cameras', 'lidar': 'student.lidar',
}
"""Parameter of an argument that has another name."""


def generate_launch_description():
    """Return the arguments and the node, with whose end the launch ends."""
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value='', description=meaning)
          for name, meaning in {**LISTS, **TEXTS, **NUMBERS}.items()),
        DeclareLaunchArgument(
            'params_file', default_value=PathJoinSubstitution([CONFIG, 'distillation.yaml']),
            description='parameters'),
        RegisterEventHandler(OnProcessExit(on_exit=[EmitEvent(
            event=Shutdown(reason='the distillation has ended'))])),
        OpaqueFunction(function=start_distillation),
    ])


def start_distillation(context):
    """Return the node."""
    names = (*LISTS, *TEXTS, *NUMBERS, 'params_file')
    given = {name: LaunchConfiguration(name).perform(context) for name in names}
    parameters = {
        PARAMETERS.get(name, name): ParameterValue(given[name], value_type=str)
        for name in TEXTS if given[name]
    }
    for name in NUMBERS:
        if given[name]:
            parameters[name] = ParameterValue(TextSubstitution(text=given[name]))
    for name in LISTS:
        if chosen := items(given[name]):
            parameters[PARAMETERS.get(name, name)] = chosen
    return [LifecycleNode(
        package='xmodelkd_ros', executable='distillation', name='distillation', namespace='',
        parameters=[given['params_file'], parameters], output='screen', emulate_tty=True)]


def items(argument):
    """Return the items of an argument, given as `a,b` or `[a, b]`."""
    return [item for part in argument.strip('[] ').split(',') if (item := part.strip())]
