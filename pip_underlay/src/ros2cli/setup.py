"""Install the ros2 command."""

from setuptools import find_packages, setup

setup(
    name='ros2cli',
    version='0.32.0',
    packages=find_packages(),
    data_files=[
        ('share/ament_index/resource_index/packages', ['resource/ros2cli']),
        ('share/ros2cli', ['package.xml']),
    ],
    zip_safe=True,
    license='Apache-2.0',
    entry_points={'console_scripts': ['ros2 = ros2cli.cli:main']},
)
