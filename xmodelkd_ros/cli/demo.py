"""Play a simulated drive and KITTI drives through the live node; score and draw what came out."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
import dataclasses
from pathlib import Path
import shutil
import subprocess
import sys
import time

from .arguments import add_options, config_from_options
from .command import command
from ..config import setting, to_mapping
from ..errors import XModelKDError


@dataclasses.dataclass(frozen=True)
class DemoConfig:
    """What the demo plays."""

    out: str = setting('out/demo', 'folder for bags, tables, videos and pictures')
    frames: int = setting(80, 'length of the simulated drive', unit='frames', low=10)
    seed: int = setting(2000, 'seed of the simulated drive; 2000 to 2999 were not trained on',
                        low=2000, high=2999)
    rate: float = setting(1.0, 'recorded seconds per second', low=0.01, high=10.0)
    kitti: bool = setting(True, 'play KITTI drives, too, where there are any')


@dataclasses.dataclass(frozen=True)
class Show:
    """
    A drive of the demo.

    Parameters
    ----------
    name
        Of its files.
    bag
        What is played.
    camera
        Name of the camera that is used.
    rectified
        Whether its images are rectified.
    fixed_frame
        Frame in which the vehicle moves, empty where the bag has no poses.
    is_simulated
        Whether there is ground truth.

    """

    name: str
    bag: Path
    camera: str
    rectified: bool
    fixed_frame: str
    is_simulated: bool


@command
def main(args: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog='demo', description=__doc__)
    add_options(parser, DemoConfig)
    config = config_from_options(parser.parse_args(args), DemoConfig)
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)

    from .demo_pictures import draw_results
    from .demo_tables import report
    from ..evaluation.run_file import write_run

    started = time.monotonic()
    shows = [_simulated(config, out), *(_recorded(out) if config.kitti else [])]
    results = {show: _play(show, config, out) for show in shows}
    tables = report(results)
    drawn = [path for show, result in results.items() for path in draw_results(show, result, out)]
    (out / 'report.txt').write_text(tables + '\n')
    write_run(out / 'demo.yaml', to_mapping(config))
    print(f'\n{tables}\n\nto look at:')
    print('\n'.join(f'  {path}' for path in [*drawn, *results.values(), out / 'report.txt']))
    print(f'the demo took {time.monotonic() - started:.0f} s')
    return 0


def _simulated(config: DemoConfig, out: Path) -> Show:
    """Simulate the drive, unless an earlier demo has."""
    from .simulate import main as simulate

    folder = out / f'simulated_{config.frames}'
    _run(simulate, str(folder), '--seed', str(config.seed), '--frames', str(config.frames))
    bag = folder / f'drive_{config.seed:04}'
    return Show('simulated', bag, 'front', False, 'odom', is_simulated=True)


def _recorded(out: Path) -> list[Show]:
    """Convert the KITTI drives that are at hand, unless an earlier demo has."""
    from .kitti_to_bag import main as kitti_to_bag
    from ..bags.excerpts import find_drives
    from ..bags.reader import BagReader

    shows = []
    for name, folder in find_drives().items():
        bag = out / f'{name}_bag'
        if not bag.exists():
            _run(kitti_to_bag, str(folder), str(bag), '--cameras', '02')
        with BagReader(bag) as reader:
            fixed_frame = 'odom' if '/tf' in reader.topics else ''
        shows.append(Show(name, bag, 'camera_02', True, fixed_frame, is_simulated=False))
    if not shows:
        print('no KITTI drive is at hand: KITTI_DRIVE=<..._sync folder> names one')
    return shows


def _run(main: Callable[..., int], *args: str) -> None:
    if main(args):
        raise XModelKDError(f'the demo stops at {" ".join(args)}')


def _play(show: Show, config: DemoConfig, out: Path) -> Path:
    """Play a drive through player, node and recorder, as their launch file starts them."""
    from ..nodes.models import shipped_model

    result = out / f'{show.name}_result'
    shutil.rmtree(result, ignore_errors=True)
    arguments = {
        'bag': show.bag.resolve(), 'record': result.resolve(), 'cameras': show.camera,
        'rectified': str(show.rectified).lower(), 'fixed_frame': show.fixed_frame,
        'rate': config.rate,
    }
    if not show.is_simulated:
        for kind in ('point', 'video'):
            arguments[f'{kind}_model'] = shipped_model(f'real_{kind}')
    words = [f'{key}:={value}' for key, value in arguments.items() if value != '']
    line = ['ros2', 'launch', 'xmodelkd_ros', 'replay.launch.py', *words]
    print(f'\n{show.name}: {" ".join(line)}', flush=True)
    code = subprocess.run(line).returncode
    if code or not result.exists():
        raise XModelKDError(f'{show.name}: the launch file ended with code {code}')
    return result


if __name__ == '__main__':
    sys.exit(main())
