"""The run that all trainers share: schedule, time limit, export of the best, being stopped."""

import errno
import os
import signal

import pytest
import pytorch_lightning as lightning
import torch
from torch.utils.data import DataLoader
from xmodelkd_ros.cli.command import command
from xmodelkd_ros.training.run_config import RunConfig
from xmodelkd_ros.training.steps import StepLoader, StepSampler
from xmodelkd_ros.training.trainer import adamw, cosine_schedule, fit


class Line(lightning.LightningModule):
    """Learns one number."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1, 1))
        self.rates, self.validated = [], []

    def training_step(self, batch, index):
        self.rates.append(self.trainer.optimizers[0].param_groups[0]['lr'])
        return (self.weight - 1).square().sum()

    def validation_step(self, batch, index):
        self.validated.append(self.global_step)
        self.log('score', float(self.global_step))

    def configure_optimizers(self):
        return adamw(self, 0.01, 0.0, 5, self.trainer)


class Norm(Line):
    """Has running statistics, and an average that follows after each step."""

    def __init__(self, signals=(), at=5, within=True):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(1)
        self.signals, self.at, self.within = signals, at, within
        self.register_buffer('average', torch.zeros(1, 1))

    def interrupt(self):
        for number in self.signals if self.global_step == self.at else ():
            os.kill(os.getpid(), number)

    def training_step(self, batch, index):
        loss = (self.norm(batch[:, None]) * self.weight - 1).square().mean()
        if self.within:
            self.interrupt()
        return loss

    def on_train_batch_end(self, *given):
        self.average = 0.5 * (self.average + self.weight.detach())

    def validation_step(self, batch, index):
        super().validation_step(batch, index)
        if not self.within:
            self.interrupt()


def run(module, out, numbers=None, resume=False, **changes):
    exported = []
    config = RunConfig(workers=0, precision='32-true', **changes)
    numbers = numbers or DataLoader(torch.arange(4.0))
    fit(module, numbers, DataLoader(torch.arange(1.0)), config, out, 'score',
        lambda: exported.append(module.global_step), {}, resume)
    return exported


def test_the_schedule_rises_and_falls():
    assert cosine_schedule(0, 10, 0.0) == pytest.approx(0.1)
    assert cosine_schedule(20, 10, 0.5) == pytest.approx(0.5)
    assert cosine_schedule(20, 10, 1.0) == pytest.approx(0.0)


def test_a_run_by_steps_ends_with_a_rate_near_zero(tmp_path):
    module = Line()
    assert run(module, tmp_path, epochs=10) == list(range(4, 41, 4))
    assert max(module.rates) > 0.009
    assert module.rates[-1] < 0.0002


def test_a_time_limit_ends_the_schedule_and_the_last_state_is_validated(tmp_path):
    module = Line()
    exported = run(module, tmp_path, epochs=100_000, max_minutes=0.03, validate_minutes=10)
    assert len(module.rates) == module.global_step < 400_000
    assert max(module.rates) > 0.009
    assert module.rates[-1] < 0.001
    assert exported == [module.global_step]
    assert module.validated == [module.global_step]


@pytest.mark.parametrize('where', ['export', 'checkpoint'])
def test_a_full_disk_is_one_line(tmp_path, monkeypatch, capsys, where):
    def full(*given, **named):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def train(args):
        numbers, config = DataLoader(torch.arange(4.0)), RunConfig(workers=0, epochs=2)
        fit(Line(), numbers, numbers, config, tmp_path, 'score',
            full if where == 'export' else list, {})

    if where == 'checkpoint':
        monkeypatch.setattr(lightning.Trainer, 'save_checkpoint', full)
    assert command(train)() == 2
    said = capsys.readouterr().err
    assert f'error: {tmp_path}: No space left on device\n' in said
    assert 'Traceback' not in said


def test_there_are_no_more_workers_than_cores(monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda process: {3, 5})
    assert [RunConfig(workers=n).present_workers for n in (0, 1, 2, 9)] == [0, 1, 2, 2]


@pytest.mark.parametrize(('signals', 'at', 'within', 'left'), [
    ([signal.SIGINT], 5, True, 6), ([signal.SIGTERM], 5, True, 6),
    ([signal.SIGTERM], 4, False, 4), ([signal.SIGINT], 15, True, 16),
    ([signal.SIGINT, signal.SIGINT], 5, True, 4),
])
def test_a_run_that_is_interrupted_ends_with_130_and_can_be_resumed(
    tmp_path, signals, at, within, left
):
    def train(out, resume=False, **how):
        torch.manual_seed(0)
        module = Norm(**how)
        steps = StepSampler(4, 4, lambda: module.global_step)
        numbers = StepLoader(torch.rand(64), batch_sampler=steps)
        run(module, out, numbers, resume, epochs=4)

    def state(out):
        return torch.load(out / 'checkpoints' / 'last.ckpt', weights_only=False)

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    train(tmp_path / 'whole')
    broken = command(lambda _: train(tmp_path / 'broken', signals=signals, at=at, within=within))
    assert broken() == 130
    assert state(tmp_path / 'broken')['global_step'] == left
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    train(tmp_path / 'broken', resume=True)
    whole, resumed = (state(tmp_path / name)['state_dict'] for name in ('whole', 'broken'))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
