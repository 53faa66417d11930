"""Recorded steps on a GPU: the same as plain ones; skipped where there is no GPU."""

import copy

import numpy as np
import pytest
import torch

from csvae_cli import output
from csvae_cli.config import TrainingConfig
from csvae_cli.data.batches import Batches
from csvae_cli.data.dataset import Split
from csvae_cli.device import Compute
from csvae_cli.runs import Run
from csvae_cli.training import checkpoint, step
from csvae_cli.training.loop import Epoch, train
from csvae_cli.training.state import start
from models.kind import KINDS, build

if not torch.cuda.is_available():
    pytest.skip("no GPU here", allow_module_level=True)

# Of torch itself, as it compiles.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")

GPU = Compute(torch.device("cuda"), "fp32", "for tests")
STAGES = {"flow-csvae": {"reader": 1, "autoencoder": 1, "map": 1, "plain-reader": 1, "edits": 2}}


@pytest.fixture
def exact():
    """cuDNN may choose other ways from one run to the next, and TF32 with them."""
    kept = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = False, True
    torch.backends.cudnn.benchmark = False
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = kept


def pictures(count=640):
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    y = generator.integers(0, 2, (count, 3)).astype(np.int8)
    return Batches(Split(x, y, ()), GPU)


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


def epochs_of(state, config, batches):
    """Looked at after each, as a training is: that must not take from a recorded step what it reads."""
    found = []
    for record in train(state, batches, config, GPU, lambda: False):
        if isinstance(record, Epoch):
            found.append(record.terms)
            with torch.no_grad():
                codes = state.model.eval().encode(*batches.rows(torch.arange(64, device=GPU.device)))
                state.model.decode(codes.z_mu, codes.w_mu)
            [torch.full((size, size), 1e9, device=GPU.device) for size in range(2, 64)]
    return found


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("kind", KINDS)
def test_recorded_steps_are_those_that_are_taken_one_by_one(kind, monkeypatch):
    config, batches = training(kind), pictures()
    recorded = start(model(kind), config, GPU)
    found = epochs_of(recorded, config, batches)
    monkeypatch.setattr(step.Recorded, "__call__", lambda self, rows: self.plain(rows))
    plain = start(model(kind), config, GPU)
    expected = epochs_of(plain, config, batches)
    for epoch, other in zip(found, expected, strict=True):
        assert epoch == pytest.approx(other, rel=2e-2, abs=2e-3)
    assert torch.equal(recorded.noise.get_state(), plain.noise.get_state())


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_of_every_kind_can_be_recorded(kind, monkeypatch):
    said = []
    monkeypatch.setattr(output, "say", said.append)
    config = training(kind)
    epochs_of(start(model(kind), config, GPU), config, pictures())
    assert said == []


def test_a_step_that_waits_for_the_host_is_taken_plainly_and_that_is_said(monkeypatch):
    said = []
    monkeypatch.setattr(output, "say", said.append)
    config, batches = training("vae", epochs=2), pictures()
    waiting = model("vae")
    terms = waiting.terms

    def with_a_look(x, y, noise):
        found = terms(x, y, noise)
        float(found["recon"].detach())
        return found

    waiting.terms = with_a_look
    state = start(waiting, config, GPU)
    found = epochs_of(state, config, batches)
    assert len(said) == 1
    assert "cannot be recorded" in said[0]
    assert found[1]["recon"] < found[0]["recon"]


