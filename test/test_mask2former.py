"""Mask2Former as a video segmenter: classes by name, queries as embeddings, ids by tracking."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import numpy as np
import pytest
import torch
from xmodelkd_ros.errors import CheckpointError, MissingDependencyError
from xmodelkd_ros.inference import mask2former_segmenter
from xmodelkd_ros.inference.mask2former_segmenter import Mask2FormerSegmenter
from xmodelkd_ros.inference.tracker import Tracker, TrackerConfig
from xmodelkd_ros.inference.video_models import load_video_segmenter
from xmodelkd_ros.labels import ID_BY_NAME, thing_id_of_name

transformers = pytest.importorskip('transformers')
pytest.importorskip('scipy')

NAMES = {0: 'sheep', 1: 'motorcycle', 2: 'Car', 3: 'sky'}


def save_tiny(folder, names=NAMES):
    torch.manual_seed(0)
    backbone = transformers.SwinConfig(
        embed_dim=8, depths=[1] * 4, num_heads=[1] * 4, window_size=4, image_size=64,
        out_features=['stage1', 'stage2', 'stage3', 'stage4'])
    config = transformers.Mask2FormerConfig(
        backbone_config=backbone, feature_size=32, mask_feature_size=32, hidden_dim=32,
        encoder_feedforward_dim=16, encoder_layers=1, decoder_layers=2, num_attention_heads=2,
        dim_feedforward=16, num_queries=12, id2label=names)
    model = transformers.Mask2FormerForUniversalSegmentation(config)
    for parameter in model.class_predictor.parameters():
        parameter.data.mul_(20)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp('mask2former'))


@pytest.fixture(scope='module')
def segment(tiny):
    return Mask2FormerSegmenter(tiny, longest=96, score_floor=0.0)


def images(*shapes):
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]


def test_detections_are_those_of_the_interface(segment):
    found = segment(images((60, 90), (48, 96), (60, 90)))
    assert [d.size for d in found] == [(60, 90), (48, 96), (60, 90)]
    for detections in found:
        rows = len(detections.score)
        assert 0 < rows <= 12
        assert (np.diff(detections.score) <= 0).all() and detections.score.dtype == np.float32
        assert detections.class_id.dtype == np.uint16
        assert set(detections.class_id) <= {ID_BY_NAME['car'], ID_BY_NAME['bicycle']}
        assert detections.embedding.shape == (rows, 32)
        np.testing.assert_allclose(np.linalg.norm(detections.embedding, axis=1), 1, atol=1e-5)
        assert detections.mask_logits.shape[0] == rows
        assert np.isfinite(detections.mask_logits).all()


def test_an_image_is_seen_alike_alone_and_in_a_batch(segment):
    pair = images((60, 90), (60, 90))
    together = segment(pair)
    for image, detections in zip(pair, together, strict=True):
        alone, = segment([image])
        for field in dataclasses.fields(alone)[:-1]:
            np.testing.assert_allclose(
                getattr(alone, field.name), getattr(detections, field.name), atol=0.15)


def test_scores_are_the_library_s_own(tiny, segment, monkeypatch):
    monkeypatch.setattr(
        mask2former_segmenter, 'autocast', lambda device: contextlib.nullcontext())
    image, = images((96, 96))
    model = transformers.Mask2FormerForUniversalSegmentation.from_pretrained(tiny).eval()
    pixels = (image / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    with torch.inference_mode():
        output = model(pixel_values=torch.tensor(pixels).float().permute(2, 0, 1)[None])
    chance = output.class_queries_logits[0].softmax(-1)[:, 1:3].amax(1)
    mask = output.masks_queries_logits[0].sigmoid()
    inside = mask > 0.5
    quality = (mask * inside).sum((1, 2)) / inside.sum((1, 2)).clamp(min=1)
    expected = np.sort((chance * quality).numpy())[::-1]
    np.testing.assert_allclose(segment([image])[0].score, expected, atol=1e-4)


def test_the_tracker_follows_its_queries(segment):
    image, = images((60, 90))
    easy = TrackerConfig(low_score=0.0, birth_score=0.0, sure_score=0.0, min_visible=0.0)
    tracker, ids = Tracker(easy), []
    for frame in range(3):
        tracks = tracker.update(segment([image])[0], frame * 10**8)
        ids.append(set(tracks.track_id.tolist()))
    assert ids[0] and ids[0] == ids[1] == ids[2]


def test_normalisation_and_hash_are_the_model_s_own(tiny, segment, tmp_path):
    other = save_tiny(tmp_path)
    values = {'image_mean': [0.5] * 3, 'image_std': [0.25] * 3}
    (other / 'preprocessor_config.json').write_text(json.dumps(values))
    image = images((60, 90))
    same, moved = Mask2FormerSegmenter(tiny, longest=96), Mask2FormerSegmenter(other, longest=96)
    assert same.sha256 == segment.sha256 and len(same.sha256) == 64
    assert not np.array_equal(same(image)[0].mask_logits, moved(image)[0].mask_logits)


def test_a_folder_and_a_name_choose_it(tiny):
    assert isinstance(load_video_segmenter(tiny), Mask2FormerSegmenter)
    assert isinstance(load_video_segmenter(f'transformers:{tiny}'), Mask2FormerSegmenter)
    with pytest.raises(CheckpointError, match='no such checkpoint'):
        load_video_segmenter('absent.safetensors')
    with pytest.raises(CheckpointError, match='hf download nobody/nothing'):
        load_video_segmenter('transformers:nobody/nothing')


def test_models_that_cannot_serve_are_refused(tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match='no thing of ours, only sheep, sky'):
        Mask2FormerSegmenter(save_tiny(tmp_path / 'a', {0: 'sheep', 1: 'sky'}))
    transformers.SwinConfig(embed_dim=8).save_pretrained(tmp_path / 'b')
    with pytest.raises(CheckpointError, match='is a swin, no mask2former'):
        Mask2FormerSegmenter(tmp_path / 'b')
    monkeypatch.setitem(__import__('sys').modules, 'transformers', None)
    with pytest.raises(MissingDependencyError, match='pip install transformers'):
        Mask2FormerSegmenter(tmp_path / 'a')


@pytest.mark.parametrize(('name', 'ours'), [
    ('car', 'car'), (' Train ', 'bus'), ('motorbike', 'bicycle'), ('Vehical', 'car'),
    ('rider', 'rider'), ('road', None), ('giant_panda', None), ('sky', None),
])
def test_names_of_others(name, ours):
    assert thing_id_of_name(name) == (ID_BY_NAME[ours] if ours else 0)
