"""A run of several processes, as under torchrun: the first leads, the others help it train."""

from __future__ import annotations

import os
import time

from torch.distributed import PrefixStore, rendezvous, Store

from ..errors import XModelKDError
from ..training.run_config import own_rank

_POLL = 0.2


class Ranks:
    """
    What the processes of a run tell each other beside what they do in training.

    The first one decides what is trained and tells the others when all is ready for it. Processes
    that Lightning starts itself come when it is.

    Attributes
    ----------
    helps : bool
        Whether this process helps another one.

    """

    def __init__(self) -> None:
        self.helps = own_rank() > 0
        self._store = _open_store()

    def tell(self, stage: str, wanted: bool) -> None:
        """Tell the others that they are wanted in a stage, or not; of the first process."""
        if self._store is not None and not self.helps:
            self._store.set(stage, str(int(wanted)))

    def wanted(self, stage: str) -> bool:
        """
        Return whether to help in a stage, as soon as the first process has told it.

        Raises
        ------
        XModelKDError
            If that is gone.

        """
        if self._store is None:
            return True
        try:
            while not self._store.check([stage]):
                time.sleep(_POLL)
            return bool(int(self._store.get(stage)))
        except RuntimeError as error:
            raise XModelKDError(f'{stage}: the first process of the run is gone') from error


def _open_store() -> Store | None:
    """Return where processes leave each other notes; None in a run of one."""
    several = int(os.environ.get('WORLD_SIZE', '1')) > 1
    if not several or not {'RANK', 'MASTER_ADDR', 'MASTER_PORT'} <= os.environ.keys():
        return None
    store, _, _ = next(iter(rendezvous('env://')))
    return PrefixStore('stages', store)
