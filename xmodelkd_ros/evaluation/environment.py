"""What a figure was measured with: machine and versions, to print and to keep."""

from __future__ import annotations

import datetime
from importlib import metadata
import os
from pathlib import Path
import platform
import sys
from typing import Any

PACKAGES = (
    'numpy', 'torch', 'opencv-python-headless', 'safetensors', 'rosbags', 'pytorch-lightning',
    'rclpy',
)
_ABSENT = 'not installed'


def describe_environment() -> dict[str, Any]:
    """Return the machine, the Python and package versions, and the time, as plain values."""
    return {
        'date': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
        'cpu': _cpu_name(),
        'cores': len(os.sched_getaffinity(0)),
        'load_average': round(os.getloadavg()[0], 1),
        'memory_gib': round(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30, 1),
        'gpu': _gpu_name(),
        'system': f'{platform.system()} {platform.machine()}',
        'python': platform.python_version(),
        'packages': _versions(),
    }


def describe_model(model: str | os.PathLike[str], sha256: str) -> str:
    """Return one line for below its scores: which weights, and the versions that ran them."""
    versions = {'Python': platform.python_version(), **_versions()}
    present = (f'{name} {of}' for name, of in versions.items() if of != _ABSENT)
    return f'model {model}, SHA-256 {sha256}; ' + ', '.join(present)


def _cpu_name() -> str:
    for line in Path('/proc/cpuinfo').read_text().splitlines():
        if line.startswith('model name'):
            return line.split(':', 1)[1].strip()
    return platform.processor()


def _gpu_name() -> str:
    if 'torch' not in sys.modules:
        return 'not used'
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else 'none'


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = _ABSENT
    return found
