"""Supervised training of an image teacher on a world of flat colours."""

from __future__ import annotations

import numpy as np
import pytest
from stopped_run import check_resumed_equals_whole
import torch
from xmodelkd_ros.cli import evaluate
from xmodelkd_ros.distillation.teachers.teacher import make_teacher
from xmodelkd_ros.errors import BagError
from xmodelkd_ros.geometry.cameras import Camera
from xmodelkd_ros.labels import ALL_CLASSES, ID_BY_NAME, ID_FROM_CITYSCAPES, PALETTE
from xmodelkd_ros.networks.espnetv2 import EspNetV2, EspNetV2Config
from xmodelkd_ros.networks.espnetv2_weights import load_espnetv2, PUBLISHED_NAMES, save_espnetv2
from xmodelkd_ros.records import Cloud, Frame, Picture, View

pytest.importorskip('pytorch_lightning')
from xmodelkd_ros.training.cache import open_drive, write_drive  # noqa: E402
from xmodelkd_ros.training.point.losses import IGNORED  # noqa: E402
from xmodelkd_ros.training.run_config import RunConfig  # noqa: E402
from xmodelkd_ros.training.teacher.module import TeacherModule  # noqa: E402
from xmodelkd_ros.training.teacher.pictures import PictureDataset  # noqa: E402
from xmodelkd_ros.training.teacher.training import (  # noqa: E402
    CLASSES,
    starting_network,
    TeacherTrainingConfig,
    train_teacher,
)
from xmodelkd_ros.training.video.augmentation import VideoAugmentationConfig  # noqa: E402

SMALL = EspNetV2Config(encoder=(16, 32, 48, 64), blocks=(0, 0), decoder=(8, 6, 4), pyramid=4)
SEEN = [ID_BY_NAME[name] for name in ('road', 'car', 'sky')]


def picture(seed, labelled=True):
    """Return blocks of classes in the colours of the palette."""
    random = np.random.default_rng(seed)
    label = np.kron(random.choice(SEEN, (2, 2)), np.ones((32, 32))).astype(np.uint8)
    return Picture(seed, PALETTE[label], label if labelled else None)


@pytest.fixture
def drive(tmp_path):
    return make_drive(tmp_path / 'drive')


def make_drive(folder, labelled=True):
    camera = Camera.__new__(Camera)
    cloud = Cloud(0, np.zeros((0, 3), np.float32))
    frames = (
        Frame(cloud, {'front': View('front', picture(i, labelled), camera, np.eye(4))})
        for i in range(6)
    )
    write_drive(frames, folder, 'test')
    return folder


def config(**changes):
    augmentation = VideoAugmentationConfig(
        zoom=1.0, shrink=1.0, stretch=0.0, shake=0.0, tone=0.0, saturation=0.0, fault=0.0)
    run = RunConfig(epochs=16, workers=0, precision='32-true')
    values = {'network': SMALL, 'augmentation': augmentation, 'run': run, 'batch': 2, 'width': 64,
              'height': 64, 'validate_every': 6, 'rate': 0.05, 'warm_up': 2, **changes}
    return TeacherTrainingConfig(**values)


def test_a_trained_teacher_knows_its_world(drive, tmp_path, capsys):
    path = train_teacher([drive], [drive], tmp_path / 'run', config(), tmp_path / 'cache')
    _, names = load_espnetv2(path)
    assert names == tuple(row.name for row in ALL_CLASSES[1:])
    teacher = make_teacher(f'espnetv2:{path}', 'cpu')
    unseen = picture(99)
    logits = teacher([unseen.rgb])[0].logits
    found = logits.argmax(0).numpy() + 1
    assert (found == unseen.label[::2, ::2]).mean() > 0.9
    assert evaluate.main(['teacher', str(drive), '--model', f'espnetv2:{path}']) == 0
    pixels = sum(int((picture(k).label == SEEN[0]).sum()) for k in (0, 4))  # every fourth frame
    told = capsys.readouterr().out.splitlines()
    assert told[-1].startswith(f'model espnetv2:{path}, SHA-256 {teacher.sha256}; Python 3')
    row, = (line.split() for line in told if 'road' in line)
    assert int(row[1]) == pixels and float(row[2]) > 80


