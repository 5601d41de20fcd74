"""The drives that the stages of a pipeline learn from and are judged by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
from pathlib import Path

from .bag_sources import check_drives, choose_drives
from .cache import CachedDistillationDrive, open_caches
from .cache_files import read_json, write_json
from .pipeline_config import PipelineConfig
from .records import FrameSource
from .student.class_maps import read_class_map
from .student.labelled_drives import (
    check_label_folder,
    LabelledDrive,
    LidarDrive,
    with_labels,
)
from .student.labelled_views import LabelledViews
from ..bags.folders import find_bags
from ..errors import ConfigurationError
from ..labels import TRUE_POINTS
from ..records import Cloud
from ..training.cache import cached_drives

BAGS_FILE, _INDEX = 'bags.json', 'drives.json'


@dataclasses.dataclass(frozen=True)
class _LabelledBag:
    """A bag, and the folder of its label files; none for the topic of labels."""

    bag: Path
    folder: str


class PipelineDrives:
    """
    What there is to learn from and to judge by.

    Parameters
    ----------
    config
        Of the pipeline.

    Attributes
    ----------
    bags, validation : list of Path
        To learn from with images, and to judge by.
    simulated : list of Path
        To mix in.
    cache : Path
        Folder of what the teacher says, and of the bags as arrays.

    Raises
    ------
    BagError
        If a bag is missing, or a folder holds none.
    ConfigurationError
        If there is not a folder of labels for each labelled bag, or the map of these is wrong.

    """

    def __init__(self, config: PipelineConfig) -> None:
        self.bags, self.validation = choose_drives(config)
        self.cache = Path(config.out) / 'cache'
        self._config = config
        self._sweeps, self.simulated = find_bags(config.sweeps), find_bags(config.simulated)
        labelled = find_bags(config.labelled)
        if config.labels and len(config.labels) != len(labelled):
            raise ConfigurationError('labels', config.labels, 'one folder per bag of `labelled`')
        for folder in config.labels:
            check_label_folder(Path(folder))
        if config.label_map:
            read_class_map(Path(config.label_map))
        self._labelled = [
            _LabelledBag(bag, folder)
            for bag, folder in zip(labelled, config.labels or [''] * len(labelled), strict=True)]

    @property
    def fine_tunes(self) -> bool:
        """Whether there are labelled bags that only the stage finetune learns from."""
        return bool(self._apart())

    @property
    def judges_by_learned(self) -> bool:
        """Whether a drive to judge by is also one to learn from."""
        learned = _places([*self.bags, *self._sweeps, *self.simulated])
        return not learned.isdisjoint(_places(self.validation))

    def check(self) -> None:
        """
        Write down which bags were found, or compare them with those that were before.

        Raises
        ------
        ConfigurationError
            If bags were added, or are gone.

        """
        check_drives(
            self.cache.with_name(BAGS_FILE), self._config.bags, self.bags, self.validation)

    def keep(self, bags: Sequence[Path], folders: Sequence[Path]) -> None:
        """Write down in which folder of the cache is what the teacher says of which bag."""
        write_json(self.cache / _INDEX, {
            str(bag): folder.name for bag, folder in zip(bags, folders, strict=True)})

    def seen(self) -> list[CachedDistillationDrive]:
        """Return the drives to learn from with what the teacher says of them."""
        return self._open(self.bags)

    def to_judge(self) -> list[FrameSource]:
        """
        Return the drives to judge by with what the teacher says of them.

        Nothing learns from the labels of labelled bags among them, which take the place of the
        drives' own.
        """
        return self._with_views(self.validation, self._held())

    def some_sweeps(self, count: int) -> Iterator[Cloud]:
        """Yield `count` sweeps or more to learn from, spread evenly; all, where they are fewer."""
        sweeps = [(drive, index) for drive in self.seen() for index in range(len(drive))]
        for drive, index in sweeps[::max(1, len(sweeps) // count)]:
            yield drive.frame(index).cloud

    def to_train(self) -> list[FrameSource]:
        """
        Return what is learned from with images, and the sweeps without any.

        Where true labels are used, those of labelled bags take the place of the drives' own.
        """
        return [*self._with_views(self.bags, self._told()), *self.alone(self._sweeps)]

    def to_finetune(self) -> list[LabelledDrive]:
        """Return what is learned from with labels alone."""
        return self._with_labels(self._apart())

    def alone(
        self, bags: Sequence[Path], label_topic: str = TRUE_POINTS
    ) -> list[LidarDrive]:
        """Return bags as the LiDAR alone saw them."""
        width = self.seen()[0].feature_size
        drives = cached_drives(bags, self.cache / 'arrays', label_topic)
        return [LidarDrive(drive, width) for drive in drives]

    def _open(self, bags: Sequence[Path]) -> list[CachedDistillationDrive]:
        names = read_json(self.cache / _INDEX)
        return open_caches(self.cache / names[str(bag)] for bag in bags)

    def _told(self) -> set[Path]:
        """Return the bags whose labels, if they have any, are learned beside the images."""
        return _places(self.bags) if self._config.student.fraction else set()

    def _held(self) -> set[Path]:
        """Return the bags to judge by that nothing learns from the images of."""
        return _places(self.validation) - _places(self.bags)

    def _apart(self) -> list[_LabelledBag]:
        """Return the labelled bags that are for finetune alone."""
        taken = self._told() | self._held()
        return [labelled for labelled in self._labelled if labelled.bag.resolve() not in taken]

    def _with_views(self, bags: Sequence[Path], told: set[Path]) -> list[FrameSource]:
        """Return drives with what the teacher says; labels of labelled bags for those `told`."""
        drives: list[FrameSource] = [*self._open(bags)]
        labelled = {each.bag.resolve(): each for each in self._labelled}
        for number, place in enumerate(bag.resolve() for bag in bags):
            if place in told and place in labelled:
                (labels,) = self._with_labels([labelled[place]])
                drives[number] = LabelledViews(drives[number], labels)
        return drives

    def _with_labels(self, bags: Sequence[_LabelledBag]) -> list[LabelledDrive]:
        config = self._config
        topic = TRUE_POINTS if config.labels else config.label_topic
        return with_labels(
            self.alone([labelled.bag for labelled in bags], topic),
            [labelled.folder for labelled in bags if labelled.folder], config.label_map, topic)


def _places(bags: Sequence[Path]) -> set[Path]:
    return {bag.resolve() for bag in bags}
