"""Where computing is done: what the process keeps of the system's memory."""

import os
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
    # Else glibc finds a threshold of its own, which depends on where things happen to lie.
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "131072"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return int(done.stdout)


def test_memory_stays_with_the_process():
    before = faults_of_the_same_tensors_again("")
    if before < 1000:
        pytest.skip("this system has another allocator than glibc's, or pages of megabytes")
    assert faults_of_the_same_tensors_again('resolve("cpu")') < before / 20
