"""Training of the point segmenter: losses, augmentation, samples, and a whole small run."""

import dataclasses
import os
import signal
import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from stopped_run import check_resumed_equals_whole
import torch
from xmodelkd_ros.cli.train import main as train
from xmodelkd_ros.config import from_mapping
from xmodelkd_ros.inference.point_segmenter import PointSegmenter
from xmodelkd_ros.labels import POINT_CLASSES
from xmodelkd_ros.networks.checkpoint import load_checkpoint
from xmodelkd_ros.records import Cloud, Frame
from xmodelkd_ros.training.cache import write_drive
from xmodelkd_ros.training.point.augmentation import augment, front, PointAugmentation
from xmodelkd_ros.training.point.dataset import collate, PointDataset
from xmodelkd_ros.training.point.evaluation import evaluate_point
from xmodelkd_ros.training.point.losses import class_weights, IGNORED, lovasz_softmax, point_loss
from xmodelkd_ros.training.point.module import PointModule
from xmodelkd_ros.training.point.training import PointTrainingConfig, range_view, train_point
from xmodelkd_ros.training.segmentation_module import intersection_over_union

SMALL = {
    'network': {'channels': (8, 8, 8), 'blocks': (1, 1, 1), 'head': 8},
    'run': {'epochs': 1, 'workers': 0, 'precision': '32-true'},
    'batch': 2, 'sector': 256, 'points': 500, 'validate_every': 1, 'warm_up': 1,
}
NOTHING = PointAugmentation(*[0] * len(dataclasses.fields(PointAugmentation)))


def make_cloud(seed, count=6000):
    """Ground is road, what stands on it building."""
    rng = np.random.default_rng(seed)
    elevation = np.radians(np.array(range_view('hdl64e').elevations_deg))
    beam, azimuth = rng.integers(0, 64, count), rng.uniform(-np.pi, np.pi, count)
    rho = np.minimum(15.0, 1.9 / np.maximum(np.tan(-elevation[beam]), 1e-3))
    z = rho * np.tan(elevation[beam]) + np.where(beam < 32, 0.2, 0.12)
    points = np.stack([rho * np.cos(azimuth), rho * np.sin(azimuth), z], 1).astype(np.float32)
    label = np.where(rho < 15, 1, 4).astype(np.uint16)
    return Cloud(10**18 + seed, points, rng.random(count, 'f4'), label=label, instance=label)


@pytest.fixture(scope='module')
def drives(tmp_path_factory):
    folder = tmp_path_factory.mktemp('drives')
    return [
        write_drive([Frame(make_cloud(10 * k + i), {}) for i in range(4)], folder / str(k), 'test')
        for k in range(2)
    ]


def slow_lovasz(probabilities, target):
    """Equation by equation: sort the errors, add them one by one, measure 1 - IoU."""
    kept = target != IGNORED
    probabilities, target = probabilities[:, kept], target[kept]
    losses = []
    for c in np.unique(target):
        truth = target == c
        errors = np.where(truth, 1 - probabilities[c], probabilities[c])
        order = np.argsort(-errors, kind='stable')
        loss = before = 0.0
        for count in range(1, len(order) + 1):
            wrong = np.zeros(len(order), bool)
            wrong[order[:count]] = True
            found = truth ^ wrong
            jaccard = 1 - (truth & found).sum() / (truth | found).sum()
            loss += errors[order[count - 1]] * (jaccard - before)
            before = jaccard
        losses.append(loss)
    return np.mean(losses)


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_lovasz_against_a_loop(seed, count, classes):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(classes), count).T
    target = rng.integers(-1, classes, count)
    if (target == IGNORED).all():
        target[0] = 0
    found = lovasz_softmax(torch.from_numpy(probabilities), torch.from_numpy(target))
    assert float(found) == pytest.approx(slow_lovasz(probabilities, target), abs=1e-9)


@pytest.mark.parametrize('count', [0, 5])
def test_a_batch_of_which_nothing_is_known_costs_nothing(count):
    logits = torch.randn(3, count, requires_grad=True)
    target = torch.full((count,), IGNORED)
    loss = point_loss(logits, target, torch.ones(3), 1.0, 100)['loss']
    loss.backward()
    assert loss == 0 and (logits.grad == 0).all()


def test_lovasz_of_hard_predictions_is_one_minus_iou():
    target = torch.tensor([0, 0, 0, 1, 1, 2])
    said = torch.tensor([0, 0, 1, 1, 2, 2])
    hard = torch.nn.functional.one_hot(said, 3).t().double()
    expected = 1 - (2 / 3 + 1 / 3 + 1 / 2) / 3
    assert float(lovasz_softmax(hard, target)) == pytest.approx(expected)


