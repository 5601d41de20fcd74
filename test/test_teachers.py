"""Image teachers: kinds, averaging, identity, class names, adaptation."""

from __future__ import annotations

import copy
import json
import pickle
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from xmodelkd_ros.distillation.extraction.sightings import Answer
from xmodelkd_ros.distillation.teachers.adaptation import adapt_once
from xmodelkd_ros.distillation.teachers.classes import id_of_teacher_class, load_class_map
from xmodelkd_ros.distillation.teachers.network_teacher import NetworkTeacher, TeacherNetwork
from xmodelkd_ros.distillation.teachers.teacher import adapt, make_teacher
from xmodelkd_ros.errors import CheckpointError, ConfigurationError, MissingDependencyError
from xmodelkd_ros.geometry.pairing import Pairing
from xmodelkd_ros.labels import CITYSCAPES_NAMES, ID_BY_NAME, ID_FROM_CITYSCAPES, POINT_CLASSES
from xmodelkd_ros.networks.espnetv2 import EspNetV2, EspNetV2Config
from xmodelkd_ros.networks.espnetv2_weights import save_espnetv2

SIZE = (70, 130)
CPU = torch.device('cpu')


@pytest.fixture
def weights(tmp_path):
    """Return two small random networks as files."""
    config = EspNetV2Config(encoder=(16, 32, 48, 64), blocks=(1, 1), decoder=(8, 6, 4), pyramid=4)
    paths = []
    for seed in range(2):
        torch.manual_seed(seed)
        paths.append(tmp_path / f'small{seed}.safetensors')
        save_espnetv2(paths[-1], EspNetV2(config, len(POINT_CLASSES)), POINT_CLASSES, {})
    return paths


def pictures(count, size=SIZE, seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (count, *size, 3), np.uint8))


def same(found, wanted, tolerance=1e-5):
    torch.testing.assert_close(found, wanted, atol=tolerance, rtol=tolerance)


