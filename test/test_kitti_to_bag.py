"""KITTI to bags: pixels, poses and stamps are those of KITTI's own formulas, written out here."""

from __future__ import annotations

import tarfile

import cv2
import kitti_layouts as kitti
import numpy as np
import pytest
from xmodelkd_ros.bags.excerpts import find_excerpt
from xmodelkd_ros.bags.frames import frames
from xmodelkd_ros.bags.reader import BagReader
from xmodelkd_ros.cli import kitti_to_bag
from xmodelkd_ros.cli.kitti_to_bag import main
from xmodelkd_ros.geometry.transforms import transform_points
from xmodelkd_ros.labels import ALL_CLASSES
from xmodelkd_ros.messages.images import rgb_from_message
from xmodelkd_ros.messages.stamps import nanoseconds
from xmodelkd_ros.messages.transforms import transform_from_message
import yaml

MS = 1_000_000
SECOND = 1000 * MS


def utc(text):
    return int(np.datetime64(text, 'ns').astype(np.int64))


def homogeneous(matrix):
    out = np.eye(4)
    out[: matrix.shape[0], : matrix.shape[1]] = matrix
    return out


def kitti_pixels(points, projection, rectification, velo_to_cam):
    """Follow KITTI's readme: y = P_rect R_rect_00 T_velo_to_cam x."""
    x = np.column_stack([points.astype(float), np.ones(len(points))])
    y = x @ (projection @ homogeneous(rectification) @ homogeneous(velo_to_cam)).T
    return y[:, :2] / y[:, 2:], y[:, 2] > 0.5


def check_pixels(frame, camera, projection, rectification, velo_to_cam):
    """All points of a frame are seen where KITTI sees them, to 0.01 px."""
    view = frame.views[camera]
    expected, in_front = kitti_pixels(frame.cloud.points, projection, rectification, velo_to_cam)
    moved = transform_points(view.camera_from_lidar, frame.cloud.points.astype(float))
    pixels, seen = view.camera.project(moved)
    near = in_front & (np.abs(expected) < 5000).all(1)
    assert near.sum() > 10
    assert seen[near].all()
    np.testing.assert_allclose(pixels[near], expected[near], atol=0.01)


def convert(source, out, *options):
    assert main([str(source), str(out), *options]) == 0
    return out


def messages(bag, topic):
    with BagReader(bag) as reader:
        return [message for _, _, message in reader.messages([topic])]


def stamps(bag, topic):
    return [nanoseconds(message.header.stamp) for message in messages(bag, topic)]


def test_a_raw_drive_has_clouds_images_stamps_and_a_record_of_the_run(tmp_path, capsys):
    drive = kitti.raw_drive(tmp_path)
    bag = convert(drive, tmp_path / 'bag')
    assert '/camera_02/image' in capsys.readouterr().out
    first = utc('2011-09-26 13:02:25.010123456')
    assert stamps(bag, '/points') == [first + 100 * MS * n for n in range(6)]
    assert stamps(bag, '/camera_02/image')[0] == utc('2011-09-26 13:02:25.015123456')
    for number, frame in enumerate(frames(bag, rectified=['camera_02'])):
        expected = kitti.sweep(number)
        np.testing.assert_array_equal(frame.cloud.points, expected[:, :3])
        np.testing.assert_array_equal(frame.cloud.intensity, expected[:, 3])
        np.testing.assert_array_equal(
            frame.views['camera_02'].picture.rgb, kitti.picture(number)[..., ::-1])
    run = yaml.safe_load((bag / 'conversion.yaml').read_text())
    assert run['configuration']['source'] == str(drive)
    assert run['configuration']['images'] == 'raw'
    assert run['environment']['packages']['rosbags']


