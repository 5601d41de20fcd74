"""Install the package, its launch files, configuration, models and commands."""

from pathlib import Path

from setuptools import find_packages, setup

NAME = 'xmodelkd_ros'
COMMANDS = ('simulate', 'kitti_to_bag', 'train', 'evaluate', 'label', 'distil', 'demo',
            'benchmark', 'masks_from_lidar', 'masks_from_video', 'video_results')
NODES = ('perception', 'distillation', 'bag_player', 'bag_recorder')
ROOT = Path(__file__).parent


def shared(folder):
    """Pair share/<package>/<folder> with the files of that folder, for data_files."""
    files = (path for path in (ROOT / folder).glob('*') if path.is_file())
    return f'share/{NAME}/{folder}', sorted(str(path.relative_to(ROOT)) for path in files)


setup(
    name=NAME,
    version='0.1.0',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (f'share/{NAME}', ['package.xml', 'LICENSE']),
        *(shared(folder) for folder in ('config', 'launch', 'models')),
    ],
    install_requires=['setuptools'],
    extras_require={'test': ['pytest']},  # by which colcon test chooses its runner
    python_requires='>=3.10',
    zip_safe=True,
    maintainer='xmodelkd_ros maintainers',
    maintainer_email='maintainers@xmodelkd.org',
    description='Real-time point labels and tracked instances, distilled from image models.',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [
            *(f'{command} = {NAME}.cli.{command}:main' for command in COMMANDS),
            *(f'{node} = {NAME}.nodes.{node}:main' for node in NODES),
        ],
    },
)
