"""ESPNetv2: shapes, layers against plain formulas, published weights, files, training."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional
from xmodelkd_ros.bags.excerpts import excerpt_folder
from xmodelkd_ros.errors import CheckpointError, ConfigurationError
from xmodelkd_ros.labels import ALL_CLASSES, CITYSCAPES_NAMES
from xmodelkd_ros.networks.espnetv2 import EspNetV2, EspNetV2Config
from xmodelkd_ros.networks.espnetv2_units import _interleave, Down, Eesp, Pyramid, Skip
from xmodelkd_ros.networks.espnetv2_weights import (
    from_published,
    load_espnetv2,
    PUBLISHED_NAMES,
    save_espnetv2,
)

SMALL = EspNetV2Config(encoder=(16, 32, 48, 64), blocks=(1, 1), decoder=(8, 6, 4), pyramid=4)
CLASSES = ALL_CLASSES[1:]


@pytest.fixture(scope='session')
def published():
    """Return the folder of the published Cityscapes weights; skip where it is not there."""
    folder = excerpt_folder() / 'espnetv2_cityscapes'
    if not folder.is_dir():
        pytest.skip(f'the weights of ESPNetv2 are not there: {folder}')
    return folder


def small():
    torch.manual_seed(0)
    return EspNetV2(SMALL, len(CLASSES)).eval()


@pytest.mark.parametrize('size', [(32, 32), (64, 96), (96, 320)])
def test_outputs_have_a_quarter_and_half_of_the_size(size):
    network = small()
    with torch.inference_mode():
        features, logits = network(torch.randn(2, 3, *size))
    assert features.shape == (2, network.feature_size, size[0] // 4, size[1] // 4)
    assert logits.shape == (2, len(CLASSES), size[0] // 2, size[1] // 2)


def test_logits_alone_are_the_same():
    network, picture = small(), torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network.logits(picture), network(picture)[1])


def test_parameters_are_as_many_as_the_paper_says():
    # Scale 2.0 has 3.5 M with its ImageNet classifier of 1280 x 1000; a segmenter less than 1 M.
    count = sum(p.numel() for p in EspNetV2(EspNetV2Config(), 20).parameters())
    assert 0.75e6 < count < 0.85e6


def test_dilated_branches_add_up_step_by_step():
    torch.manual_seed(0)
    unit = Eesp(16, 16, (1, 2, 3, 4)).eval()
    x = torch.randn(1, 16, 12, 14)
    with torch.inference_mode():
        projected = unit.project(x)
        branches = [
            functional.conv2d(projected, b.weight, padding=d, dilation=d, groups=4)
            for d, b in enumerate(unit.branches, 1)
        ]
        total = torch.cat([sum(branches[:k + 1]) for k in range(4)], 1)
        wanted = unit.act(unit.expand(unit.fused(total)) + x)
        torch.testing.assert_close(unit(x), wanted)


def test_down_reinforces_with_the_picture_at_its_size():
    torch.manual_seed(0)
    down = Down(16, 32).eval()
    x, picture = torch.randn(1, 16, 16, 24), torch.randn(1, 3, 32, 48)
    with torch.inference_mode():
        found = down(x, picture)
        other = down(x, picture * 0)
    assert found.shape == (1, 32, 8, 12)
    assert not torch.allclose(found, other)


def test_skip_weighs_channels_by_the_global_mean():
    torch.manual_seed(0)
    skip, x = Skip(16, 8).eval(), torch.randn(2, 16, 6, 8)
    with torch.inference_mode():
        mean = x.flatten(2).mean(2)
        weight = torch.sigmoid(mean @ skip.weigh.weight[:, :, 0, 0].t())
        torch.testing.assert_close(skip(x), skip.mix(x) * weight[:, :, None, None])


def test_pyramid_keeps_tiny_maps_finite():
    pyramid = Pyramid(8, 4, 6).eval()
    with torch.inference_mode():
        assert torch.isfinite(pyramid(torch.randn(1, 8, 1, 2))).all()


def test_interleave_puts_channels_side_by_side():
    x = torch.arange(6.).view(1, 6, 1, 1)
    assert _interleave(x, 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize('wrong', [
    {'encoder': (32, 128, 256)}, {'encoder': (30, 128, 256, 512)}, {'blocks': (1,)},
    {'encoder': (32, 32, 64, 128)}, {'decoder': ()},
])
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        EspNetV2Config(**wrong)


# Files


def test_a_checkpoint_gives_the_network_and_its_classes_back(tmp_path):
    path, network, picture = tmp_path / 'image.safetensors', small(), torch.randn(1, 3, 32, 64)
    save_espnetv2(path, network, CLASSES, {'steps': 3})
    again, names = load_espnetv2(path)
    assert names == tuple(row.name for row in CLASSES) and not again.training
    with torch.inference_mode():
        torch.testing.assert_close(again(picture), network(picture), atol=0.02, rtol=0.02)


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / 'other.pth'
    torch.save({'conv.weight': torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match='not weights of ESPNetv2'):
        load_espnetv2(path)
    with pytest.raises(CheckpointError, match='there are no such'):
        load_espnetv2(tmp_path / 'none.pth')
    with pytest.raises(CheckpointError, match='no such checkpoint'):
        load_espnetv2(tmp_path / 'none.safetensors')


def test_published_weights_load_strictly_and_see_a_road(published, kitti_root):
    picture = cv2.imread(str(sorted(kitti_root.glob('kitti_0052/**/image_02/data/*'))[0]))
    rgb = cv2.resize(picture, (864, 256), interpolation=cv2.INTER_AREA)[..., ::-1] / 255
    normal = (rgb - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    for path in sorted(published.glob('*.pth')):
        network, names = load_espnetv2(path)
        assert names == PUBLISHED_NAMES and len(names) == 20
        pixels = torch.from_numpy(normal.astype(np.float32)).permute(2, 0, 1)[None]
        with torch.inference_mode():
            label = network.logits(pixels)[0].argmax(0).numpy()
        share = np.bincount(label.ravel(), minlength=20) / label.size
        # A traffic jam below a bridge: road in front, cars and a lorry, trees, sky.
        for name, least in (('road', 0.05), ('car', 0.1), ('vegetation', 0.02), ('sky', 0.03)):
            assert share[CITYSCAPES_NAMES.index(name)] > least, (path.name, name, share)
        assert label[124, 200] == CITYSCAPES_NAMES.index('road')


def test_published_names_become_ours_one_to_one(published):
    state = torch.load(
        published / 'espnetv2_s_2.0_city_512x256.pth', map_location='cpu', weights_only=True)
    renamed = from_published(state)
    assert len(renamed) == len(state) == len(EspNetV2(EspNetV2Config(), 20).state_dict())
