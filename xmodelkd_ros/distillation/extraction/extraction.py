"""Extraction: from bags and a teacher to the feature cache, by one or several processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
import functools
import multiprocessing
from multiprocessing.synchronize import Event
import os
from pathlib import Path
import pickle
import signal
import threading
import time
from typing import TypeVar

import numpy as np
import torch

from .config import ExtractionConfig
from .drive_plan import DrivePlan, plan_drive
from .quality import REPORT, write_report
from ..cache import CachedDistillationDrive, MANIFEST, shard_file, shard_length
from ..cache_files import hash_file, write_json
from ..student.pieces import missing_pieces, Piece
from ..teachers.teacher import Teacher
from ...errors import CacheError, ConfigurationError
from ...files import remove_partial

Progress = Callable[[int, int], None]
"""
Told how many shards there are and how many there will be; what it raises stops the work.

As long as the drives are being planned, there will be one.
"""

T = TypeVar('T')
Task = Callable[[Teacher, Callable[[], None]], T]
"""Called with whom to ask, and with what it calls again and again, which may raise."""

_POLL = 0.2


def extract(
    sources: Sequence[str | Path],
    out: str | Path,
    teacher: Teacher,
    config: ExtractionConfig = ExtractionConfig(),  # noqa: B008
    processes: int = 1,
    progress: Progress = lambda done, total: None,
) -> list[Path]:
    """
    Extract drives into the feature cache; what is there already is not extracted again.

    Parameters
    ----------
    sources
        Bags, each a drive.
    out
        Folder of the cache.
    teacher
        Whom to ask; must be picklable for more than one process.
    config
        What to extract.
    processes
        How many plan drives and extract them, or parts of one, at the same time.
    progress
        Told how far it is, a few times a second.

    Returns
    -------
    list[Path]
        Folder of each drive, to be opened by `CachedDistillationDrive`.

    Raises
    ------
    BagError, CalibrationError
        If a bag cannot be used.
    CacheError
        If a drive's folder belongs to something else, is damaged, or cannot be written.
    ConfigurationError
        If the teacher cannot be sent to other processes.

    """
    with _Workers(teacher, processes) as workers:
        plans = workers.do(
            [functools.partial(plan_drive, Path(source), Path(out), config) for source in sources],
            lambda: progress(0, 1))
        pending = [plan for plan in plans if not (plan.folder / REPORT).is_file()]
        for plan in pending:
            remove_partial(plan.folder)  # what a run that was killed left half-written
        pieces = [piece for plan in pending for piece in missing_pieces(plan, processes)]
        watch = _Watch(pieces, progress)
        seconds = workers.do([piece.extract for piece in pieces], watch.tell)
    watch.tell()
    for plan in pending:
        _complete(plan, _mean_time(plan.folder, [*zip(pieces, seconds, strict=True)]))
    return [CachedDistillationDrive(plan.folder).folder for plan in plans]


class _Watch:
    """Counts the shards that are there and tells it."""

    def __init__(self, pieces: Sequence[Piece], progress: Progress) -> None:
        self._files = [
            piece.plan.folder / shard_file(number)
            for piece in pieces for number in range(piece.first, piece.last)
        ]
        self._progress = progress

    def tell(self) -> None:
        self._progress(sum(path.is_file() for path in self._files), len(self._files))


class _Workers:
    """
    Processes that work with a teacher, started as soon as there are tasks for two.

    Parameters
    ----------
    teacher
        Whom to ask.
    processes
        How many there may be.

    """

    def __init__(self, teacher: Teacher, processes: int) -> None:
        self._teacher, self._processes = teacher, processes
        self._context = multiprocessing.get_context('spawn')
        self._stopped = self._context.Event()
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def do(self, tasks: Sequence[Task[T]], tell: Callable[[], None]) -> list[T]:
        """Do tasks; `tell` is called again and again, and what it raises stops them."""
        if self._processes == 1 or len(tasks) < 2:
            return [task(self._teacher, tell) for task in tasks]
        pool = self._pool = self._pool or self._start()
        futures = [pool.submit(_do, task) for task in tasks]
        try:
            while wait(futures, _POLL, FIRST_EXCEPTION).not_done:
                tell()
                if failed := [f for f in futures if f.done() and f.exception()]:
                    failed[0].result()
            return [future.result() for future in futures]
        except BrokenProcessPool as error:
            raise CacheError(
                'a process of the extraction was killed, perhaps for want of memory; the same '
                'command goes on from there') from error

    def _start(self) -> ProcessPoolExecutor:
        _check_can_travel(self._teacher, self._processes)
        threads = max(1, torch.get_num_threads() // self._processes)
        begin = self._teacher, self._stopped, threads, os.getpid()
        return ProcessPoolExecutor(self._processes, self._context, _begin, begin)


def _mean_time(folder: Path, done: Sequence[tuple[Piece, float]]) -> float:
    """Return what a keyframe of a drive took, s; NaN if none was made."""
    own = [(piece.keyframes, seconds) for piece, seconds in done if piece.plan.folder == folder]
    keyframes = sum(keyframes for keyframes, _ in own)
    return sum(seconds for _, seconds in own) / keyframes if own else np.nan


def _check_can_travel(teacher: Teacher, processes: int) -> None:
    try:
        pickle.dumps(teacher)
    except Exception as error:  # whatever a class raises that does not support it
        allowed = f'1 for teacher {teacher.name}, which cannot be sent to others ({error})'
        raise ConfigurationError('processes', processes, allowed) from error


class _StoppedError(Exception):
    """Another process has failed, or the user wants no more."""


_in_worker: tuple[Teacher, Event] | None = None


def _begin(teacher: Teacher, stopped: Event, threads: int, parent: int) -> None:
    """Prepare a process: Ctrl-C is for the parent, without which nothing is to go on."""
    global _in_worker
    _in_worker = teacher, stopped
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _do(task: Task[T]) -> T:
    assert _in_worker is not None
    teacher, stopped = _in_worker

    def check() -> None:
        if stopped.is_set():
            raise _StoppedError

    return task(teacher, check)


def _complete(plan: DrivePlan, seconds: float) -> None:
    """Write the manifest, which makes a drive complete, and then the report."""
    shards = []
    for number in range(plan.shards):
        path = plan.folder / shard_file(number)
        shards.append({
            'file': path.name, 'frames': shard_length(path), 'bytes': path.stat().st_size,
            'sha256': hash_file(path),
        })
    write_json(plan.folder / MANIFEST, {**plan.identity, 'shards': shards})
    write_report(plan, CachedDistillationDrive(plan.folder), seconds)
