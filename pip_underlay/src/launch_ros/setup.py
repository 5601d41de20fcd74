"""Install the launch_ros stand-in."""

from setuptools import find_packages, setup

setup(
    name='launch_ros',
    version='0.26.0',
    packages=find_packages(),
    data_files=[
        ('share/ament_index/resource_index/packages', ['resource/launch_ros']),
        ('share/launch_ros', ['package.xml']),
    ],
    zip_safe=True,
    license='Apache-2.0',
)