def test_loss_without_any_target_is_zero():
    probabilities = torch.full((3, 4), 1 / 3, requires_grad=True)
    loss = lovasz_softmax(probabilities, torch.full((4,), IGNORED))
    loss.backward()
    assert float(loss) == 0 and (probabilities.grad == 0).all()


def test_loss_falls_when_followed():
    torch.manual_seed(0)
    logits = torch.zeros(4, 200, requires_grad=True)
    target = torch.randint(-1, 4, (200,))
    optimizer = torch.optim.SGD([logits], 20.0)
    first = float(point_loss(logits, target, torch.ones(4), 1.0, 100)['loss'])
    for _ in range(50):
        optimizer.zero_grad()
        point_loss(logits, target, torch.ones(4), 1.0, 100)['loss'].backward()
        optimizer.step()
    assert float(point_loss(logits, target, torch.ones(4), 1.0, 100)['loss']) < 0.2 * first
    assert (logits.detach()[:, target == IGNORED] == 0).all()


def test_class_weights_favour_the_rare():
    weight = class_weights(torch.tensor([1_000_000, 10_000, 100, 0]))
    assert (weight.diff() >= 0).all() and weight[0] < 1 < weight[2]
    assert float(weight.max()) <= 5 and float(weight.min()) >= 0.2


def test_intersection_over_union():
    iou = intersection_over_union(torch.tensor([[6, 2, 0], [1, 3, 0], [0, 0, 0]]))
    assert iou[:2].tolist() == pytest.approx([6 / 9, 3 / 6]) and iou[2].isnan()


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_augmentation_keeps_points_with_their_labels(seed):
    rng = np.random.default_rng(seed)
    cloud = make_cloud(seed, 400)
    points, intensity, kept = augment(
        cloud.points, cloud.intensity, PointAugmentation(), 2048, rng
    )
    assert points.shape == (len(kept), 3) and points.dtype == np.float32
    assert (np.diff(kept) > 0).all()
    if intensity is not None:
        assert intensity.shape == (len(kept),) and 0 <= intensity.min() <= intensity.max() <= 1
    before = np.linalg.norm(cloud.points[kept], axis=1)
    after = np.linalg.norm(points, axis=1)
    assert (np.abs(after - before) < 0.06 * before + 0.5).all()
    moved = np.abs(np.abs(points[:, 0]) - np.abs(cloud.points[kept, 0]))
    assert (moved < 0.06 * before + 0.5).all()


def test_no_augmentation_changes_nothing_but_the_side():
    cloud = make_cloud(1, 300)
    points, _, kept = augment(
        cloud.points, cloud.intensity, NOTHING, 2048, np.random.default_rng(0)
    )
    assert len(kept) == 300
    np.testing.assert_allclose(np.abs(points), np.abs(cloud.points), atol=1e-5)


def test_front_keeps_its_share():
    points = make_cloud(3, 8000).points
    turned, kept = front(points, 0.25, np.random.default_rng(0))
    assert 0.22 < len(kept) / 8000 < 0.28
    assert (np.abs(np.arctan2(turned[:, 1], turned[:, 0])) <= np.pi / 4 + 1e-6).all()
    np.testing.assert_allclose(
        np.linalg.norm(turned, axis=1), np.linalg.norm(points[kept], axis=1), rtol=1e-5
    )


@pytest.mark.parametrize('sector', [0, 256])
def test_samples_place_points_where_the_image_shows_them(drives, sector):
    data = PointDataset(drives, range_view('hdl64e'), POINT_CLASSES, None, sector)
    sample = data[1]
    assert sample.image.shape[1:3] == (10, 64)
    assert sample.image.shape[3] == (sector or 2048 + 64)
    flat = sample.image[0].reshape(10, -1)[:, sample.cell]
    same = (sample.features[5:7] == 0).all(0)
    assert same.float().mean() > 0.9
    torch.testing.assert_close(flat[:3, same], sample.features[:3, same])
    assert set(sample.target.tolist()) == {0, 3}


def test_batches_number_their_cells_apart(drives):
    data = PointDataset(drives, range_view('hdl64e'), POINT_CLASSES, None, 256, points=100)
    batch = collate([data[0], data[5]])
    assert batch.image.shape[0] == 2 and len(batch.target) == 200
    assert batch.features.shape == (8, 200)
    assert (batch.cell[:100] < 64 * 256).all() and (batch.cell[100:] >= 64 * 256).all()


