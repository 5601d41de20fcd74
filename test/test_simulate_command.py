"""The command simulate: bags with the topics of a vehicle and the truth, made once."""

from __future__ import annotations

import numpy as np
import pytest
from xmodelkd_ros.bags.frames import frames
from xmodelkd_ros.bags.reader import BagReader
from xmodelkd_ros.cli.simulate import main
from xmodelkd_ros.geometry.transforms import invert
from xmodelkd_ros.simulation.drive import Drive, SimulationConfig

pytest.importorskip('embreex')

SMALL = ('--frames', '2', '--columns', '128', '--width', '64', '--height', '24', '--seed', '5')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('simulated')
    assert main([str(folder), *SMALL]) == 0
    return folder


def test_a_bag_holds_the_drive_its_truth_and_its_poses(folder):
    drive = Drive(SimulationConfig(seed=5, frames=2, columns=128, width=64, height=24))
    got = list(frames(folder / 'drive_0005', fixed_frame='odom'))
    assert [frame.cloud.stamp for frame in got] == [drive.stamp(0), drive.stamp(1)]
    for frame in got:
        assert frame.cloud.label.max() > 0
        assert set(np.unique(frame.cloud.ring)) <= set(range(64))
        view = frame.views['front']
        assert view.picture.rgb.shape == (24, 64, 3)
        assert view.picture.label.shape == view.picture.instance.shape == (24, 64)
        odom_from_lidar = drive.pose(frame.cloud.stamp) @ drive.base_from_lidar
        odom_from_camera = drive.pose(view.picture.stamp) @ drive.base_from_camera['front']
        np.testing.assert_allclose(frame.fixed_from_lidar, odom_from_lidar, atol=1e-6)
        np.testing.assert_allclose(
            view.camera_from_lidar, invert(odom_from_camera) @ odom_from_lidar, atol=1e-6)
    with BagReader(folder / 'drive_0005') as bag:
        assert {
            '/points', '/tf', '/tf_static', '/front/image', '/front/camera_info',
            '/ground_truth/points', '/ground_truth/front/label', '/ground_truth/front/instance',
        } == set(bag.topics)


def test_what_is_there_is_kept(folder, capsys):
    file = folder / 'drive_0005' / 'drive_0005.mcap'
    before = file.stat().st_mtime_ns
    assert main([str(folder), *SMALL]) == 0
    assert 'kept' in capsys.readouterr().out
    assert file.stat().st_mtime_ns == before


def test_other_settings_do_not_mix_with_what_is_there(folder, capsys):
    assert main([str(folder), *SMALL, '--frames', '3']) == 2
    assert 'frames = 3 is not allowed: 2, as in ' in capsys.readouterr().err


def test_a_folder_that_is_no_bag_is_not_touched(tmp_path, capsys):
    (tmp_path / 'drive_0005').mkdir()
    assert main([str(tmp_path), *SMALL]) == 2
    assert 'conversion.yaml' in capsys.readouterr().err
    assert not list((tmp_path / 'drive_0005').iterdir())
