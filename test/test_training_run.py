"""The run that all trainers share: schedule, time limit, export of the best."""

import pytest
import pytorch_lightning as lightning
import torch
from torch.utils.data import DataLoader
from xmodelkd_ros.training.run_config import RunConfig
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


def run(module, out, **changes):
    exported = []
    config = RunConfig(workers=0, precision='32-true', **changes)
    numbers = DataLoader(torch.arange(4.0))
    fit(module, numbers, DataLoader(torch.arange(1.0)), config, out, 'score',
        lambda: exported.append(module.global_step), {})
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
