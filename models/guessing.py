"""Labels of those who have none, guessed from codes where they are sure."""

import torch
from torch import Tensor, nn

_STRENGTH, _BELIEVED, _STEPS = 0.01, 0.5, 100
"""How far the weights of the logistic regression may go; the share of each class that is believed; the steps
after which the fit ends at the latest.
"""


def guessed(codes: Tensor, y: Tensor) -> Tensor:
    """Labels of one attribute (int8 N in {1, 0, −1}), unknown ones filled in where they are sure. On the CPU.

    A logistic regression on the codes (N×d) as they are, so that what varies little in them counts little,
    learns from the known. Of the others as many as the known let expect are of each class, and the surer half
    of either is believed. Nothing is guessed where all are known, or the known are of one class.
    """
    known = y >= 0
    share = float((y == 1).sum() / known.sum().clamp(min=1))
    if bool(known.all()) or share in (0.0, 1.0):
        return y
    x = codes.detach().double()
    x = (x - x.mean(0)) / x.std()
    logits = x @ _direction(x[known], y[known].double())
    others = (~known).nonzero()[:, 0]
    order = others[logits[others].argsort(descending=True)]
    filled = y.clone()
    filled[order[: round(_BELIEVED * share * len(others))]] = 1
    filled[order[len(order) - round(_BELIEVED * (1 - share) * len(others)) :]] = 0
    return filled


def one_at_most(guesses: Tensor, y: Tensor) -> Tensor:
    """Labels of which exactly one is present (int8 N×k), each `guessed` by itself, made to agree by row.

    One that is present takes the others away. Where several, or none, are left, the row is again as known, y.
    """
    present, possible = (guesses == 1).sum(1, keepdim=True), (guesses != 0).sum(1, keepdim=True)
    agreed = torch.where(present == 1, (guesses == 1).to(guesses.dtype), guesses)
    return torch.where((present > 1) | (possible == 0), y, agreed)


@torch.enable_grad()
def _direction(x: Tensor, y: Tensor) -> Tensor:
    """The weights (d) of a logistic regression of y (N of 1 and 0) on x (N×d)."""
    weights = torch.zeros(x.shape[1], dtype=x.dtype, requires_grad=True)
    offset = torch.zeros((), dtype=x.dtype, requires_grad=True)
    fit = torch.optim.LBFGS([weights, offset], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        fit.zero_grad()
        wrong = nn.functional.binary_cross_entropy_with_logits(x @ weights + offset, y, reduction="sum")
        total: Tensor = wrong + weights.square().sum() / (2 * _STRENGTH)
        total.backward()
        return total

    fit.step(loss)
    return weights.detach()
