"""Labels guessed from codes where they are sure."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from models.guessing import guessed, one_at_most
from models.kind import build


def people(count: int, share: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes N×6 whose widest direction tells the label, but for a few near the edge; true labels N."""
    noise = torch.Generator().manual_seed(seed)
    true = torch.rand(count, generator=noise) < share
    codes = torch.randn(count, 6, generator=noise)
    codes[:, 0] += 4.0 * true
    return codes, true.to(torch.int8)


def hidden(true: torch.Tensor, known: int) -> torch.Tensor:
    y = true.clone()
    y[known:] = -1
    return y


@settings(max_examples=50)
@given(seed=st.integers(0, 50), share=st.sampled_from([0.1, 0.5, 0.8]))
def test_the_surer_half_of_either_class_is_believed_and_mostly_right(seed: int, share: float) -> None:
    codes, true = people(2000, share, seed)
    y = hidden(true, 200)
    found = guessed(codes, y)
    assert torch.equal(found[:200], y[:200])
    rest, right = found[200:], true[200:]
    expected = (y[:200] == 1).float().mean().item()
    assert abs((rest == 1).sum().item() - 0.5 * expected * 1800) <= 1
    assert abs((rest == 0).sum().item() - 0.5 * (1 - expected) * 1800) <= 1
    for label in (0, 1):
        assert (right[rest == label] == label).float().mean() > 0.95


def test_who_is_believed_is_whom_a_logistic_regression_is_surest_of() -> None:
    codes, true = people(500, 0.4, 1)
    y = hidden(true, 60)
    found = guessed(codes, y)
    x = ((codes - codes.mean(0)) / codes.std()).numpy()
    other = LogisticRegression(C=0.01, tol=1e-8, max_iter=1000).fit(x[:60], true[:60].numpy())
    said = torch.from_numpy(other.decision_function(x[60:]))
    rest = found[60:]
    assert said[rest == 1].min() > said[rest == -1].max()
    assert said[rest == 0].max() < said[rest == -1].min()


def test_nothing_is_guessed_where_all_is_known_or_the_known_are_all_of_one_class() -> None:
    codes, true = people(50, 0.5, 2)
    assert torch.equal(guessed(codes, true), true)
    for label in (-1, 0, 1):
        y = torch.full((50,), -1, dtype=torch.int8)
        y[:10] = label
        assert torch.equal(guessed(codes, y), y)


def test_labels_that_edits_leave_alone_are_not_guessed() -> None:
    torch.manual_seed(0)
    options = {"network": "light", "shape": (3, 32, 32), "labels": 2, "latent_dim": 6, "styled": 1}
    model = build("flow-csvae", **options).eval()
    x = torch.rand(40, 3, 32, 32)
    y = torch.full((40, 2), -1, dtype=torch.int8)
    y[:10] = torch.tensor([[0, 1], [1, 0]], dtype=torch.int8).repeat(5, 1)
    with torch.no_grad():
        filled = model.map_labels(model.mu(x), y)
    assert (filled[10:, 0] >= 0).sum() == 16  # the surer half of either class, 7.5 of 15, rounded
    assert torch.equal(filled[:, 1], y[:, 1])
    assert torch.equal(filled[:10], y[:10])


def test_guesses_of_exclusive_labels_agree() -> None:
    known = torch.tensor([[-1, -1, -1]] * 5 + [[0, 1, 0]], dtype=torch.int8)
    guesses = torch.tensor(
        [[1, -1, 0], [0, -1, -1], [1, 1, 0], [0, 0, 0], [-1, -1, -1], [0, 1, 0]], dtype=torch.int8
    )
    agreed = [[1, 0, 0], [0, -1, -1], [-1, -1, -1], [-1, -1, -1], [-1, -1, -1], [0, 1, 0]]
    assert one_at_most(guesses, known).tolist() == agreed
