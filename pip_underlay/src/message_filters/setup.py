from setuptools import find_packages, setup

package_name = 'message_filters'

setup(
    name=package_name,
    version='4.11.0',
    packages=find_packages(),
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{package_name}']),
        (f'share/{package_name}', ['package.xml']),
    ],
    install_requires=['setuptools'],
    zip_safe=True,
    maintainer='xmodelkd_ros maintainers',
    maintainer_email='maintainers@xmodelkd.org',
    description='Queueing and pairing of messages by their stamps, for machines without ROS.',
    license='Apache-2.0',
)
