"""Teachers of the transformers library: tiny random models in temporary folders."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from test_teachers import pictures, same
import torch
from xmodelkd_ros.distillation.teachers.teacher import adapt, make_teacher
from xmodelkd_ros.errors import ConfigurationError

transformers = pytest.importorskip('transformers', reason='transformers is optional')


@pytest.fixture
def segformer(tmp_path):
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_encoder_blocks=4, depths=[1] * 4, hidden_sizes=[8, 8, 16, 16], decoder_hidden_size=12,
        num_attention_heads=[1, 1, 2, 2],
        id2label=dict(enumerate(('road', 'car', 'tree', 'sky', 'person'))),
    )
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(tmp_path)
    return tmp_path


def test_segformer_gives_the_features_its_classifier_sees(segformer):
    teacher = make_teacher(f'transformers:{segformer}', 'cpu')
    out, = teacher(pictures(1))
    assert out.features.shape == (12, 16, 32) and out.logits.shape == (5, 16, 32)
    classify = teacher.networks[0].module.model.decode_head.classifier
    same(classify(out.features[None])[0], out.logits, 0.05)  # bf16
    assert teacher.class_names == ('road', 'car', 'tree', 'sky', 'person')
    again = pickle.loads(pickle.dumps(teacher))
    same(again(pictures(1))[0].features, out.features)
    assert adapt(teacher, pictures(2)).sha256 != teacher.sha256  # its head has a batch norm


def test_the_preprocessing_beside_a_model_counts(segformer):
    plain = make_teacher(f'transformers:{segformer}', 'cpu')
    values = {'image_mean': [0.5] * 3, 'image_std': [0.5] * 3,
              'image_processor_type': 'SegformerImageProcessor'}
    (segformer / 'preprocessor_config.json').write_text(json.dumps(values))
    teacher = make_teacher(f'transformers:{segformer}', 'cpu')
    assert teacher.networks[0].mean == (0.5,) * 3
    assert plain.networks[0].mean == (0.485, 0.456, 0.406)
    assert teacher.sha256 != plain.sha256


def test_mask2former_sums_its_masks(tmp_path):
    pytest.importorskip('scipy')
    torch.manual_seed(0)
    backbone = transformers.SwinConfig(
        embed_dim=8, depths=[1] * 4, num_heads=[1] * 4, window_size=4, image_size=64,
        out_features=['stage1', 'stage2', 'stage3', 'stage4'])
    config = transformers.Mask2FormerConfig(
        backbone_config=backbone, feature_size=32, mask_feature_size=32, hidden_dim=32,
        encoder_feedforward_dim=16, encoder_layers=1, decoder_layers=2, num_attention_heads=2,
        dim_feedforward=16, num_queries=6, id2label={0: 'road', 1: 'car', 2: 'sky'})
    transformers.Mask2FormerForUniversalSegmentation(config).save_pretrained(tmp_path)
    teacher = make_teacher(f'transformers:{tmp_path}', 'cpu')
    out, = teacher(pictures(1))
    assert out.logits.shape[0] == 3 and out.features.shape[0] == 32 == teacher.feature_size
    assert torch.isfinite(out.logits).all()


@pytest.mark.parametrize(('kind', 'extra'), [
    ('Dinov2', {}),
    ('Dinov2WithRegisters', {'num_register_tokens': 2}),
    ('DINOv3ViT', {'num_register_tokens': 4, 'intermediate_size': 16}),
])
def test_tokens_of_a_backbone_lie_where_their_patches_are(kind, extra, tmp_path):
    torch.manual_seed(0)
    config = getattr(transformers, f'{kind}Config')(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, patch_size=14, image_size=56,
        **extra)
    getattr(transformers, f'{kind}Model')(config).save_pretrained(tmp_path)
    teacher = make_teacher(f'transformers:{tmp_path}', 'cpu')
    assert teacher.class_names is None
    image = np.zeros((70, 140, 3), np.uint8)
    image[28:42, 98:112] = 255
    empty, marked = (teacher([im])[0] for im in (np.zeros_like(image), image))
    assert marked.features.shape == (16, 5, 10) and marked.logits is None
    moved = (marked.features - empty.features).norm(dim=0)
    assert divmod(int(moved.argmax()), 10) == (2, 7)
    with pytest.raises(ConfigurationError, match='none'):
        adapt(teacher, [image])


def test_a_model_that_is_not_there_gives_the_command_that_gets_it(tmp_path, monkeypatch):
    monkeypatch.setenv('HF_HOME', str(tmp_path))
    with pytest.raises(ConfigurationError, match='hf download nobody/segformer'):
        make_teacher('transformers:nobody/segformer', 'cpu')
