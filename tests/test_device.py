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
for turn in range(20):  # glibc needs some before every hole is large enough
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.zeros({mb} * 2**18) for _ in range(96 // {mb})]
    del tensors
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""


def printed(code):
    # Else glibc finds a threshold of its own, which depends on where things happen to lie.
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "131072"}
    command = [sys.executable, "-c", code]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout)


@pytest.mark.parametrize("mb", [8, 96])
def test_memory_stays_with_the_process(mb):
    before = printed(FAULTS.format(resolved="", mb=mb))
    if before < 1000:
        pytest.skip("this system has another allocator than glibc's, or pages of megabytes")
    if mb > 32 and not printed("import ctypes; print(ctypes.CDLL(None).mallopt(-3, 2**30))"):
        pytest.skip("this glibc gives blocks of more than 32 MB back in any case")
    assert printed(FAULTS.format(resolved='resolve("cpu")', mb=mb)) < before / 20
