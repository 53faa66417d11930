"""A training in bf16 learns what one in fp32 does; and what test_gpu.py trains, too."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from csvae_cli.config import TrainingConfig
from csvae_cli.data.batches import Batches
from csvae_cli.data.dataset import Split
from csvae_cli.device import Compute
from csvae_cli.training.loop import Epoch, train
from csvae_cli.training.state import start
from models.kind import KINDS, build

STAGES = {"flow-csvae": {"reader": 1, "autoencoder": 1, "map": 1, "plain-reader": 1, "edits": 2}}


def pictures(compute, count=640):
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    y = generator.integers(0, 2, (count, 3)).astype(np.int8)
    return Batches(Split(x, y, ()), compute)


def training(kind, **changed):
    stages = STAGES.get(kind, {})
    names = model(kind).owners
    options = {"weights": dict.fromkeys(names, 1.0), "batch_size": 16, "stages": stages}
    options["epochs"] = sum(stages.values()) or 4
    if kind == "csvae":
        options["adversary_steps"] = 3
    return TrainingConfig(**{**options, "max_norm": 100.0, "flip": True, "schedule": "cosine", **changed})


def model(kind):
    torch.manual_seed(0)
    options = {"styled": 2, "w_dims": (4, 4, 2), "several_readers": True} if kind == "flow-csvae" else {}
    return build(kind, shape=(3, 32, 32), labels=3, network="light", latent_dim=16, **options)


def next_epoch(state, config, batches, compute):
    records = train(state, batches, config, compute, lambda: False)
    return next(record.terms for record in records if isinstance(record, Epoch))


def alike_in_bf16(kind, fp32):
    """Epoch by epoch from the same weights: a map that has learnt a little otherwise has other styles."""
    config, batches = training(kind), pictures(fp32)
    bf16 = replace(fp32, precision="bf16")
    kept = model(kind)
    for epoch in range(config.epochs):
        low, plain = (start(copy.deepcopy(kept), config, compute) for compute in (bf16, fp32))
        low.epoch = plain.epoch = epoch
        found, expected = next_epoch(low, config, batches, bf16), next_epoch(plain, config, batches, fp32)
        for name, value in expected.items():  # what an edit shows of random pictures, few of them decide
            near = 1.0 if name in ("seen", "hold", "shown") else 5e-2
            assert found[name] == pytest.approx(value, rel=near, abs=5e-2), name
        kept = plain.model


@pytest.mark.parametrize("kind", KINDS)
def test_in_bf16_the_losses_are_those_of_fp32(kind):
    alike_in_bf16(kind, Compute(torch.device("cpu"), "fp32", "for tests"))
