"""The API process keeps the memory that an answer of the law has freed."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from service.kit.process import keep_freed_memory
{first}
def work():
    values = np.ones(20_000)
    return sum(value.sum() for value in [values + number for number in range(5)])
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(first: str) -> int:
    """Pages that the kernel had to give for 50 times the same arrays, in a process of their own."""
    code = [sys.executable, "-c", FAULTS.format(first=first)]
    return int(subprocess.run(code, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_freed_memory_is_not_taken_from_the_kernel_again() -> None:
    assert faults("keep_freed_memory()") < faults("") / 10
