"""
A student as a program for other runtimes, checked against the network it was made from.

The program takes the range view and the points' places and features, as
`networks.point_projection.RangeProjection` gives them, and returns logits; the number of points
is free. It is a file for one range view, whose profile stays in the checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import io
import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .looks import project_cloud
from .students import load_student
from ..cache_files import write_whole
from ...errors import ConfigurationError, MissingDependencyError, needed
from ...evaluation.tables import format_table
from ...networks.convolution import fuse
from ...networks.point_network import PointNetwork
from ...networks.point_projection import POINT_FEATURES, RangeProjection, RangeViewConfig
from ...records import Cloud

INPUTS = ('image', 'cell', 'features')
MOST_POINTS = 4_000_000

Program = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclasses.dataclass(frozen=True)
class Parity:
    """
    How far an exported program is from its network.

    Parameters
    ----------
    points
        Number of points that were compared.
    largest
        Largest difference of a logit.
    changed
        Share of the points that get another label, 0..1.

    """

    points: int
    largest: float
    changed: float


def export_programs(checkpoint: Path, folder: Path, clouds: Sequence[Cloud]) -> str:
    """
    Write all programs of a student whose libraries are installed; return a table of parity.

    Parameters and errors are those of `export_program`; what is left out is said as a warning.
    """
    rows = []
    for name, export in (('student.pt2', export_program), ('student.onnx', export_onnx)):
        try:
            parity = export(checkpoint, folder / name, clouds)
        except MissingDependencyError as error:
            logging.getLogger(__name__).warning('no %s: %s', name, error)
        else:
            rows.append((name, parity.points, parity.largest, 100 * parity.changed))
    return format_table((
        'program', 'points compared', 'largest difference of a logit', 'labels changed [%]'), rows)


def export_program(checkpoint: Path, path: Path, clouds: Sequence[Cloud]) -> Parity:
    """
    Write a student as a `torch.export` program (.pt2) and compare the two.

    Parameters
    ----------
    checkpoint
        Of kind 'point', or the student in one of kind 'fused'.
    path
        Where to write.
    clouds
        Sweeps to compare on, one at least.

    Raises
    ------
    CacheError
        If the file cannot be written.
    CheckpointError
        If the checkpoint cannot be used.
    ConfigurationError
        If there is no sweep.

    """
    network, view = _load(checkpoint, clouds)
    count = torch.export.Dim('points', min=2, max=MOST_POINTS)
    shapes = {'image': None, 'cell': {0: count}, 'features': {1: count}}
    program = torch.export.export(network, _example(view), dynamic_shapes=shapes)
    content = io.BytesIO()  # torch itself ends the process where a disk is full
    torch.export.save(program, content)
    write_whole(path, content.getvalue())
    return compare(network, torch.export.load(path).module(), view, clouds)


def export_onnx(checkpoint: Path, path: Path, clouds: Sequence[Cloud]) -> Parity:
    """
    Write a student as an ONNX file and compare the two, run by onnxruntime on the CPU.

    Parameters and errors are those of `export_program`.

    Raises
    ------
    MissingDependencyError
        If onnxscript or onnxruntime is not installed.

    """
    with needed('export to ONNX and check the result'):
        import onnxruntime
        import onnxscript  # noqa: F401
    network, view = _load(checkpoint, clouds)
    count = torch.export.Dim('points', min=2, max=MOST_POINTS)
    shapes = {'image': None, 'cell': {0: count}, 'features': {1: count}}
    program = torch.onnx.export(
        network, _example(view), dynamo=True, dynamic_shapes=shapes, input_names=INPUTS,
        output_names=['logits'], verbose=False)
    assert program is not None
    write_whole(path, program.model_proto.SerializeToString())
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])

    def run(*given: Tensor) -> Tensor:
        feed = {name: tensor.numpy() for name, tensor in zip(INPUTS, given, strict=True)}
        return torch.from_numpy(np.asarray(session.run(['logits'], feed)[0]))

    return compare(network, run, view, clouds)


def compare(
    network: PointNetwork, program: Program, view: RangeViewConfig, clouds: Sequence[Cloud]
) -> Parity:
    """Return how a program differs from a network over all finite points of some sweeps."""
    projection = RangeProjection(view)
    points, largest, changed = 0, 0.0, 0
    for cloud in clouds:
        seen, _ = project_cloud(projection, cloud)
        given = seen.image[None], seen.cell, seen.features
        with torch.inference_mode():
            expected, found = network(*given), program(*given)
        points += expected.shape[1]
        largest = max(largest, float((expected - found).abs().max()))
        changed += int((expected.argmax(0) != found.argmax(0)).sum())
    return Parity(points, largest, changed / max(points, 1))


def _load(checkpoint: Path, clouds: Sequence[Cloud]) -> tuple[PointNetwork, RangeViewConfig]:
    if not clouds:
        raise ConfigurationError('clouds', 0, 'at least one sweep to compare on')
    student, view, _ = load_student(checkpoint)
    return fuse(student.network), view


def _example(view: RangeViewConfig) -> tuple[Tensor, Tensor, Tensor]:
    ring = torch.randn(2, 3)
    seen = RangeProjection(view)(ring, torch.zeros(2))
    repeated = seen.features.new_zeros(POINT_FEATURES, 16)
    return seen.image[None], seen.cell[:1].repeat(16), repeated