def test_a_bag_that_is_complete_is_kept_and_an_interrupted_one_leaves_nothing(
    tmp_path, capsys, monkeypatch,
):
    drive, bag = kitti.raw_drive(tmp_path / 'kitti'), tmp_path / 'bags' / 'bag'
    with monkeypatch.context() as patch:
        patch.setattr(kitti_to_bag, 'progress', interrupted)
        assert main([str(drive), str(bag)]) == 130
    assert not list(bag.parent.iterdir())
    convert(drive, bag)
    before = {file: file.stat().st_mtime_ns for file in bag.iterdir()}
    capsys.readouterr()
    convert(drive, bag)
    said = capsys.readouterr().out
    assert f'{bag} is complete: kept' in said and '/camera_02/image' in said
    assert before == {file: file.stat().st_mtime_ns for file in bag.iterdir()}
    assert main([str(drive), str(bag), '--images', 'png']) == 2
    assert "images = 'png' is not allowed: 'raw', as in " in capsys.readouterr().err


def interrupted(entries, **_):
    """Pass some entries on before the user presses Ctrl-C."""
    yield from entries[:5]
    raise KeyboardInterrupt


def test_a_sweep_is_logged_when_it_ends_and_its_pose_is_there_by_then(tmp_path):
    bag = convert(kitti.raw_drive(tmp_path), tmp_path / 'bag')
    with BagReader(bag) as reader:
        rows = [(topic, log) for topic, log, _ in reader.messages(['/points', '/tf'])]
    logs = [log for topic, log in rows if topic == '/points']
    assert logs == [utc('2011-09-26 13:02:25.060123456') + 100 * MS * n for n in range(6)]


@pytest.mark.parametrize('rectified', [True, False])
@pytest.mark.parametrize('camera', ['00', '01', '02', '03'])
def test_points_of_a_raw_drive_project_as_in_kitti(tmp_path, camera, rectified):
    drive = kitti.raw_drive(tmp_path, cameras=('00', '01', '02', '03'))
    bag = convert(drive, tmp_path / 'bag', '--cameras', camera)
    with BagReader(bag) as reader:
        assert {t for t in reader.topics if t.startswith('/camera')} == {
            f'/camera_{camera}/image', f'/camera_{camera}/camera_info'}
    for frame in frames(bag, rectified=[f'camera_{camera}'] if rectified else []):
        check_pixels(frame, f'camera_{camera}', kitti.projection(int(camera)), kitti.RECT0,
                     kitti.VELO_TO_CAM)


def test_camera_info_describes_the_rectified_image_of_a_raw_camera(tmp_path):
    bag = convert(kitti.raw_drive(tmp_path), tmp_path / 'bag')
    info = messages(bag, '/camera_02/camera_info')[0]
    assert (info.width, info.height) == (kitti.WIDTH, kitti.HEIGHT)
    assert (info.distortion_model, info.header.frame_id) == ('plumb_bob', 'camera_02')
    matrix = np.reshape(info.p, (3, 4))
    np.testing.assert_allclose(matrix[:, :3], kitti.projection(2)[:, :3])
    assert not matrix[:, 3].any()
    np.testing.assert_array_equal(np.reshape(info.k, (3, 3)), matrix[:, :3])
    np.testing.assert_array_equal(info.d, np.zeros(5))
    np.testing.assert_array_equal(np.reshape(info.r, (3, 3)), np.eye(3))


