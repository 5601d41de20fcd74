"""Training of the video segmenter: targets, losses, augmentation, and a clip it can overfit."""

import dataclasses

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d
from xmodelkd_ros.evaluation.video import TrackEvaluation
from xmodelkd_ros.inference.tracker import Tracker
from xmodelkd_ros.inference.video_segmenter import detections, VideoPreprocessing
from xmodelkd_ros.labels import THING_CLASSES
from xmodelkd_ros.networks.video_masks import mask_logits, mask_logits_at, PixelOutput, QueryOutput
from xmodelkd_ros.networks.video_network import VideoNetwork, VideoNetworkConfig
from xmodelkd_ros.records import Picture
from xmodelkd_ros.training.resizing import resize_picture
from xmodelkd_ros.training.video.association import association_loss
from xmodelkd_ros.training.video.augmentation import augment, VideoAugmentationConfig
from xmodelkd_ros.training.video.clips import ClipDataset, collate, VideoClipConfig
from xmodelkd_ros.training.video.losses import (
    heat_loss,
    kind_loss,
    mask_losses,
    match,
    score_loss,
    video_losses,
    VideoLossConfig,
    vote_loss,
)
from xmodelkd_ros.training.video.module import VideoTrainingConfig, VideoTrainingModule
from xmodelkd_ros.training.video.paste import paste
from xmodelkd_ros.training.video.samples import MaskSamples, sample_masks
from xmodelkd_ros.training.video.targets import heat_targets, make_targets, stack_targets

CAR, PERSON, ROAD = 10, 13, 1


def scene(*things, size=(64, 96)):
    """Return a picture of coloured boxes (identity, class, x0, y0, x1, y1) on a road."""
    rgb = np.full((*size, 3), 90, np.uint8)
    label, instance = np.full(size, ROAD, np.uint8), np.full(size, 999, np.uint16)
    for identity, class_id, x0, y0, x1, y1 in things:
        rgb[y0:y1, x0:x1] = np.random.default_rng(identity).integers(0, 256, 3)
        label[y0:y1, x0:x1], instance[y0:y1, x0:x1] = class_id, identity
    return Picture(0, rgb, label, instance)


def targets_of(*things, min_area=16, most=32):
    picture = scene(*things)
    return make_targets(picture.label, picture.instance, THING_CLASSES, min_area, most)


def test_targets_of_boxes():
    found = targets_of(
        (7, PERSON, 8, 4, 16, 28), (3, CAR, 40, 10, 81, 30), (9, CAR, 90, 60, 92, 62))
    assert found.identity.tolist() == [3, 7]
    assert found.channel.tolist() == [0, 3]
    assert found.mask.shape == (2, 32, 48)
    assert found.mask[1].sum() == 4 * 12
    assert found.mask[0, 10, 40] == 0.5
    assert found.center[1].tolist() == [3.0, 4.0]
    assert found.half_size[1].tolist() == [1.0, 3.0]
    assert found.mask[1, 2 * found.peak[1, 1], 2 * found.peak[1, 0]] == 1
    assert torch.nonzero(found.ignored).tolist() == [[15, 22]]


def test_only_the_largest_count_and_the_rest_is_ignored():
    found = targets_of((1, CAR, 0, 0, 8, 8), (2, CAR, 40, 0, 60, 20), most=1)
    assert found.identity.tolist() == [2]
    assert found.ignored[:2, :2].all()


def test_things_without_an_id_are_ignored():
    found = targets_of((0, CAR, 40, 10, 61, 30), (7, PERSON, 8, 4, 16, 28))
    assert found.identity.tolist() == [7]
    expected = torch.zeros(16, 24, dtype=torch.bool)
    expected[2:8, 10:16] = True
    torch.testing.assert_close(found.ignored, expected)


def test_no_instances():
    batch = stack_targets([targets_of(), targets_of()])
    assert vote_loss(torch.zeros(2, 2, 32, 48), batch) == 0
    assert batch.mask.shape == (2, 0, 32, 48)
    assert not heat_targets(batch, 6).any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 100_000))
