"""The fused model: one file, the same as the extraction and the distillation say."""

import dataclasses

from distillation_drives import SMALL
import numpy as np
import pytest
from small_world import CAMERA, CAMERA_FROM_LIDAR, frame
import torch
from xmodelkd_ros.config import from_mapping
from xmodelkd_ros.distillation.extraction.config import ExtractionConfig
from xmodelkd_ros.distillation.extraction.moving import MovingConfig, RangeCells
from xmodelkd_ros.distillation.extraction.point_views import look_up_points, no_views, view_names
from xmodelkd_ros.distillation.extraction.sightings import Answer, make_mixing, Sighting
from xmodelkd_ros.distillation.student import students
from xmodelkd_ros.distillation.student.config import DistillConfig
from xmodelkd_ros.distillation.student.students import (
    FUSED,
    make_image,
    runs_alone,
    save_student,
    STUDENT,
    Student,
)
from xmodelkd_ros.distillation.teachers.network_teacher import NetworkTeacher, TeacherNetwork
from xmodelkd_ros.distillation.teachers.teacher import make_teacher, TeacherOutput
from xmodelkd_ros.errors import CheckpointError, ConfigurationError
from xmodelkd_ros.geometry.projection import project_points
from xmodelkd_ros.inference.fused_segmenter import FusedSegmenter, load_point_segmenter
from xmodelkd_ros.inference.pipeline import Perception
from xmodelkd_ros.inference.point_segmenter import PointSegmenter
from xmodelkd_ros.labels import ALL_CLASSES, POINT_CLASSES
from xmodelkd_ros.networks.espnetv2 import EspNetV2, EspNetV2Config
from xmodelkd_ros.networks.espnetv2_weights import save_espnetv2
from xmodelkd_ros.records import Cloud, Frame, MOTION_PERIOD
from xmodelkd_ros.training.point.training import range_view

KEPT = 12
CONFIG = from_mapping(DistillConfig, SMALL)
VIEW = dataclasses.replace(range_view('hdl64e'), columns=256)


class Extracted:
    """What a drive of the cache says of its teacher."""

    feature_size = KEPT
    manifest = {'class_ids': list(range(1, 17))}  # noqa: RUF012

    def __init__(self, teacher):
        self.teacher = {'name': teacher.name, 'sha256': teacher.sha256}


class Colour(torch.nn.Module):
    """A teacher's network of another kind."""

    def forward(self, pixels):
        return pixels, pixels[:, :2]


@dataclasses.dataclass
class Trained:
    """What `save_student` asks of the module that was trained."""

    student: Student
    classes: tuple = POINT_CLASSES


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    torch.manual_seed(3)
    out = tmp_path_factory.mktemp('fused')
    network = EspNetV2(EspNetV2Config(), len(ALL_CLASSES) - 1).eval()
    save_espnetv2(out / 'image.safetensors', network, ALL_CLASSES[1:], {})
    teacher = make_teacher(f'espnetv2:{out}/image.safetensors', 'cpu')
    image = make_image(teacher, [object(), Extracted(teacher)])
    student = Student(CONFIG, len(POINT_CLASSES), KEPT)
    for parameter in student.parameters():
        parameter.data.mul_(2)
    save_student(out, Trained(student), CONFIG, VIEW, {}, image)
    save_student(out / 'without', Trained(student), CONFIG, VIEW, {})
    torch.manual_seed(5)
    save_espnetv2(out / 'other.safetensors', EspNetV2(EspNetV2Config(), 16), ALL_CLASSES[1:], {})
    several = make_teacher(spec_of(out, 'several'), 'cpu')
    image = make_image(several, [Extracted(several)])
    save_student(out / 'several', Trained(student), CONFIG, VIEW, {}, image)
    return out


def spec_of(models, kind):
    """Return the teacher of a fused model: one network, or several at scales and mirrored."""
    one = f'espnetv2:{models}/image.safetensors'
    return one if kind == '.' else f'{one},{models}/other.safetensors@0.7,1+flip'


@pytest.mark.parametrize('kind', ['.', 'several'])
def test_pictures_say_what_the_extraction_heard(models, kind):
    seen = frame(10**18, ('front', 'rear'))
    segmenter = load_point_segmenter(models / kind / FUSED)
    assert isinstance(segmenter, FusedSegmenter)
    views = list(seen.views.values())
    with torch.inference_mode():
        found = segmenter._look(seen.cloud.points, views, seen.cloud.stamp)
    teacher = make_teacher(spec_of(models, kind), 'cpu')
    assert isinstance(teacher, NetworkTeacher)
    assert isinstance(teacher.networks[0], TeacherNetwork)
    mixing = make_mixing(teacher.feature_size, KEPT)
    for number, view in enumerate(views):
        pairing = project_points(seen.cloud.points, view.camera_from_lidar, view.camera)
        output = teacher([view.picture.rgb])[0]
        answer = Answer(output, view.picture.rgb.shape[:2], np.arange(1, 17), mixing)
        first = torch.searchsorted(found.point, found.point, right=False)
        rows = (torch.arange(len(found)) - first == number).nonzero()[:, 0]
        assert found.point[rows].tolist() == pairing.index.tolist()
        scale = np.abs(answer.features(pairing)).max()
        np.testing.assert_allclose(
            found.feature[rows], answer.features(pairing), atol=0.02 * scale)
        np.testing.assert_allclose(
            found.probability[rows], answer.probabilities(pairing), atol=0.02)