class Position(nn.Module):
    """Features: column and row of the cell centre as shares of the input; red as the logit."""

    def forward(self, pixels):
        height, width = (n // 4 for n in pixels.shape[2:])
        y = (torch.arange(height) + 0.5) / height
        x = (torch.arange(width) + 0.5) / width
        grid = torch.stack(torch.meshgrid(y, x, indexing='ij')).flip(0)
        mean = functional.avg_pool2d(pixels, 4)
        return grid.expand(len(pixels), -1, -1, -1), torch.cat([mean[:, :1], -mean[:, :1]], 1)


def position_teacher(scales=(1.0,), flip=False):
    network = TeacherNetwork(Position(), 'position', ('road', 'car'), (0., 0., 0.), (1., 1., 1.))
    return NetworkTeacher('position', [network], scales, flip, CPU)


def test_outputs_cover_the_image_whatever_its_size():
    image = np.zeros((*SIZE, 3), np.uint8)
    image[:, SIZE[1] // 2:, 0] = 255
    for scale in (0.5, 1.0, 2.0):
        out, = position_teacher((scale,))([image])
        at = torch.tensor([[[[0.5 / 130, 0.5 / 70], [97.5 / 130, 35.5 / 70]]]]) * 2 - 1
        seen = functional.grid_sample(
            out.features[None], at, padding_mode='border', align_corners=False)[0, :, 0]
        cell = 1 / torch.tensor(out.features.shape[:0:-1])
        assert torch.all((seen[:, 0] - torch.tensor([0.5 / 130, 0.5 / 70])).abs() <= cell)
        same(seen[:, 1], torch.tensor([97.5 / 130, 35.5 / 70]), 1e-3)
        red = functional.interpolate(out.logits[None], SIZE, mode='bilinear')[0, 0]
        assert red[:, :58].max() < 0.1 and red[:, 72:].min() > 0.9
        same(red[:, 64:66].mean(), torch.tensor(0.5), 0.02)


class Blocks(nn.Module):
    """Features: red and green, averaged over cells of 4 x 4 pixels."""

    def forward(self, pixels):
        return functional.avg_pool2d(pixels, 4)[:, :2], None


def asked(teacher, image):
    """Return pixels well inside an image and what a teacher says there, both (M, 2)."""
    height, width = image.shape[:2]
    pixels = np.random.default_rng(1).uniform(8, (width - 9, height - 9), (4000, 2))
    pairing = Pairing(np.arange(4000), pixels.astype(np.float32), np.ones(4000, np.float32))
    answer = Answer(teacher([image])[0], (height, width), None, None)
    return pixels, answer.features(pairing).astype(float)


@pytest.mark.parametrize('scale', [0.5, 1.0, 2.0])
def test_what_a_teacher_says_of_a_place_is_found_at_its_pixel(scale):
    pixels, found = asked(position_teacher((scale,)), np.zeros((*SIZE, 3), np.uint8))
    assert np.abs(found * SIZE[::-1] - 0.5 - pixels).max() < 0.05


@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize('size', [(64, 128), SIZE, (90, 150), (74, 150), (90, 140)])
def test_what_a_picture_shows_at_a_place_is_found_at_its_pixel(size, flip):
    """Whether the networks see it as it is, smaller, larger, or smaller one way alone."""
    ramp = np.zeros((*size, 3), np.uint8)
    ramp[..., 1], ramp[..., 0] = np.indices(size)
    network = TeacherNetwork(Blocks(), 'blocks', None, (0., 0., 0.), (1 / 255,) * 3)
    teacher = NetworkTeacher('blocks', [network], (1.0,), flip, CPU)
    (pixels, up), (_, down) = asked(teacher, ramp), asked(teacher, 255 - ramp)
    found = (up + 255 - down) / 2  # OpenCV rounds down when it resizes
    for half in pixels[:, 0] < size[1] / 2, pixels[:, 0] >= size[1] / 2:
        assert np.abs((found - pixels)[half].mean(0)).max() < 0.05


def test_images_of_several_sizes_come_back_in_order(weights):
    teacher = make_teacher(f'espnetv2:{weights[0]}', 'cpu')
    images = [*pictures(2), *pictures(1, (64, 96)), *pictures(1, seed=1)]
    together = teacher(images)
    for image, out in zip(images, together, strict=True):
        alone, = teacher([image])
        same(out.features, alone.features, 0.05)  # bf16
        same(out.logits, alone.logits, 0.05)
        assert out.features.dtype == out.logits.dtype == torch.float32
    assert teacher.feature_size == together[0].features.shape[0] == 12


def test_average_of_networks_scales_and_mirror_images_equals_the_slow_way(weights):
    spec = f'espnetv2:{weights[0]},{weights[1]}@1,0.5+flip'
    image, = pictures(1, (128, 192))
    out, = make_teacher(spec, 'cpu')([image])
    probabilities, features = [], []
    for path in weights:
        own = []
        for scale in (1, 0.5):
            single = make_teacher(f'espnetv2:{path}@{scale}', 'cpu')
            for mirrored in (False, True):
                look, = single([image[:, ::-1] if mirrored else image])
                x, y = look.features, look.logits.softmax(0)
                x, y = (x.flip(2), y.flip(2)) if mirrored else (x, y)
                own.append(functional.interpolate(x[None], (32, 48), mode='bilinear')[0])
                probabilities.append(functional.interpolate(y[None], (64, 96), mode='bilinear')[0])
        features.append(sum(own) / len(own))
    same(out.features, features[0], 1e-4)
    same(out.logits.softmax(0), sum(probabilities) / len(probabilities), 1e-4)


def test_identity_follows_weights_scales_and_adaptation(weights):
    one, other = (f'espnetv2:{path}' for path in weights)
    teachers = [make_teacher(s, 'cpu') for s in (one, other, f'{one}@0.5', f'{one}+flip')]
    teachers.append(adapt(teachers[0], pictures(2)))
    assert len({t.sha256 for t in teachers}) == len(teachers)
    assert make_teacher(one, 'cpu').sha256 == teachers[0].sha256
    assert pickle.loads(pickle.dumps(teachers[0])).sha256 == teachers[0].sha256


def test_adaptation_changes_only_the_statistics_of_batch_norms(weights):
    teacher = make_teacher(f'espnetv2:{weights[0]}', 'cpu')
    before = copy.deepcopy(teacher.networks[0].module.state_dict())
    adapted = adapt(teacher, pictures(3), 0.5)
    after = adapted.networks[0].module.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {n for n in before if n.endswith(('running_mean', 'running_var'))}
    assert all(not m.training for m in adapted.networks[0].module.modules())
    kept = teacher.networks[0].module.state_dict()
    assert all(torch.equal(before[name], kept[name]) for name in before)


def test_adaptation_mixes_old_and_new_statistics(weights):
    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(3)

        def forward(self, pixels):
            return self.norm(pixels), None

    network = TeacherNetwork(Norm().eval(), 'norm', None, (0.,) * 3, (1.,) * 3, mixed=False)
    images = pictures(4, (64, 64))
    pixels = torch.from_numpy(np.stack(images)).double() / 255
    mean = pixels.mean((0, 1, 2))
    variance = pixels.var((0, 1, 2))
    for share in (0.25, 1.0):
        adapted = adapt(NetworkTeacher('norm', [network], (1.0,), False, CPU), images, share)
        norm = adapted.networks[0].module.norm
        same(norm.running_mean.double(), share * mean, 1e-4)
        same(norm.running_var.double(), (1 - share) + share * variance, 1e-4)


def test_adaptation_says_where_there_is_nothing_to_adapt():
    with pytest.raises(ConfigurationError, match='none'):
        adapt(position_teacher(), pictures(1))
    with pytest.raises(ConfigurationError, match='share'):
        adapt(position_teacher(), pictures(1), 0.0)


def test_a_teacher_without_batch_norms_stays_as_it_is_and_that_is_said_once(tmp_path, caplog):
    path = tmp_path / 'teacher.safetensors'
    for _ in range(2):
        teacher = position_teacher()
        assert adapt_once(teacher, [tmp_path / 'no bag'], 0.5, 8, path) is teacher
    assert caplog.messages == ['position is not adapted to the pictures: it has no batch norms']
    assert not path.exists()


@pytest.mark.parametrize('spec', ['espnetv2', 'resnet:a', 'espnetv2:', 'espnetv2:a.pth@9'])
def test_wrong_descriptions_are_refused(spec):
    with pytest.raises(ConfigurationError, match=r'espnetv2|resnet'):
        make_teacher(spec, 'cpu')


@pytest.mark.parametrize('kind', ['espnetv2', 'exported', 'torchscript'])
def test_missing_and_damaged_files_are_named(kind, tmp_path):
    path = tmp_path / 'weights.pth'
    with pytest.raises(CheckpointError, match=r'weights\.pth: there'):
        make_teacher(f'{kind}:{path}', 'cpu')
    path.write_bytes(b'nothing of use')
    with pytest.raises(CheckpointError, match=r'weights\.pth: not'):
        make_teacher(f'{kind}:{path}', 'cpu')


# Class names


def test_cityscapes_and_own_names_are_known():
    assert (id_of_teacher_class(CITYSCAPES_NAMES) == ID_FROM_CITYSCAPES).all()
    names = tuple(ID_BY_NAME)
    assert id_of_teacher_class(names).tolist() == list(ID_BY_NAME.values())


def test_names_of_other_data_sets_map_by_meaning():
    found = id_of_teacher_class(['Tree', ' grass', 'Person, individual, someone, somebody, '
                                 'mortal, soul', 'background'])
    assert found.tolist() == [ID_BY_NAME[n] for n in ('vegetation', 'terrain', 'person',
                                                      'unlabelled')]


def test_unknown_names_are_named_and_a_map_gives_them(tmp_path):
    names = ['road', 'sofa', 'cliff']
    with pytest.raises(ConfigurationError, match=r"\['sofa', 'cliff'\]"):
        id_of_teacher_class(names)
    path = tmp_path / 'map.yaml'
    path.write_text('cliff: terrain\nroad: sidewalk\n"*": unlabelled\n')
    assert id_of_teacher_class(names, load_class_map(path)).tolist() == [2, 0, 3]
    with pytest.raises(ConfigurationError, match='vehicle'):
        id_of_teacher_class(names, {'sofa': 'vehicle', '*': 'road'})


@pytest.mark.parametrize('text', ['- road', 'road: 3', '{', None])
def test_unreadable_class_maps_are_refused(text, tmp_path):
    path = tmp_path / 'map.yaml'
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match=r'map\.yaml'):
        load_class_map(path)


def test_a_teacher_with_unknown_classes_is_refused_at_once(tmp_path):
    path = script(tmp_path, {'class_names': ['sofa', 'road', 'car', 'sky', 'bus']})
    with pytest.raises(ConfigurationError, match='sofa'):
        make_teacher(f'torchscript:{path}', 'cpu')
    teacher = make_teacher(f'torchscript:{path}', 'cpu', {'sofa': 'terrain'})
    assert teacher.class_names[0] == 'sofa' and teacher.class_ids.tolist() == [3, 1, 10, 16, 12]


# Programs


class Tiny(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.features = nn.Conv2d(3, 6, 3, 2, 1)
        self.classify = nn.Conv2d(6, max(1, classes), 1)
        self.classes = classes

    def forward(self, pixels):
        features = self.features(pixels)
        return (features, self.classify(features)) if self.classes else features


def script(folder, metadata, classes=5):
    path = folder / 'tiny.pt'
    traced = torch.jit.trace(Tiny(classes).eval(), torch.zeros(1, 3, 64, 64))
    torch.jit.save(traced, str(path), _extra_files={'teacher.json': json.dumps(metadata)})
    return path


def export(folder, metadata, classes=5):
    path = folder / 'tiny.pt2'
    network = Tiny(classes).eval()
    example = torch.zeros(1 if 'size' in metadata else 2, 3, 64, 96)
    auto = torch.export.Dim.AUTO
    shapes = None if 'size' in metadata else ({0: auto, 2: auto, 3: auto},)
    program = torch.export.export(network, (example,), dynamic_shapes=shapes)
    torch.export.save(program, path, extra_files={'teacher.json': json.dumps(metadata)})
    return path


@pytest.mark.parametrize(('kind', 'save'), [('exported', export), ('torchscript', script)])
def test_programs_give_what_the_module_gives(kind, save, tmp_path):
    names = ['road', 'sidewalk', 'car', 'person', 'sky']
    values = {'class_names': names, 'mean': [0, 0, 0], 'deviation': [1, 1, 1], 'multiple': 16}
    torch.manual_seed(3)
    path = save(tmp_path, values)
    teacher = make_teacher(f'{kind}:{path}', 'cpu')
    image, = pictures(1, (96, 128))
    out, = teacher([image])
    torch.manual_seed(3)
    features, logits = Tiny(5)(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)
    same(out.features, features[0])
    same(out.logits, logits[0])
    assert teacher.class_names == tuple(names) and teacher.feature_size == 6
    again = pickle.loads(pickle.dumps(teacher))
    same(again([image])[0].features, out.features)
    assert again.sha256 == teacher.sha256
    with pytest.raises(ConfigurationError, match='none'):
        adapt(teacher, [image])


def test_a_program_of_one_size_sees_that_size(tmp_path):
    teacher = make_teacher(f'exported:{export(tmp_path, {"size": [64, 96]}, classes=0)}', 'cpu')
    images = pictures(2, (120, 200))
    together = teacher(images)
    assert teacher.class_names is None and together[0].logits is None
    for image, out in zip(images, together, strict=True):
        assert out.features.shape == (6, 32, 48)
        same(out.features, teacher([image])[0].features)


@pytest.mark.parametrize('metadata', [{'names': []}, {'size': 3}, []])
def test_unusable_metadata_are_refused(metadata, tmp_path):
    with pytest.raises(CheckpointError, match='may hold'):
        make_teacher(f'torchscript:{script(tmp_path, metadata)}', 'cpu')


def test_a_program_whose_classes_are_not_named_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match='5 logits'):
        make_teacher(f'torchscript:{script(tmp_path, {})}', 'cpu')


@pytest.mark.parametrize('package', ['transformers', 'timm'])
def test_a_library_that_is_not_there_is_named(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=f'pip install {package}'):
        make_teacher(f'{package}:any', 'cpu')