def test_pictures_of_the_sensor_s_size_keep_the_raw_calibration(tmp_path):
    drive = kitti.raw_drive(tmp_path)
    with (drive.parent / 'calib_cam_to_cam.txt').open('a') as file:
        file.write('S_02: 46 30\n')
    for path in (drive / 'image_02' / 'data').iterdir():
        cv2.imwrite(str(path), np.zeros((30, 46, 3), np.uint8))
    bag = convert(drive, tmp_path / 'bag')
    info = messages(bag, '/camera_02/camera_info')[0]
    assert (info.width, info.height) == (46, 30)
    intrinsics = np.array([[33, 0, 20], [0, 34, 12], [0, 0, 1.0]])
    distortion = np.array([-0.3, 0.1, 0.001, -0.002, -0.03])
    np.testing.assert_allclose(np.reshape(info.k, (3, 3)), intrinsics)
    np.testing.assert_allclose(info.d, distortion)
    np.testing.assert_allclose(np.reshape(info.r, (3, 3)), kitti.rotation(12), atol=1e-11)
    np.testing.assert_allclose(np.reshape(info.p, (3, 4))[:, :3], kitti.projection(2)[:, :3])
    rectified = next(iter(frames(bag, rectified=['camera_02'])))
    check_pixels(rectified, 'camera_02', kitti.projection(2), kitti.RECT0, kitti.VELO_TO_CAM)
    raw = next(iter(frames(bag)))
    view = raw.views['camera_02']
    moved = transform_points(view.camera_from_lidar, raw.cloud.points.astype(float))
    pixels, seen = view.camera.project(moved)
    zero = np.zeros(3)
    expected, _ = cv2.projectPoints(moved[seen], zero, zero, intrinsics, distortion)
    np.testing.assert_allclose(pixels[seen], expected[:, 0], atol=0.01)


def test_poses_are_those_of_the_development_kit(tmp_path):
    bag = convert(kitti.raw_drive(tmp_path), tmp_path / 'bag')
    sent = [m.transforms[0] for m in messages(bag, '/tf')]
    own = utc('2011-09-26 13:02:25.020123456')
    poses = {nanoseconds(t.header.stamp): transform_from_message(t) for t in sent}
    assert (sent[0].header.frame_id, sent[0].child_frame_id) == ('odom', 'base_link')
    scale = np.cos(49.0 * np.pi / 180)
    for number in range(6):
        lat, lon = 49.0 + 1e-5 * number, 8.4 + 2e-5 * number
        roll, pitch, yaw = 0.01 * number, -0.02, 0.3 + 0.05 * number
        east = scale * 6378137 * np.pi * (lon - 8.4) / 180
        north = scale * 6378137 * (np.log(np.tan((90 + lat) * np.pi / 360))
                                   - np.log(np.tan((90 + 49.0) * np.pi / 360)))
        turn = np.eye(3)
        for axis, angle in (((0, 0, 1), yaw), ((0, 1, 0), pitch), ((1, 0, 0), roll)):
            turn = turn @ cv2.Rodrigues(np.array(axis, float) * angle)[0]
        pose = poses[own + 100 * MS * number]
        np.testing.assert_allclose(pose[:3, 3], [east, north, 0.1 * number], atol=1e-6)
        np.testing.assert_allclose(pose[:3, :3], turn, atol=1e-9)


def test_the_first_sweep_before_all_poses_has_one(tmp_path):
    bag = convert(kitti.raw_drive(tmp_path), tmp_path / 'bag')
    got = list(frames(bag, rectified=['camera_02'], fixed_frame='odom'))
    assert all(frame.fixed_from_lidar is not None for frame in got)
    steps = np.diff([frame.fixed_from_lidar[:2, 3] for frame in got], axis=0)
    np.testing.assert_allclose(steps[0], steps[1], rtol=0.05)


def test_static_transforms_make_one_tree_from_the_imu(tmp_path):
    bag = convert(kitti.raw_drive(tmp_path), tmp_path / 'bag')
    placed = {t.child_frame_id: t for t in messages(bag, '/tf_static')[0].transforms}
    assert set(placed) == {'lidar', 'camera_02'}
    assert {t.header.frame_id for t in placed.values()} == {'base_link'}
    np.testing.assert_allclose(
        np.linalg.inv(transform_from_message(placed['lidar'])),
        homogeneous(kitti.IMU_TO_VELO), atol=1e-9)


def test_missing_sweeps_keep_the_others_at_their_stamps(tmp_path, capsys):
    drive = kitti.raw_drive(tmp_path, missing=(2, 3))
    bag = convert(drive, tmp_path / 'bag')
    first = utc('2011-09-26 13:02:25.010123456')
    assert stamps(bag, '/points') == [first + 100 * MS * n for n in (0, 1, 4, 5)]
    assert len(messages(bag, '/camera_02/image')) == 6
    assert '2 sweeps are missing' in capsys.readouterr().err


