"""Compiled networks: the same steps, and only the steps; without a compiler, plain ones."""

import pytest
import torch

from csvae_cli import output
from csvae_cli.training.fusing import fused
from models.kind import build

# Of torch itself, as it compiles.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


@pytest.fixture(autouse=True)
def _torch_as_it_was():
    yield
    torch._dynamo.reset()


def model_and_step():
    torch.manual_seed(0)
    model = build("vae", shape=(3, 32, 32), labels=1, network="paper", latent_dim=4)
    x = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    noise = torch.Generator().manual_seed(2)

    def step(rows):
        terms = model.terms(x[rows], torch.zeros(len(rows), 1, dtype=torch.int8), noise)
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
        return {name: term.detach() for name, term in terms.items()}

    return model, step, noise


def three(step):
    return [float(step(torch.arange(4) + 2 * n)["recon"]) for n in range(3)]


def test_steps_are_the_same_and_looks_between_them_compile_nothing():
    compiled = []

    def backend(graph, examples):  # noqa: ARG001
        compiled.append(graph)
        return graph.forward

    _, plain, _ = model_and_step()
    expected = three(plain)
    model, step, noise = model_and_step()
    step = fused(step, model, noise, backend)
    found = three(step)
    assert found == pytest.approx(expected, rel=1e-4)
    assert len(compiled) == 6  # encoder, decoder; a Gaussian, a sample of it, its KL; the error
    with torch.no_grad():
        model.eval().encode(torch.rand(3, 3, 32, 32))
    assert len(compiled) == 6


@pytest.mark.parametrize("whole", [0, 3, 5])  # parts that are compiled before it breaks, and have drawn noise
def test_without_a_compiler_steps_are_plain_and_that_is_said_once(whole, monkeypatch):
    said, compiled = [], []
    monkeypatch.setattr(output, "say", said.append)

    def broken(graph, examples):  # noqa: ARG001
        compiled.append(graph)
        if len(compiled) > whole:
            raise RuntimeError("no compiler to be found")
        return graph.forward

    _, plain, _ = model_and_step()
    expected = three(plain)
    model, step, noise = model_and_step()
    assert three(fused(step, model, noise, broken)) == pytest.approx(expected, rel=1e-4)
    assert len(said) == 1
    assert "no compiler to be found" in said[0]
