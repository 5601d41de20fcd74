"""Small made-up data sets in each of KITTI's layouts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT = 40, 24
POINTS = 30


def _line(name, values):
    return f'{name}: ' + ' '.join(f'{value:.12e}' for value in np.ravel(values)) + '\n'


def rotation(seed):
    """Return a small rotation, 3 by 3."""
    matrix, _ = cv2.Rodrigues(np.random.default_rng(seed).normal(0, 0.02, 3))
    return matrix


VELO_TO_CAM = np.column_stack([
    rotation(1) @ np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]]), [0.01, -0.08, -0.27]])
IMU_TO_VELO = np.column_stack([rotation(2), [-0.8, 0.3, -0.8]])
RECT0 = rotation(3)


def projection(number):
    """Return P_rect (3, 4) of camera `number`, with a baseline in all three directions."""
    matrix = np.array([[30.0, 0, 19.5], [0, 31.0, 11.5], [0, 0, 1]])
    baseline = np.array([[0.06 - 0.17 * number], [0.002 * number], [0.001 * number]])
    return matrix @ np.hstack([np.eye(3), baseline])


def write_calibration(day: Path) -> None:
    """Write the three calibration files of a raw day."""
    day.mkdir(parents=True, exist_ok=True)
    text = 'calib_time: 09-Jan-2012 13:57:47\n'
    for number in range(4):
        text += _line(f'S_rect_{number:02}', [WIDTH, HEIGHT])
        text += _line(f'K_{number:02}', [[33, 0, 20], [0, 34, 12], [0, 0, 1]])
        text += _line(f'D_{number:02}', [-0.3, 0.1, 0.001, -0.002, -0.03])
        text += _line(f'R_rect_{number:02}', RECT0 if number == 0 else rotation(10 + number))
        text += _line(f'P_rect_{number:02}', projection(number))
    (day / 'calib_cam_to_cam.txt').write_text(text)
    for name, transform in (('velo_to_cam', VELO_TO_CAM), ('imu_to_velo', IMU_TO_VELO)):
        entries = _line('R', transform[:, :3]) + _line('T', transform[:, 3])
        (day / f'calib_{name}.txt').write_text('calib_time: 15-Mar-2012\n' + entries)


def sweep(number) -> np.ndarray:
    """Return the (N, 4) float32 points of a frame."""
    rng = np.random.default_rng(number)
    points = rng.uniform([2, -3, -2], [20, 3, 2], (POINTS, 3))
    return np.column_stack([points, rng.uniform(0, 1, POINTS)]).astype(np.float32)


def picture(number) -> np.ndarray:
    """Return the (H, W, 3) uint8 BGR picture of a frame."""
    rough = np.random.default_rng(number).integers(0, 255, (2, 3, 3), np.uint8)
    return cv2.resize(rough, (WIDTH, HEIGHT))


def _stamps(path: Path, count: int, offset_ms: int, empty=()) -> None:
    lines = [
        '' if number in empty else
        f'2011-09-26 13:02:{25 + number // 10:02}.{number % 10}{offset_ms:02}123456'
        for number in range(count)
    ]
    path.write_text('\n'.join(lines) + '\n')


def raw_drive(root: Path, frames=6, cameras=('02',), missing=(), suffix='.png') -> Path:
    """Write a raw drive with calibration; sweeps `missing` have an empty line, as KITTI has it."""
    day = root / '2011_09_26'
    write_calibration(day)
    drive = day / '2011_09_26_drive_0001_sync'
    velodyne, oxts = drive / 'velodyne_points', drive / 'oxts'
    for folder in (velodyne / 'data', oxts / 'data'):
        folder.mkdir(parents=True)
    _stamps(velodyne / 'timestamps.txt', frames, 10, missing)
    _stamps(velodyne / 'timestamps_end.txt', frames, 60, missing)
    _stamps(oxts / 'timestamps.txt', frames, 20)
    for number in range(frames):
        if number not in missing:
            sweep(number).tofile(velodyne / 'data' / f'{number:010}.bin')
        values = [49.0 + 1e-5 * number, 8.4 + 2e-5 * number, 110 + 0.1 * number,
                  0.01 * number, -0.02, 0.3 + 0.05 * number] + [0] * 24
        (oxts / 'data' / f'{number:010}.txt').write_text(' '.join(map(str, values)))
    for camera in cameras:
        folder = drive / f'image_{camera}'
        (folder / 'data').mkdir(parents=True)
        _stamps(folder / 'timestamps.txt', frames, 15)
        for number in range(frames):
            cv2.imwrite(str(folder / 'data' / f'{number:010}{suffix}'), picture(number))
    return drive


def sequence(root: Path, frames=4) -> Path:
    """Write a SemanticKITTI sequence with labels, poses and one camera."""
    folder = root / 'sequences' / '08'
    for name in ('velodyne', 'labels', 'image_2'):
        (folder / name).mkdir(parents=True)
    (folder / 'calib.txt').write_text(
        ''.join(_line(f'P{n}', projection(n)) for n in range(4))
        + _line('Tr', RECT0 @ VELO_TO_CAM))
    (folder / 'times.txt').write_text('\n'.join(f'{0.1037 * n:.6e}' for n in range(frames)))
    poses = [np.column_stack([rotation(20 + n), [0.1 * n, 0, n]]) for n in range(frames)]
    (folder / 'poses.txt').write_text(
        '\n'.join(' '.join(f'{v:.9e}' for v in pose.ravel()) for pose in poses))
    for number in range(frames):
        sweep(number).tofile(folder / 'velodyne' / f'{number:06}.bin')
        raw_labels(number).tofile(folder / 'labels' / f'{number:06}.label')
        cv2.imwrite(str(folder / 'image_2' / f'{number:06}.png'), picture(number))
    return folder


def raw_labels(number) -> np.ndarray:
    """Return (N,) uint32: raw label ids below, instances above."""
    rng = np.random.default_rng(number)
    semantic = rng.choice([0, 10, 30, 40, 48, 50, 70, 71, 80, 252, 254, 259], POINTS)
    return (rng.integers(0, 500, POINTS) << 16 | semantic).astype(np.uint32)


def object_folder(root: Path, names=('000003', '000008', 'u_1')) -> Path:
    """Write single frames, each with a calibration of its own."""
    folder = root / 'training'
    for name in ('velodyne', 'calib', 'image_2'):
        (folder / name).mkdir(parents=True)
    for index, name in enumerate(names):
        sweep(index).tofile(folder / 'velodyne' / f'{name}.bin')
        cv2.imwrite(str(folder / 'image_2' / f'{name}.jpg'), picture(index))
        (folder / 'calib' / f'{name}.txt').write_text(
            ''.join(_line(f'P{n}', projection(n)) for n in range(4))
            + _line('R0_rect', rotation(30 + index)) + _line('Tr_velo_to_cam', VELO_TO_CAM) + '\n')
    return folder