def test_without_time_stamps_10_hz_is_assumed_and_said(tmp_path, capsys):
    drive = kitti.raw_drive(tmp_path)
    for path in drive.rglob('timestamps*.txt'):
        path.unlink()
    bag = convert(drive, tmp_path / 'bag')
    assert 'timestamps.txt is missing: 10 Hz assumed' in capsys.readouterr().err
    assert np.diff(stamps(bag, '/points')).tolist() == [100 * MS] * 5
    assert stamps(bag, '/points') == stamps(bag, '/camera_02/image')


def test_without_poses_or_imu_the_lidar_is_the_base(tmp_path, capsys):
    drive = kitti.raw_drive(tmp_path)
    (drive.parent / 'calib_imu_to_velo.txt').unlink()
    bag = convert(drive, tmp_path / 'bag')
    assert 'no /tf' in capsys.readouterr().err
    with BagReader(bag) as reader:
        assert '/tf' not in reader.topics
    placed = {t.child_frame_id: t for t in messages(bag, '/tf_static')[0].transforms}
    np.testing.assert_allclose(transform_from_message(placed['lidar']), np.eye(4))


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
@pytest.mark.parametrize('form', ['jpeg', 'png'])
def test_compressed_images_are_the_files_where_they_can_be(tmp_path, suffix, form):
    drive = kitti.raw_drive(tmp_path, frames=2, suffix=suffix)
    bag = convert(drive, tmp_path / 'bag', '--images', form)
    sent = messages(bag, '/camera_02/image/compressed')
    for number, message in enumerate(sent):
        file = drive / 'image_02' / 'data' / f'{number:010}{suffix}'
        assert message.format == form
        if (suffix, form) in (('.png', 'png'), ('.jpg', 'jpeg')):
            assert message.data.tobytes() == file.read_bytes()
        picture = rgb_from_message(message).astype(int)
        assert np.abs(picture - cv2.imread(str(file))[..., ::-1]).mean() < 3
    assert sorted(next(iter(frames(bag, rectified=['camera_02']))).views) == ['camera_02']


@pytest.mark.parametrize(('storage', 'compression'), [('mcap', 'zstd'), ('sqlite3', 'none')])
def test_storage_and_compression_are_options(tmp_path, storage, compression):
    bag = convert(kitti.raw_drive(tmp_path), tmp_path / 'bag', '--storage', storage,
                  '--compression', compression)
    suffix = {'mcap': '.mcap', 'sqlite3': '.db3'}[storage]
    assert [path.suffix for path in bag.iterdir() if path.suffix in ('.mcap', '.db3')] == [suffix]
    assert len(list(frames(bag))) == 6


def test_a_semantic_kitti_sequence_has_labels_and_poses(tmp_path):
    folder = kitti.sequence(tmp_path)
    bag = convert(folder, tmp_path / 'bag')
    names = {10: 'car', 30: 'person', 40: 'road', 48: 'sidewalk', 50: 'building', 0: 'unlabelled',
             70: 'vegetation', 71: 'trunk', 80: 'pole', 252: 'car', 254: 'person', 259: 'bus'}
    poses = np.loadtxt(folder / 'poses.txt').reshape(-1, 3, 4)
    to_camera = homogeneous(kitti.RECT0 @ kitti.VELO_TO_CAM)
    got = list(frames(bag, rectified=['camera_02'], fixed_frame='odom'))
    assert np.diff([frame.cloud.stamp for frame in got]).tolist() == [103_700_000] * 3
    for number, frame in enumerate(got):
        raw = kitti.raw_labels(number)
        assert [ALL_CLASSES[i].name for i in frame.cloud.label] == [
            names[value & 0xFFFF] for value in raw.tolist()]
        np.testing.assert_array_equal(frame.cloud.instance, raw >> 16)
        expected = np.linalg.inv(to_camera) @ homogeneous(poses[number]) @ to_camera
        np.testing.assert_allclose(frame.fixed_from_lidar, expected, atol=1e-6)
        check_pixels(frame, 'camera_02', kitti.projection(2), kitti.RECT0, kitti.VELO_TO_CAM)
    with BagReader(bag) as reader:
        assert reader.topics['/ground_truth/points'].count == 4