def test_samples_follow_the_seed(drives):
    data = PointDataset(drives, range_view('hdl64e'), POINT_CLASSES, PointAugmentation(), 256)
    first, again, second = (data.sample(0, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert torch.equal(first.image, again.image) and not torch.equal(first.image, second.image)


@pytest.fixture(scope='module')
def trained(drives, tmp_path_factory):
    out = tmp_path_factory.mktemp('run')
    config = from_mapping(PointTrainingConfig, SMALL)
    folders = [d.folder for d in drives]
    return train_point(folders[:1], folders[1:], out, config, out / 'cache'), out


def test_a_run_ends_with_a_checkpoint_that_works(trained, drives):
    path, out = trained
    checkpoint = load_checkpoint(path, 'point')
    assert checkpoint.training['steps'] == 2 and checkpoint.training['validation_miou'] >= 0
    cloud = drives[1].cloud(0)
    assert PointSegmenter(path)(cloud.points, cloud.intensity).label.shape == cloud.label.shape
    assert (out / 'run.yaml').is_file() and list(out.glob('log/events*'))
    table = evaluate_point([drives[1].folder], path, 'cpu', out)
    assert 'building' in table and '4 sweeps' in table
    assert f'model {path}, SHA-256 {checkpoint.sha256}; Python 3' in table


def test_a_run_is_resumed(trained, drives, tmp_path):
    _, out = trained
    config = from_mapping(PointTrainingConfig, {**SMALL, 'run': {**SMALL['run'], 'epochs': 2}})
    folders = [d.folder for d in drives]
    train_point(folders[:1], folders[1:], out, config, out / 'cache', resume=True)
    state = torch.load(out / 'checkpoints' / 'last.ckpt', weights_only=False)
    assert state['global_step'] == 4 and state['epoch'] == 1


@pytest.mark.parametrize('workers', [0, 2])
def test_a_stopped_run_ends_as_if_nothing_had_been(drives, tmp_path, workers, monkeypatch):
    run = {**SMALL['run'], 'epochs': 2, 'workers': workers}
    config = from_mapping(PointTrainingConfig, {**SMALL, 'run': run})

    def train(out, resume):
        folders = [drive.folder for drive in drives]
        train_point(folders, folders[1:], out, config, tmp_path / 'cache', resume)

    check_resumed_equals_whole(train, PointModule, tmp_path, monkeypatch)


def test_a_run_is_not_overwritten(trained, drives, capsys):
    _, out = trained
    given = ['--drives', str(drives[0].folder), '--validation', str(drives[1].folder)]
    assert train(['point', *given, '--out', str(out)]) == 2
    assert 'it holds a run; --resume goes on with it' in capsys.readouterr().err


def test_faults_are_one_line(drives, tmp_path, capsys):
    given = ['--drives', str(drives[0].folder), '--validation', str(drives[1].folder)]
    for extra, text in (
        (['--resume'], 'last.ckpt'), (['--batch', '0'], 'batch = 0'), (['--lidar', 'x'], 'hdl64e'),
    ):
        assert train(['point', *given, '--out', str(tmp_path / 'out'), *extra]) == 2
        error = capsys.readouterr().err
        assert text in error and error.count('\n') == 1
    absent = ['--drives', 'absent', '--validation', 'absent', '--out', str(tmp_path / 'out')]
    assert train(['point', *absent]) == 2
    assert 'there is no bag at' in capsys.readouterr().err


@pytest.mark.timeout(300)
def test_two_processes_train_together(drives, tmp_path):
    flags = ' '.join((
        'point --run.devices 2 --run.epochs 1 --run.workers 0 --run.precision 32-true --batch 2',
        '--network.channels 8 8 8 --network.blocks 1 1 1 --network.head 8 --sector 256',
        '--points 500 --validate-every 1 --warm-up 1')).split()
    run = subprocess.Popen(
        [sys.executable, '-m', 'xmodelkd_ros.cli.train', *flags, '--out', str(tmp_path),
         '--drives', str(drives[0].folder), '--validation', str(drives[1].folder)],
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}, text=True,
        stdout=subprocess.PIPE, start_new_session=True)
    try:
        said = run.communicate(timeout=280)[0]
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == 0 and said.count('best checkpoint') == 1
    state = torch.load(tmp_path / 'checkpoints' / 'last.ckpt', weights_only=False)
    assert state['global_step'] == 1