def test_a_training_goes_on_from_a_checkpoint(tmp_path):
    config, batches = training("csvae"), pictures()
    asked = iter(range(10**9))
    state = start(model("csvae"), config, GPU)
    for _ in train(state, batches, config, GPU, lambda: next(asked) >= 100):
        pass
    checkpoint.save(Run(tmp_path), state, checkpoint.Standing(0, None))
    expected = epochs_of(state, config, batches)
    resumed = start(model("csvae"), config, GPU)
    checkpoint.restore(Run(tmp_path), resumed)
    found = epochs_of(resumed, config, batches)
    for epoch, other in zip(found, expected, strict=True):
        assert epoch == pytest.approx(other, rel=5e-2, abs=5e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_in_bf16_the_losses_are_those_of_fp32(kind):
    """Epoch by epoch from the same weights: a map that has learnt a little otherwise has other styles."""
    config, batches = training(kind), pictures()
    bf16 = Compute(GPU.device, "bf16", "for tests")
    kept = model(kind)
    for epoch in range(config.epochs):
        low, plain = (start(copy.deepcopy(kept), config, compute) for compute in (bf16, GPU))
        low.epoch = plain.epoch = epoch
        found, expected = next_epoch(low, config, batches, bf16), next_epoch(plain, config, batches, GPU)
        for name, value in expected.items():  # what an edit shows of random pictures, few of them decide
            near = 1.0 if name in ("seen", "hold", "shown") else 5e-2
            assert found[name] == pytest.approx(value, rel=near, abs=5e-2), name
        kept = plain.model


def next_epoch(state, config, batches, compute):
    records = train(state, batches, config, compute, lambda: False)
    return next(record.terms for record in records if isinstance(record, Epoch))


@pytest.mark.usefixtures("exact")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_steps_are_the_plain_ones(monkeypatch):
    said = []
    monkeypatch.setattr(output, "say", said.append)
    config, batches = training("vae"), pictures()
    torch.manual_seed(0)
    first = build("vae", shape=(3, 32, 32), labels=3, network="paper", latent_dim=16)
    plain, compiled = (start(copy.deepcopy(first), config, GPU) for _ in range(2))
    expected = epochs_of(plain, config, batches)
    monkeypatch.setattr(step, "WORTH", 0)
    found = epochs_of(compiled, config, batches)
    assert said == []
    for epoch, other in zip(found, expected, strict=True):
        assert epoch == pytest.approx(other, rel=2e-2, abs=2e-3)
    buffers = zip(compiled.model.named_buffers(), plain.model.buffers(), strict=True)
    for (name, buffer), other in buffers:
        torch.testing.assert_close(buffer, other, rtol=0.1, atol=0.02, msg=name)


@pytest.mark.usefixtures("exact")
def test_large_weights_that_go_ahead_end_where_they_would(monkeypatch):
    config, batches = training("vae", max_norm=None), pictures()
    torch.manual_seed(0)
    first = build("vae", shape=(3, 32, 32), labels=3, network="paper", latent_dim=16)
    assert any(weight.numel() >= step.LARGE for weight in first.parameters())
    ahead, behind = copy.deepcopy(first), copy.deepcopy(first)
    found = epochs_of(start(ahead, config, GPU), config, batches)
    monkeypatch.setattr(step, "LARGE", 10**12)
    expected = epochs_of(start(behind, config, GPU), config, batches)
    for epoch, other in zip(found, expected, strict=True):
        assert epoch == pytest.approx(other, rel=2e-2, abs=2e-3)


def test_the_papers_network_in_bf16_has_the_gradients_of_fp32_on_a_cpu():
    torch.manual_seed(0)
    plain = build("vae", shape=(3, 32, 32), labels=3, network="paper", latent_dim=16)
    low = copy.deepcopy(plain).cuda().to(memory_format=torch.channels_last)
    x = torch.rand(16, 3, 32, 32)
    plain.decoder(plain.trunk(x)[:, :16]).square().sum().backward()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        seen = low.decoder(low.trunk(x.cuda().contiguous(memory_format=torch.channels_last))[:, :16])
    seen.float().square().sum().backward()
    pairs = zip(plain.named_parameters(), low.parameters(), strict=True)
    for (name, weight), other in pairs:
        if weight.grad is not None:
            assert other.grad.dtype == torch.float32
            likeness = torch.cosine_similarity(weight.grad.flatten(), other.grad.cpu().flatten(), dim=0)
            assert likeness > 0.9, name