def test_masks_hold_all_thing_pixels_once_and_peaks_lie_inside(seed):
    random = np.random.default_rng(seed)
    things = []
    for identity in range(1, random.integers(2, 8)):
        x, y = random.integers(0, (90, 60))
        things.append((identity, int(random.integers(10, 16)), x, y, x + random.integers(1, 40),
                       y + random.integers(1, 30)))
    picture = scene(*things)
    found = make_targets(picture.label, picture.instance, THING_CLASSES, 1)
    covered = (picture.instance != 999).reshape(32, 2, 48, 2).mean((1, 3))
    np.testing.assert_allclose(found.mask.sum(0), covered, atol=1e-6)
    coarse = avg_pool2d(found.mask, 2)
    for mask, (x, y) in zip(coarse, found.peak.tolist(), strict=True):
        assert mask[y, x] >= 0.75 * mask.max()
    heat = heat_targets(stack_targets([found]), 6)[0]
    for channel, (x, y) in zip(found.channel, found.peak.tolist(), strict=True):
        assert heat[channel, y, x] == 1


def perfect(batch, queries=6):
    """Return outputs that find the true instances exactly, in reversed query order."""
    shape = batch.mask.shape
    count = shape[1]
    order = torch.arange(queries - 1, queries - 1 - count, -1)
    logits = torch.full((shape[0], queries, 6), -9.0)
    peak = torch.zeros(shape[0], queries, 2, dtype=torch.int64)
    center, log_size = torch.zeros(2, shape[0], queries, 2)
    kernel = torch.zeros(shape[0], queries, count + 1)
    for image in range(shape[0]):
        for instance in range(count):
            query = order[instance]
            logits[image, query, batch.channel[image, instance]] = 9.0
            peak[image, query] = batch.peak[image, instance]
            center[image, query] = batch.center[image, instance]
            log_size[image, query] = batch.half_size[image, instance].log()
            kernel[image, query, instance] = 40.0
    kernel[..., -1] = -20.0
    embedding = torch.nn.functional.normalize(torch.randn(shape[0], queries, 8), dim=2)
    votes = torch.zeros(shape[0], 2, *shape[2:])
    heat = torch.zeros(shape[0], 6, *batch.ignored.shape[1:])
    pixels = PixelOutput(heat, (batch.mask > 0.5).float(), votes)
    return QueryOutput(logits, embedding, center, log_size, kernel, peak), pixels, order


def aligned():
    return stack_targets([
        targets_of((3, CAR, 40, 12, 80, 28), (7, PERSON, 8, 4, 16, 28)),
        targets_of((3, CAR, 44, 12, 84, 28), (7, PERSON, 8, 8, 16, 32)),
    ])


def test_the_matching_finds_the_queries_of_the_instances():
    batch = aligned()
    queries, pixels, order = perfect(batch)
    pixels = pixels._replace(votes=batch.center[:, 0, :, None, None].expand(-1, -1, 32, 48))
    assert match(queries, pixels, batch).tolist() == [order[:2].tolist()] * 2


def test_losses_are_near_zero_for_the_truth_and_large_for_its_opposite():
    batch = aligned()
    samples = sample_masks(batch)
    right = 20 * samples.share - 10
    good, bad = mask_losses(right, samples, batch), mask_losses(-right, samples, batch)
    assert good['cover'] < 1e-3 and good['dice'] < 1e-2
    assert bad['cover'] > 10 and bad['dice'] > 0.9
    heat = heat_targets(batch, 6)
    assert heat_loss(torch.logit(heat.clamp(1e-6, 1 - 1e-6)), batch) < 0.2
    assert heat_loss(-4 * torch.ones_like(heat), batch) > 2
    queries, _, order = perfect(batch)
    instances = QueryOutput(*(value[:, order[:2]] for value in queries))
    swapped = instances._replace(class_logits=instances.class_logits.flip(1))
    assert kind_loss(instances, batch) < 1e-3
    assert kind_loss(swapped, batch) > 10
    matched, quality = order[:2].expand(2, 2), torch.ones(2, 2)
    assert score_loss(queries, matched, quality, batch) < 1e-3
    assert score_loss(queries, torch.zeros(2, 2, dtype=torch.int64), quality, batch) > 1