def test_pictures_change_what_they_show_and_nothing_else(models):
    seen = frame(10**18)
    segmenter = FusedSegmenter(models / FUSED)
    alone = segmenter(seen.cloud.points, seen.cloud.intensity)
    fused = segmenter.label_frame(seen)
    shown = project_points(seen.cloud.points, CAMERA_FROM_LIDAR, CAMERA).index
    changed = np.flatnonzero(fused.confidence != alone.confidence)
    assert len(changed) > 0.3 * len(shown)
    unseen = np.setdiff1d(np.arange(len(seen.cloud.points)), shown)
    borrowed = np.isin(changed, unseen).mean()  # points outside the profile take a neighbour's
    assert borrowed < 0.2
    again = segmenter(seen.cloud.points, seen.cloud.intensity)
    np.testing.assert_array_equal(again.confidence, alone.confidence)


def test_pictures_show_points_where_and_when_they_were(models, monkeypatch):
    still = frame(10**18)
    view = still.views['front']
    late = dataclasses.replace(view.picture, stamp=10**18 + 30_000_000)
    view = dataclasses.replace(view, picture=late, offset=18_000_000)
    offset = np.random.default_rng(0).integers(-MOTION_PERIOD, MOTION_PERIOD, 1500)
    motion = np.eye(4)
    motion[:3, 3] = (2.0, 0.3, 0.0)
    moving = dataclasses.replace(
        still, cloud=dataclasses.replace(still.cloud, time_offset=offset), motion=motion,
        views={'front': view})
    segmenter, shown = FusedSegmenter(models / FUSED), []
    look = segmenter._look.forward
    monkeypatch.setattr(segmenter._look, 'forward', lambda points, views, stamp: (
        shown.append(look(points, views, stamp)) or shown[-1]))
    Perception(segmenter)(moving)
    sighting = Sighting(
        0, moving, moving.points_at_stamp, motion, 0,
        {'front': Answer(TeacherOutput(torch.zeros(KEPT, 2, 3), None), (64, 96), None, None)},
        RangeCells(moving.points_at_stamp, MovingConfig()))
    names = view_names(('front',), ())
    taught = look_up_points(sighting, {}, no_views(names, KEPT, False), ExtractionConfig())
    assert len(taught.views) > 50
    assert shown[0].point.tolist() == taught.views.point.tolist()
    np.testing.assert_allclose(shown[0].depth, taught.views.depth)
    np.testing.assert_allclose(shown[0].delay, 0.012, atol=1e-6)
    np.testing.assert_allclose(taught.views.delay, 0.012, atol=1e-6)


def test_nothing_to_see_is_legal(models):
    segmenter = FusedSegmenter(models / FUSED)
    views = frame(10**18).views
    empty = Cloud(10**18, np.zeros((0, 3), np.float32))
    assert len(segmenter.label_frame(Frame(empty, views)).label) == 0
    behind = Cloud(10**18, np.array([[-5, 0, 0], [np.nan, 1, 1]], np.float32))
    assert segmenter.label_frame(Frame(behind, views)).label[1] == 0


def test_the_pipeline_shows_a_fused_model_the_pictures(models):
    seen = frame(10**18)
    segmenter = load_point_segmenter(models / FUSED)
    assert isinstance(segmenter, FusedSegmenter)
    found = Perception(segmenter)(seen).labels
    np.testing.assert_array_equal(found.label, segmenter.label_frame(seen).label)
    assert type(load_point_segmenter(models / STUDENT)) is PointSegmenter


def test_a_fused_model_needs_its_own_image_network(models, tmp_path):
    with pytest.raises(CheckpointError, match='no image network'):
        FusedSegmenter(models / 'without' / FUSED)
    with pytest.raises(CheckpointError, match="kind is 'point'"):
        FusedSegmenter(models / STUDENT)
    torch.manual_seed(4)
    other = tmp_path / 'other.safetensors'
    save_espnetv2(other, EspNetV2(EspNetV2Config(), 16), ALL_CLASSES[1:], {})
    teachers = [make_teacher(f'espnetv2:{path}', 'cpu')
                for path in (other, models / 'image.safetensors')]
    with pytest.raises(ConfigurationError, match='who looked at the drives: espnetv2'):
        make_image(teachers[0], [Extracted(teachers[1])])


def test_a_teacher_that_cannot_go_into_a_fused_model_is_left_out(models, monkeypatch):
    assert runs_alone(models / FUSED) and runs_alone(models / 'several' / FUSED)
    assert not runs_alone(models / 'without' / FUSED)
    teacher = make_teacher(spec_of(models, '.'), 'cpu')
    monkeypatch.setattr(students, 'LARGEST_IMAGE', 1000)
    assert make_image(teacher, [Extracted(teacher)]) is None
    linear = TeacherNetwork(Colour(), 'colour', ('road', 'car'))
    other = NetworkTeacher('colour', [linear], (1.0,), False, torch.device('cpu'))
    assert make_image(other, [Extracted(other)]) is None
