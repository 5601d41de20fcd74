from setuptools import find_packages, setup

package_name = 'tf_transformations'

setup(
    name=package_name,
    version='1.1.0',
    packages=find_packages(),
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{package_name}']),
        (f'share/{package_name}', ['package.xml']),
    ],
    install_requires=['setuptools'],
    zip_safe=True,
    maintainer='xmodelkd_ros maintainers',
    maintainer_email='maintainers@xmodelkd.org',
    description='Rotations and transforms, quaternions as x, y, z, w, for machines without ROS.',
    license='Apache-2.0',
)