def test_ignored_places_cost_nothing():
    empty, tiny = targets_of(), targets_of((9, CAR, 88, 56, 91, 59))
    heat = torch.full((1, 6, 16, 24), -20.0)
    heat[:, :, 14, 22] = 20.0
    assert heat_loss(heat, stack_targets([tiny])) < 1e-3 < heat_loss(heat, stack_targets([empty]))


def test_association_prefers_equal_vectors_for_one_identity():
    batch = aligned()
    axes = torch.eye(8)
    alike = axes[[0, 1, 0, 1]].reshape(2, 1, 2, 8)
    swapped = axes[[0, 1, 1, 0]].reshape(2, 1, 2, 8)
    one_clip, two_clips = torch.tensor([0, 0]), torch.tensor([0, 1])
    assert association_loss(alike, batch, one_clip, 0.1) < 1e-3
    assert association_loss(swapped, batch, one_clip, 0.1) > 5
    assert association_loss(alike, batch, two_clips, 0.1) == 0  # nothing is seen twice


def test_padding_changes_no_loss():
    batch = aligned()
    padded = stack_targets([
        targets_of((3, CAR, 40, 12, 80, 28), (7, PERSON, 8, 4, 16, 28)),
        targets_of((3, CAR, 44, 12, 84, 28), (7, PERSON, 8, 8, 16, 32)),
        targets_of((1, CAR, 0, 0, 8, 8), (2, CAR, 20, 0, 28, 8), (3, CAR, 0, 40, 8, 48)),
    ])
    padded = dataclasses.replace(
        padded, **{f.name: getattr(padded, f.name)[:2] for f in dataclasses.fields(padded)})
    assert padded.channel[:, 2].tolist() == [-1, -1]
    random = torch.Generator().manual_seed(0)
    heat = torch.randn(2, 6, 16, 24, generator=random)
    samples = sample_masks(padded)
    logits = torch.randn(samples.index.shape, generator=random)
    queries, _, order = perfect(padded)

    def mask_loss(name, t):
        count = t.mask.shape[1]
        known = MaskSamples(*(v[:, :count] for v in dataclasses.astuple(samples)))
        return mask_losses(logits[:, :count], known, t)[name]

    for loss in (
        lambda t: heat_loss(heat, t),
        lambda t: mask_loss('cover', t),
        lambda t: mask_loss('dice', t),
        lambda t: score_loss(queries, order[:t.mask.shape[1]].expand(2, -1),
                             torch.ones(t.channel.shape), t),
    ):
        torch.testing.assert_close(loss(batch), loss(padded))


def test_samples_stand_for_all_cells():
    batch = aligned()
    torch.manual_seed(0)
    drawn = [sample_masks(batch) for _ in range(40)]
    grid = torch.stack([s.area(torch.ones_like(s.share)) for s in drawn]).mean(0)
    torch.testing.assert_close(grid, torch.full((2, 2), 32.0 * 48), rtol=0.02, atol=0)
    mask = torch.stack([s.area(s.share) for s in drawn]).mean(0)
    torch.testing.assert_close(mask, batch.mask.sum((2, 3)), rtol=0.02, atol=0)


def test_the_overlap_is_estimated_from_samples():
    samples = sample_masks(aligned())
    every_second = torch.arange(samples.share.shape[2]) % 2
    assert (samples.iou(18 * samples.share - 9) > 0.99).all()
    half = samples.iou(18 * samples.share * every_second - 9)
    assert ((half > 0.4) & (half < 0.6)).all()


def test_mask_logits_in_some_cells_are_those_of_all():
    torch.manual_seed(2)
    queries = QueryOutput(
        *(torch.zeros(0),) * 2, torch.rand(2, 3, 2) * 8, torch.rand(2, 3, 2),
        torch.randn(2, 3, 5), torch.zeros(0))
    pixels = PixelOutput(torch.zeros(0), torch.randn(2, 4, 6, 10), torch.rand(2, 2, 6, 10) * 8)
    index = torch.randint(0, 60, (2, 3, 7))
    expected = mask_logits(queries, pixels).flatten(2).gather(2, index)
    torch.testing.assert_close(
        mask_logits_at(queries, pixels, index), expected, atol=1e-3, rtol=1e-3)


def shrunk(mask):
    return cv2.erode(
        mask.astype(np.uint8), np.ones((5, 5)), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 100_000))