class Edge(torch.nn.Module):
    """Two classes with an edge between columns 31 and 32, seen `shift` pixels too far left."""

    def __init__(self, shift):
        super().__init__()
        self.shift = shift

    def logits(self, image):
        height, width = (n // 2 for n in image.shape[2:])
        behind = 2 * torch.arange(width) + 0.5 + self.shift - 31.5
        return torch.stack([-behind, behind])[None, :, None].expand(1, 2, height, width)


def test_the_loss_is_least_where_cells_answer_for_their_centres():
    target = (torch.arange(64) > 31).long().expand(1, 32, 64)

    def loss(shift):
        module = TeacherModule(Edge(shift), CLASSES[:2], torch.ones(2),
                               TeacherTrainingConfig(lovasz=0.0))
        module.log_dict = lambda *_, **__: None
        return float(module.training_step((torch.zeros(1, 3, 32, 64).byte(), target), 0))

    assert loss(0) < loss(0.25) == pytest.approx(loss(-0.25))


def test_samples_pair_pixels_and_targets(drive):
    plain = PictureDataset([open_drive(drive)], CLASSES, every=2)
    assert len(plain) == 3
    image, target = plain[1]
    assert (target.numpy() == picture(2).label - 1).all()
    assert (image.permute(1, 2, 0).numpy() == picture(2).rgb).all()
    counts = plain.counts(len(CLASSES))
    assert counts.sum() == 3 * target.numel() == counts[[i - 1 for i in SEEN]].sum()
    shrunk = VideoAugmentationConfig(zoom=1.0, shrink=4.0, tone=0.0, saturation=0.0, fault=0.0)
    varied = PictureDataset([open_drive(drive)], CLASSES, (64, 64), shrunk)
    for image, target in (varied[k] for k in range(6)):
        inside = target != IGNORED
        assert image.shape == (3, 64, 64) and inside.sum() > 0
        colour = torch.from_numpy(PALETTE[target[inside].numpy() + 1].astype(int))
        exact = (image.permute(1, 2, 0)[inside].int() - colour).abs().amax(1) < 8
        assert exact.float().mean() > 0.6  # but for the borders of blocks, which are blurred


def test_a_stopped_run_ends_as_if_nothing_had_been(drive, tmp_path, monkeypatch):
    how = config(
        augmentation=VideoAugmentationConfig(),
        run=RunConfig(epochs=3, workers=0, precision='32-true'))

    def train(out, resume):
        train_teacher([drive], [drive], out, how, tmp_path / 'cache', resume)

    check_resumed_equals_whole(train, TeacherModule, tmp_path, monkeypatch)


def test_pictures_without_labels_are_refused(tmp_path):
    folder = make_drive(tmp_path / 'blind', labelled=False)
    with pytest.raises(BagError, match='blind has no true labels of pictures of front'):
        train_teacher([folder], [folder], tmp_path / 'run', config(), tmp_path / 'cache')


def test_a_start_keeps_what_it_knows_of_each_class(tmp_path):
    torch.manual_seed(0)
    published = EspNetV2(EspNetV2Config(), len(PUBLISHED_NAMES))
    path = tmp_path / 'cityscapes.pth'
    from xmodelkd_ros.networks import espnetv2_weights
    names, espnetv2_weights.from_published = espnetv2_weights.from_published, dict
    try:
        torch.save(published.state_dict(), path)
        network = starting_network(config(start=str(path)), CLASSES)
    finally:
        espnetv2_weights.from_published = names
    given = published.state_dict()['classify.out.weight']
    for row, kind in zip(network.state_dict()['classify.out.weight'], CLASSES, strict=True):
        alike = given[:19][torch.from_numpy(kind.id == ID_FROM_CITYSCAPES)]
        if len(alike):
            torch.testing.assert_close(row, alike.mean(0))
    stem = network.state_dict()['stem.0.weight']
    torch.testing.assert_close(stem, published.state_dict()['stem.0.weight'])


def test_a_start_from_our_own_checkpoint_changes_nothing(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / 'image.safetensors'
    given = EspNetV2(SMALL, len(CLASSES))
    save_espnetv2(path, given, CLASSES, {})
    state = starting_network(config(start=str(path)), CLASSES).state_dict()
    for name, tensor in given.state_dict().items():
        torch.testing.assert_close(state[name], tensor, atol=1e-3, rtol=1e-3)
