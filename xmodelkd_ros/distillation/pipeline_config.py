"""What a distillation is made from, and how; the same keys on every door."""

from __future__ import annotations

import dataclasses

from .extraction.config import ExtractionConfig
from .student.config import DistillConfig, LearningConfig
from .student.guessing import GuessConfig
from ..config import setting
from ..labels import TRUE_POINTS
from ..training.run_config import RunConfig


@dataclasses.dataclass(frozen=True)
class ShortRunConfig(RunConfig):
    """A run that a small machine makes in a quarter of an hour."""

    epochs: int = setting(1, 'Passes of `steps` steps; each ends with a validation.', low=1)


@dataclasses.dataclass(frozen=True)
class ShortLearningConfig(LearningConfig):
    """How a student that knows its sensor already learns more."""

    run: ShortRunConfig = setting(ShortRunConfig(), 'The run.')
    steps: int = setting(200, 'Steps of an epoch.', low=1)
    rate: float = setting(1e-3, 'Peak learning rate.', low=0)
    warm_up: int = setting(20, 'Steps of the warm-up.', low=1)


@dataclasses.dataclass(frozen=True)
class StudentConfig(ShortLearningConfig, DistillConfig):
    """How it learns from images."""


@dataclasses.dataclass(frozen=True)
class FineTuningConfig(ShortLearningConfig):
    """How it learns from labels after that; all else is as it was for the images."""

    fraction: float = setting(
        1.0, 'Share of the labelled sweeps that is used.', low=0, high=1)


@dataclasses.dataclass(frozen=True)
class PipelineConfig:
    """A distillation from bags to a student."""

    bags: list[str] = setting([], 'bags to learn from, or folders of bags; each is a drive')
    out: str = setting('', 'folder for the result; a second start goes on with what is there')
    teacher: str = setting(
        '', 'image teacher, <kind>:<weights>[@<scale>,...][+flip], as espnetv2:city.pth@0.7')
    class_map: str = setting(
        '', "YAML file with our class name by the teacher's, for names that are not known")
    validation: list[str] = setting(
        [], 'bags to choose the weights and to judge by; none takes the last of several bags, or '
        'the only one')
    labelled: list[str] = setting(
        [], 'bags with true labels: those of `validation` are judged by; where `student.fraction` '
        'is more than 0, those of `bags` are learned beside the images; on the others, without '
        'images, the student is fine-tuned')
    labels: list[str] = setting(
        [], 'folders of SemanticKITTI label files, one for each of the labelled bags; none takes '
        '`label_topic` of the bags')
    label_topic: str = setting(
        TRUE_POINTS, 'clouds of the labelled bags with a field label, of the same stamps and '
        'points as the sweeps')
    label_map: str = setting(
        '', "YAML file with our class name by the labels' id; empty for SemanticKITTI's ids in "
        'files and for ours in clouds')
    simulated: list[str] = setting(
        [], 'simulated bags of the same sensor, or folders of them, whose labels are mixed in')
    sweeps: list[str] = setting(
        [], 'bags without images, whose sweeps the student labels itself and learns from')
    adaptation: float = setting(
        0.5, "share of the pictures' own statistics in the teacher's batch norms, if it has any; "
        '0 for none', low=0, high=1)
    adaptation_pictures: int = setting(32, 'pictures that are looked at for that', low=1)
    start: str = setting(
        '', 'checkpoint that the student starts from and that helps to guess labels; empty '
        'for the shipped one, none for random weights')
    student_adaptation: float = setting(
        0.7, "share of the sweeps' own statistics in the batch norms of that checkpoint, 0 for "
        'none', low=0, high=1)
    device: str = setting('auto', 'of all but the training: cpu, cuda, cuda:<n> or auto')
    processes: int = setting(1, 'processes that extract at the same time', low=1, high=256)
    extraction: ExtractionConfig = setting(ExtractionConfig(), 'what is extracted')
    guessing: GuessConfig = setting(
        GuessConfig(), 'who is believed when labels are guessed, which they are where '
        '`student.fraction` is 0, but for mode l2')
    student: StudentConfig = setting(StudentConfig(), 'how the student learns from the images')
    finetuning: FineTuningConfig = setting(
        FineTuningConfig(), 'how it learns from the labels after that')