def test_augmentation_moves_picture_and_truth_alike(seed):
    config = VideoAugmentationConfig(tone=0.0, saturation=0.0, fault=0.0)
    picture = scene((1, CAR, 20, 20, 60, 50))
    picture = dataclasses.replace(
        picture, rgb=np.where(picture.instance[..., None] == 1, 255, 0).astype(np.uint8)
        * np.ones(3, np.uint8))
    random = np.random.default_rng(seed)
    for result in augment([picture, picture], (64, 96), config, random):
        assert result.rgb.shape == (64, 96, 3)
        inside = result.instance == 1
        np.testing.assert_array_equal(inside, result.label == CAR)
        core = shrunk(inside)
        rim = cv2.dilate(inside.astype(np.uint8), np.ones((5, 5))) > 0
        assert (result.rgb[core] > 200).all()
        road = shrunk(result.instance == 999)
        outside = ~rim & road  # the rim of the picture mixes with what is around it
        assert (result.rgb[outside] < 60).all()


def test_a_pasted_instance_moves_sideways_and_stays_behind_nearer_ones():
    clip = [scene((4, CAR, 0, 30, 40, 60)), scene((4, CAR, 10, 30, 50, 60))]
    donor = [scene((4, PERSON, 60, 10, 70, 40)), scene((5, CAR, 60, 10, 70, 40))]
    first, second = paste(clip, donor, 4, -35)
    fresh, = set(first.instance.flat) - {4, 999}
    expected = scene((1000, PERSON, 25, 10, 35, 40), (4, CAR, 0, 30, 40, 60))
    assert fresh == 1000  # one more than the greatest id of the clip
    for name in ('label', 'instance'):
        np.testing.assert_array_equal(getattr(first, name), getattr(expected, name))
    np.testing.assert_array_equal(first.rgb[10:30, 25:35], donor[0].rgb[10:30, 60:70])
    np.testing.assert_array_equal(first.rgb[30:], clip[0].rgb[30:])
    assert second is clip[1]  # the donor's second picture does not show it


def test_a_pasted_instance_covers_farther_ones_and_may_leave_the_picture():
    clip, donor = [scene((4, CAR, 70, 5, 90, 20))], [scene((7, PERSON, 40, 10, 60, 40))]
    pasted, = paste(clip, donor, 7, 45)
    assert (pasted.instance[10:40, 85:] == 1000).all()
    assert (pasted.instance == 1000).sum() == 30 * 11
    assert (pasted.instance == 4).sum() == 20 * 15 - 5 * 10
    assert (pasted.label[pasted.instance == 1000] == PERSON).all()


class Drive:
    """Pictures in memory, as a cached drive."""

    cameras = ('front',)

    def __init__(self, *pictures):
        self.pictures = pictures

    def __len__(self):
        return len(self.pictures)

    def picture(self, index, camera):
        return self.pictures[index]