def test_object_frames_keep_their_own_calibrations(tmp_path):
    bag = convert(kitti.object_folder(tmp_path), tmp_path / 'bag')
    got = list(frames(bag, rectified=['camera_02']))
    assert len(got) == 3
    for index, frame in enumerate(got):
        check_pixels(frame, 'camera_02', kitti.projection(2), kitti.rotation(30 + index),
                     kitti.VELO_TO_CAM)


def test_a_folder_above_one_data_set_is_enough(tmp_path):
    kitti.raw_drive(tmp_path / 'data')
    assert len(list(frames(convert(tmp_path / 'data', tmp_path / 'bag')))) == 6


def damage(tmp_path, kind):
    """Return a data set with one thing wrong."""
    if kind == 'no folder':
        return tmp_path / 'nothing'
    if kind == 'two data sets':
        kitti.sequence(tmp_path / 'data')
        kitti.object_folder(tmp_path / 'data')
        return tmp_path / 'data'
    drive = kitti.raw_drive(tmp_path / 'data')
    sweep = drive / 'velodyne_points' / 'data' / '0000000003.bin'
    picture = drive / 'image_02' / 'data' / '0000000003.png'
    actions = {
        'no calibration': lambda: [p.unlink() for p in drive.parent.glob('calib_*')],
        'no entry': lambda: (drive.parent / 'calib_cam_to_cam.txt').write_text('S_rect_02: 1 2\n'),
        'cut sweep': lambda: sweep.write_bytes(sweep.read_bytes()[:-4]),
        'broken picture': lambda: picture.write_bytes(b'no picture'),
        'other size': lambda: cv2.imwrite(str(picture), np.zeros((9, 9, 3), np.uint8)),
        'few stamps': lambda: (drive / 'image_02' / 'timestamps.txt').write_text(
            '2011-09-26 13:02:25.0\n'),
        'no sweeps': lambda: [p.unlink() for p in drive.rglob('*.bin')],
    }
    actions[kind]()
    return drive


