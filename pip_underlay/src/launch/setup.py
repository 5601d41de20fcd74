"""Install the launch stand-in."""

from setuptools import find_packages, setup

setup(
    name='launch',
    version='3.4.0',
    packages=find_packages(),
    data_files=[
        ('share/ament_index/resource_index/packages', ['resource/launch']),
        ('share/launch', ['package.xml']),
    ],
    zip_safe=True,
    license='Apache-2.0',
)
