"""Recorded steps on a GPU: the same as plain ones; skipped where there is no GPU."""

import copy

import pytest
import torch
from test_precision import alike_in_bf16, model, pictures, training

from csvae_cli import output
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


@pytest.fixture
def exact():
    """cuDNN may choose other ways from one run to the next, and TF32 with them."""
    kept = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = False, True
    torch.backends.cudnn.benchmark = False
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = kept


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
    config, batches = training(kind), pictures(GPU)
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
    epochs_of(start(model(kind), config, GPU), config, pictures(GPU))
    assert said == []


def test_a_step_that_waits_for_the_host_is_taken_plainly_and_that_is_said(monkeypatch):
    said = []
    monkeypatch.setattr(output, "say", said.append)
    config, batches = training("vae", epochs=2), pictures(GPU)
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
    config, batches = training("csvae"), pictures(GPU)
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
    alike_in_bf16(kind, GPU)


@pytest.mark.usefixtures("exact")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_steps_are_the_plain_ones(monkeypatch):
    said = []
    monkeypatch.setattr(output, "say", said.append)
    config, batches = training("vae"), pictures(GPU)
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
    config, batches = training("vae", max_norm=None), pictures(GPU)
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