@pytest.mark.parametrize(('kind', 'reason'), [
    ('no folder', 'there is no folder'),
    ('two data sets', 'several data sets'),
    ('no calibration', 'calib_cam_to_cam.txt is missing'),
    ('no entry', 'no '),
    ('cut sweep', '0000000003.bin is cut off'),
    ('broken picture', '0000000003.png cannot be decoded'),
    ('other size', '9 x 9 pixels, but the calibration is for 40 x 24'),
    ('few stamps', '1 stamps for 6 frames'),
    ('no sweeps', 'no sweeps'),
])
def test_bad_data_is_one_line_and_leaves_nothing(tmp_path, capsys, kind, reason):
    source = damage(tmp_path, kind)
    (tmp_path / 'out').mkdir()
    assert main([str(source), str(tmp_path / 'out' / 'bag')]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error')]
    assert len(errors) == 1
    assert reason in errors[0]
    assert not list((tmp_path / 'out').iterdir())


def replace_line(path, number, line):
    lines = path.read_text().splitlines()
    lines[number] = line
    path.write_text('\n'.join(lines))


SWEEP, CAMERAS = 'velodyne_points/data/0000000003.bin', '../calib_cam_to_cam.txt'
STAMPS, PACKET = 'oxts/timestamps.txt', 'oxts/data/0000000002.txt'


@pytest.mark.parametrize(('layout', 'name', 'number', 'content', 'reason'), [
    ('raw_drive', SWEEP, None, b'', '0000000003.bin holds no points'),
    ('sequence', 'velodyne/000002.bin', None, b'', '000002.bin holds no points'),
    ('object_folder', 'velodyne/000008.bin', None, b'', '000008.bin holds no points'),
    ('raw_drive', PACKET, 0, 'a ' * 30, '0000000002.txt line 1 holds no numbers'),
    ('raw_drive', PACKET, 0, '49 8 nan 0 0 0 0', '0000000002.txt line 1 is not finite'),
    ('raw_drive', PACKET, 0, '49 8', '0000000002.txt line 1 has 2 numbers, not 6'),
    ('raw_drive', PACKET, 0, '90 8 0 0 0 0', 'a latitude of 90.0 degrees'),
    ('raw_drive', PACKET, None, b'', 'no GPS/IMU packet: 0 lines'),
    ('raw_drive', STAMPS, None, b'\xff\xfe\x00', 'oxts/timestamps.txt is no text'),
    ('raw_drive', STAMPS, 0, 'NaT', 'oxts/timestamps.txt holds no time after 1970: NaT'),
    ('raw_drive', '../calib_velo_to_cam.txt', 1, 'R: ' + '0 ' * 9, 'R is no rotation'),
    ('raw_drive', '../calib_velo_to_cam.txt', 1, 'R: ' + 'nan ' * 9, 'R is not finite'),
    ('raw_drive', '../calib_imu_to_velo.txt', 1, 'R: ' + '2 ' * 9, 'R is no rotation'),
    ('raw_drive', CAMERAS, 11, 'S_rect_02: nan nan', 'S_rect_02 is not finite'),
    ('raw_drive', CAMERAS, 4, 'R_rect_00: ' + '0 ' * 9, 'R_rect_00 is no rotation'),
    ('sequence', 'calib.txt', 4, 'Tr: ' + '0 ' * 12, 'Tr is no rotation'),
    ('sequence', 'times.txt', 1, 'noon', 'times.txt line 2 holds no numbers'),
    ('sequence', 'times.txt', 1, 'nan', 'times.txt line 2 is not finite'),
    ('sequence', 'poses.txt', 1, '1 2 3', 'poses.txt line 2 has 3 numbers, not 12'),
    ('sequence', 'poses.txt', 1, 'a ' * 12, 'poses.txt line 2 holds no numbers'),
    ('sequence', 'poses.txt', 1, '0 ' * 12, 'pose 1 is not rigid'),
    ('object_folder', 'calib/000008.txt', 4, 'R0_rect: ' + '0 ' * 9, 'R0_rect is no rotation'),
])
def test_damaged_files_are_one_line_and_leave_nothing(
    tmp_path, capsys, layout, name, number, content, reason
):
    source = getattr(kitti, layout)(tmp_path / 'data')
    if number is None:
        (source / name).write_bytes(content)
    else:
        replace_line(source / name, number, content)
    (tmp_path / 'out').mkdir()
    assert main([str(source), str(tmp_path / 'out' / 'bag')]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error')]
    assert len(errors) == 1
    assert reason in errors[0]
    assert not list((tmp_path / 'out').iterdir())


@pytest.mark.parametrize(('option', 'value', 'reason'), [
    ('--cameras', '07', 'one of 00, 01, 02, 03'),
    ('--cameras', '03', 'no pictures'),
    ('--storage', 'zip', 'one of mcap, sqlite3'),
])
def test_bad_options_are_one_line(tmp_path, capsys, option, value, reason):
    drive = kitti.raw_drive(tmp_path)
    assert main([str(drive), str(tmp_path / 'bag'), option, value]) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / 'bag').exists()


@pytest.mark.parametrize('has_filters', [True, False])
def test_packed_excerpts_are_unpacked_by_any_python(tmp_path, monkeypatch, has_filters):
    (tmp_path / 'kitti_0001').mkdir()
    (tmp_path / 'kitti_0001' / 'file').write_text('content')
    data = tmp_path / 'data'
    data.mkdir()
    with tarfile.open(data / 'kitti_0001.tar.xz', 'w:xz') as archive:
        archive.add(tmp_path / 'kitti_0001', 'kitti_0001')
    monkeypatch.setenv('KITTI_DATA', str(data))
    if not has_filters:  # as Debian 12's Python 3.11.2
        extract = tarfile.TarFile.extractall
        monkeypatch.delattr(tarfile, 'data_filter', raising=False)
        monkeypatch.setattr(
            tarfile.TarFile, 'extractall', lambda archive, path: extract(archive, path))
    folder = find_excerpt('kitti_0001', tmp_path / 'cache')
    assert (folder / 'file').read_text() == 'content'
    assert [path.name for path in (tmp_path / 'cache').iterdir()] == ['kitti_0001']


def read_matrix(path, name, shape):
    line = next(line for line in path.read_text().splitlines() if line.startswith(name + ':'))
    return np.array(line.split()[1:], float).reshape(shape)


def excerpt(drive, out):
    """Link every tenth frame of a real drive, so that numbers are missing and lines are left."""
    day = drive.parent
    for path in [*day.glob('calib_*'), *drive.rglob('timestamps*.txt'), *drive.rglob('*0.*')]:
        link = out / path.relative_to(day.parent)
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(path)
    return out


@pytest.mark.kitti
@pytest.mark.parametrize(('name', 'count'), [('kitti_0001', 11), ('kitti_0052', 8)])
def test_real_drives_project_as_in_kitti(kitti_root, tmp_path, name, count):
    day = kitti_root / name / '2011_09_26'
    drive = next(day.glob('*_sync'))
    bag = convert(excerpt(drive, tmp_path / 'excerpt'), tmp_path / 'bag')
    projection = read_matrix(day / 'calib_cam_to_cam.txt', 'P_rect_02', (3, 4))
    rectification = read_matrix(day / 'calib_cam_to_cam.txt', 'R_rect_00', (3, 3))
    velo_to_cam = np.column_stack([
        read_matrix(day / 'calib_velo_to_cam.txt', 'R', (3, 3)),
        read_matrix(day / 'calib_velo_to_cam.txt', 'T', (3, 1))])
    got = list(frames(bag, rectified=['camera_02']))
    for frame in frames(bag):
        check_pixels(frame, 'camera_02', projection, rectification, velo_to_cam)
    lines = (drive / 'velodyne_points' / 'timestamps.txt').read_text().splitlines()
    assert [frame.cloud.stamp for frame in got] == [utc(line) for line in lines[::10]]
    assert len(got) == count
    for frame in got:
        check_pixels(frame, 'camera_02', projection, rectification, velo_to_cam)
    if name == 'kitti_0001':
        posed = [f.fixed_from_lidar[:3, 3] for f in frames(bag, cameras=[], fixed_frame='odom')]
        way = np.linalg.norm(np.diff(posed, axis=0), axis=1)
        assert 80 < way.sum() < 150, 'about 10 m/s for 10 s'


@pytest.mark.kitti
def test_real_object_frames_project_as_in_kitti(kitti_root, tmp_path):
    bag = convert(kitti_root / 'kitti_frames' / 'training', tmp_path / 'bag', '--images', 'jpeg')
    names = sorted(p.stem for p in (kitti_root / 'kitti_frames/training/velodyne').iterdir())
    got = list(frames(bag, rectified=['camera_02']))
    assert len(got) == len(names) == 10
    for name, frame in zip(names, got, strict=True):
        path = kitti_root / 'kitti_frames/training/calib' / f'{name}.txt'
        check_pixels(frame, 'camera_02', read_matrix(path, 'P2', (3, 4)),
                     read_matrix(path, 'R0_rect', (3, 3)),
                     read_matrix(path, 'Tr_velo_to_cam', (3, 4)))