def test_clips_show_rare_classes_as_often_as_common_ones():
    cars = [(k, CAR, 20 * k - 20, 8, 20 * k - 8, 24) for k in range(1, 5)]
    person = (9, PERSON, 96, 30, 108, 60)
    drive = Drive(scene(*cars, size=(64, 128)), scene(person, size=(64, 128)))
    plain = VideoAugmentationConfig(0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    config = VideoClipConfig(
        64, 32, 0, 16, balance=1.0, anywhere=0.0, paste=0.0, augmentation=plain)
    samples = [ClipDataset([drive], 0, config)[k][1][0] for k in range(200)]
    shown = [set(targets.channel.tolist()) for targets in samples]
    assert all(shown)
    persons = sum(3 in channels for channels in shown)
    assert 70 < persons < 130
    pasting = dataclasses.replace(config, balance=0.0, paste=1.0)
    targets = [ClipDataset([drive], 0, pasting)[k][1][0] for k in range(50)]
    assert sum(len(set(t.identity.tolist()) - {1, 2, 3, 4, 9}) for t in targets) > 40


def test_clips_show_things_as_large_as_the_network_will_see_them():
    small = scene((1, CAR, 20, 8, 52, 24), (2, PERSON, 70, 10, 80, 40), size=(64, 128))
    large = resize_picture(small, 256, 128)
    config = VideoClipConfig(64, 32, 0, 16)
    for k in range(20):
        rgb, targets = ClipDataset([Drive(small)], 0, config, size=(256, 128))[k]
        wanted, truth = ClipDataset([Drive(large)], 0, config)[k]
        assert np.array_equal(rgb, wanted)
        assert torch.equal(targets[0].mask, truth[0].mask)


def test_validation_looks_at_pictures_as_the_predictor_does():
    network = VideoNetworkConfig(
        widths=(32, 32, 32, 32), blocks=(1, 1, 1, 1), fine=16, coarse=32, queries=8)
    module = VideoTrainingModule(VideoTrainingConfig(network, VideoPreprocessing(192, 64)))
    seen = []
    module.average.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    picture = scene((1, CAR, 20, 8, 52, 24), size=(128, 256))
    module.on_validation_epoch_start()
    module.eval().validation_step([('drive', picture)], 0)
    assert seen == [(1, 3, 64, 192)]


def moving_clip():
    """Return 6 pictures: a car and a person cross, a second car stands."""
    return [
        dataclasses.replace(
            scene((1, CAR, 4 + 8 * t, 20, 36 + 8 * t, 40),
                  (2, PERSON, 70 - 8 * t, 16, 80 - 8 * t, 56), (3, CAR, 60, 2, 92, 14)),
            stamp=t * 100_000_000)
        for t in range(6)
    ]


def track_ap(network, clip):
    evaluation, tracker = TrackEvaluation(), Tracker()
    network.eval()
    for picture in clip:
        image = torch.from_numpy(picture.rgb).permute(2, 0, 1)[None].float() / 60 - 2
        with torch.inference_mode():
            found, = detections(*network(image), THING_CLASSES, [picture.rgb.shape[:2]], 0.1)
        evaluation.add('clip', picture.instance, picture.label,
                       tracker.update(found, picture.stamp))
    network.train()
    return evaluation.scores().mean.ap


def test_a_clip_can_be_overfitted():
    torch.manual_seed(0)
    network = VideoNetwork(VideoNetworkConfig(
        widths=(32, 32, 32, 32), blocks=(1, 1, 1, 1), fine=32, coarse=32, queries=8, kernel=8,
        embedding=16))
    semantic = torch.nn.Conv2d(8, 17, 1)
    clip = moving_clip()
    batch = collate([(
        [p.rgb for p in clip],
        [make_targets(p.label, p.instance, THING_CLASSES, 16) for p in clip],
    )])
    images = batch.images.float() / 60 - 2
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    history = []
    before = track_ap(network, clip)
    for _ in range(80):
        queries, pixels = network(images, batch.targets.peak)
        losses = video_losses(
            queries, pixels, batch.targets, batch.clip, semantic(avg_pool2d(pixels.features, 2)),
            VideoLossConfig())
        history.append({name: value.item() for name, value in losses.items()})
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
    for name in ('heat', 'cover', 'dice', 'place', 'vote'):
        assert history[-1][name] < 0.6 * history[0][name], name
    least = 0.5 * np.log(11)  # each of 12 queries of an instance shares with 11 others
    assert history[-1]['association'] < 1.1 * least < history[0]['association']
    assert before < 0.2
    assert track_ap(network, clip) > 0.5


@pytest.mark.parametrize('field', ['label', 'instance'])
def test_pictures_without_truth_are_refused(field):
    from xmodelkd_ros.training.video.clips import _targets

    with pytest.raises(ValueError, match='no true labels'):
        _targets(dataclasses.replace(scene(), **{field: None}), 1)


def test_cells_of_unknown_class_cost_nothing_even_where_none_is_known():
    from xmodelkd_ros.training.video.losses import semantic_loss

    logits = torch.randn(2, 17, 3, 4, generator=torch.Generator().manual_seed(0))
    label = torch.zeros(2, 3, 4, dtype=torch.long)
    assert semantic_loss(logits, label) == 0
    label[0, 1, 2], label[1, 0, 0] = 3, 16
    wanted = -(logits[0, :, 1, 2].log_softmax(0)[3] + logits[1, :, 0, 0].log_softmax(0)[16]) / 2
    torch.testing.assert_close(semantic_loss(logits, label), wanted)
