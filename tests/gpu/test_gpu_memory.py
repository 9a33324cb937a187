"""A job may take what it has declared of a GPU, and no more."""

import subprocess
import sys

TAKES = """
import torch
from workers.gpu_memory import limit_gpu_memory
limit_gpu_memory(1.0)
few = torch.zeros(200_000_000, dtype=torch.uint8, device="cuda")
print("has", few.numel())
try:
    torch.zeros(1_500_000_000, dtype=torch.uint8, device="cuda")
except torch.OutOfMemoryError:
    print("refused")
"""


def test_more_than_its_share_is_refused() -> None:
    # the limit is the process's, and these tests have one process
    done = subprocess.run([sys.executable, "-c", TAKES], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["has", "200000000", "refused"]
