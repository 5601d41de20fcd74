"""A training that is stopped within an epoch and gone on with, beside one that is not."""

from __future__ import annotations

import pytest
import torch


class Stop(Exception):  # noqa: N818
    """Ends a run."""


def check_resumed_equals_whole(train, module, folder, monkeypatch):
    """
    Check that a run which is stopped after its fifth step ends with the weights of a whole one.

    Parameters
    ----------
    train
        Takes a folder for the result, and whether to resume.
    module
        Class of the Lightning module.
    folder
        Where both runs go.
    monkeypatch
        The fixture.

    """
    def weights(out):
        path = out / 'checkpoints' / 'last.ckpt'
        return torch.load(path, weights_only=False)['state_dict']

    def stop(own, *given):
        after(own, *given)
        if own.global_step == 5:
            raise Stop

    train(folder / 'whole', False)
    after = module.on_train_batch_end
    with monkeypatch.context() as patched, pytest.raises(Stop):
        patched.setattr(module, 'on_train_batch_end', stop)
        train(folder / 'broken', False)
    stopped = weights(folder / 'broken')
    train(folder / 'broken', True)
    whole, broken = weights(folder / 'whole'), weights(folder / 'broken')
    assert any(not torch.equal(value, whole[name]) for name, value in stopped.items())
    for name, value in whole.items():
        torch.testing.assert_close(broken[name], value, rtol=0, atol=0, equal_nan=True, msg=name)
