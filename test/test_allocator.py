"""The allocator keeps the memory of a frame: in a process of its own, as it is set up for good."""

from pathlib import Path
import subprocess
import sys

import pytest

FRAMES = """
import resource
import numpy as np
from xmodelkd_ros.nodes.allocator import keep_freed_memory
{set_up}
def frame():
    arrays = [np.ones(size << 20, np.uint8) for size in (1, 3, 7, 20)]
    return sum(map(len, arrays))
frame()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    frame()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sum(int(line.split()[1]) for line in open('/proc/self/smaps') if 'AnonHuge' in line))
"""


def run(set_up):
    done = subprocess.run(
        [sys.executable, '-c', FRAMES.format(set_up=set_up)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return map(int, done.stdout.split())


def test_frames_cause_no_page_faults():
    plain, _ = run('')
    kept, huge = run('keep_freed_memory()')
    assert kept < 100 and kept <= plain
    choice = Path('/sys/kernel/mm/transparent_hugepage/enabled')
    if not choice.exists() or '[never]' in choice.read_text():
        pytest.skip('the kernel has no huge pages')
    assert huge >= 20 * 1024
