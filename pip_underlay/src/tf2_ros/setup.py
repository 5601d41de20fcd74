from setuptools import find_packages, setup

package_name = 'tf2_ros'

setup(
    name=package_name,
    version='0.36.0',
    packages=find_packages(),
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{package_name}']),
        (f'share/{package_name}', ['package.xml']),
    ],
    install_requires=['setuptools'],
    zip_safe=True,
    maintainer='xmodelkd_ros maintainers',
    maintainer_email='maintainers@xmodelkd.org',
    description='Transforms between frames over time, for machines without ROS.',
    license='Apache-2.0',
)
