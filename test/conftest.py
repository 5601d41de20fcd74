"""What every test shares: where the real recordings are."""

import signal

from hypothesis import settings
import pytest
from xmodelkd_ros.bags.excerpts import excerpt_folder, EXCERPTS, find_excerpt

# Machines that test under load miss deadlines that say nothing about the code.
settings.register_profile('without deadline', deadline=None)
settings.load_profile('without deadline')

# Shells start what runs in the background with SIGINT ignored, and its processes inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope='session')
def kitti_root():
    """Return the folder that holds the KITTI excerpts, unpacked; skip where there are none."""
    found = [find_excerpt(name) for name in EXCERPTS]
    missing = [name for name, path in zip(EXCERPTS, found, strict=True) if path is None]
    if missing:
        pytest.skip(f'KITTI excerpts are not there: {excerpt_folder()} lacks {missing}')
    return found[0].parent
