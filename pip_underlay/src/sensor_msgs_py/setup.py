from setuptools import find_packages, setup

package_name = 'sensor_msgs_py'

setup(
    name=package_name,
    version='5.3.0',
    packages=find_packages(),
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{package_name}']),
        (f'share/{package_name}', ['package.xml']),
    ],
    install_requires=['setuptools'],
    zip_safe=True,
    maintainer='xmodelkd_ros maintainers',
    maintainer_email='maintainers@xmodelkd.org',
    description='PointCloud2 messages as structured NumPy arrays, for machines without ROS.',
    license='Apache-2.0',
)
