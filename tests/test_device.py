"""Where computing is done: what the process keeps of the system's memory."""

import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from csvae_cli.device import resolve
{resolved}
for turn in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.zeros(2**21) for _ in range(12)]  # 8 MB each
    del tensors
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""


def faults_of_the_same_tensors_again(resolved):
    code = FAULTS.format(resolved=resolved)
    done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout)


def test_memory_stays_with_the_process():
    before = faults_of_the_same_tensors_again("")
    if before < 10_000:
        pytest.skip("this system keeps memory with a process by itself")
    assert faults_of_the_same_tensors_again('resolve("cpu")') < before / 20
