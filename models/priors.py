"""Gaussians and the priors of W: p(w|y) = prod_i p(w_i|y_i), an unknown label marginalised.

All Gaussians are diagonal and come as (mu, log_var). Labels are 1 present, 0 absent, −1 unknown.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.fusible import Fusible

Orientation = Literal["offset", "printed"]


def sample(mu: Tensor, log_var: Tensor, noise: torch.Generator | None) -> Tensor:
    """A reparameterised sample, mu + exp(log_var / 2) · epsilon, in the shape of mu."""
    epsilon = torch.randn(mu.shape, generator=noise, device=mu.device, dtype=mu.dtype)
    return _moved(mu, log_var, epsilon)


@Fusible
def _moved(mu: Tensor, log_var: Tensor, epsilon: Tensor) -> Tensor:
    return mu + torch.exp(0.5 * log_var) * epsilon


def kl_standard(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mu, exp log_var) || N(0, 1)), element by element, in nats."""
    return 0.5 * (mu.square() + log_var.exp() - 1 - log_var)


def kl_gaussian(mu: Tensor, log_var: Tensor, mean: float, std: float) -> Tensor:
    """KL(N(mu, exp log_var) || N(mean, std²)), element by element, in nats."""
    return kl_standard((mu - mean) / std, log_var - 2 * math.log(std))


def log_normal(w: Tensor, mean: float, std: float) -> Tensor:
    """log N(w; mean, std²), element by element."""
    return -0.5 * (((w - mean) / std).square() + math.log(2 * math.pi)) - math.log(std)


@dataclass(frozen=True)
class LabelPrior:
    """p(w_i|y_i): the same mean and standard deviation in every dimension of W_i, for each label.

    The paper prints one orientation and argues from the other (its Section 4.3): `printed` puts *present*
    narrowly at the origin, `offset` puts *absent* there and gives the styles of *present* the room.
    """

    present_mean: float
    present_std: float
    absent_mean: float
    absent_std: float

    def kl(self, mu: Tensor, log_var: Tensor, w: Tensor, y: Tensor) -> Tensor:
        """KL(q(w_i|x, y) || p(w_i|y_i)) for each row, N.

        Closed form where y_i is known. Where it is unknown, p(w_i) = ½ Σ_y p(w_i|y), and the KL is its
        one-sample estimate from w ~ q (unbiased): −H(q) − log p(w).

        mu, log_var, w: N×d_i; y: N.
        """
        present = kl_gaussian(mu, log_var, self.present_mean, self.present_std).sum(1)
        absent = kl_gaussian(mu, log_var, self.absent_mean, self.absent_std).sum(1)
        entropy = 0.5 * (log_var + math.log(2 * math.pi) + 1).sum(1)
        marginal = -entropy - self.log_prob(w, torch.full_like(y, -1))
        return torch.where(y == 1, present, torch.where(y == 0, absent, marginal))

    def log_prob(self, w: Tensor, y: Tensor) -> Tensor:
        """log p(w_i|y_i) for each row, N; the log of the even mixture where y_i is unknown."""
        present = log_normal(w, self.present_mean, self.present_std).sum(1)
        absent = log_normal(w, self.absent_mean, self.absent_std).sum(1)
        mixture = torch.logaddexp(present, absent) - math.log(2)
        return torch.where(y == 1, present, torch.where(y == 0, absent, mixture))


def label_prior(orientation: Orientation) -> LabelPrior:
    """The two priors of the paper (its 0.1 is read as a standard deviation, as others do)."""
    if orientation == "offset":
        return LabelPrior(present_mean=3.0, present_std=1.0, absent_mean=0.0, absent_std=0.1)
    return LabelPrior(present_mean=0.0, present_std=0.1, absent_mean=3.0, absent_std=1.0)


class ClassGaussians(nn.Module):
    """p(w_i|y_i) with a mean and a standard deviation of its own in every dimension, for each label, learnt.

    mean, log_std: 2×d_i, absent first. At the start the classes are apart along the first dimension, and
    present has the wider spread: it is the one with styles.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        mean = torch.zeros(2, dim)
        mean[:, 0] = torch.tensor([-2.5, 2.5])
        self.mean = nn.Parameter(mean)
        self.log_std = nn.Parameter(torch.tensor([[math.log(0.5)], [0.0]]).repeat(1, dim))

    def log_prob(self, w: Tensor, y: Tensor, log_odds: Tensor | float) -> Tensor:
        """log p(w_i|y_i) for each row, N; log Σ_y p(y) p(w_i|y) where y_i is unknown (−1).

        w: N×d_i; y: N; log_odds: log p(y_i = 1) / p(y_i = 0).
        """
        absent, present = self.both(w)
        log_odds = torch.as_tensor(log_odds, device=w.device)
        mixture = torch.logaddexp(absent + F.logsigmoid(-log_odds), present + F.logsigmoid(log_odds))
        return torch.where(y == 1, present, torch.where(y == 0, absent, mixture))

    def evidence(self, w: Tensor) -> Tensor:
        """log p(w_i|1) − log p(w_i|0) for each row, N."""
        absent, present = self.both(w)
        return present - absent

    def both(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """log p(w_i|0) and log p(w_i|1) for each row, N each."""
        u = (w[:, None] - self.mean) * torch.exp(-self.log_std)
        log_p = (-0.5 * (u.square() + math.log(2 * math.pi)) - self.log_std).sum(2)
        return log_p[:, 0], log_p[:, 1]


def log_class_prior(
    priors: Sequence[ClassGaussians], w: Sequence[Tensor], y: Tensor, log_odds: Tensor, *, exclusive: bool
) -> Tensor:
    """log p(w|y) for each row, N: all W_i together, an unknown label marginalised.

    Where labels are exclusive exactly one of them is present: Σ_c p(c|y) Π_i p(w_i|y_i = [i = c]) over the
    classes c that what is known of y allows. w: for each label N×d_i; y: N×k; log_odds: k, `label_log_odds`.
    """
    pairs = list(zip(priors, w, strict=True))
    if not exclusive:
        return torch.stack([p.log_prob(w_i, y[:, i], log_odds[i]) for i, (p, w_i) in enumerate(pairs)]).sum(0)
    absent, present = (torch.stack(each, 1) for each in zip(*(p.both(w_i) for p, w_i in pairs), strict=True))
    others = (y == 1).sum(1, keepdim=True) - (y == 1).int()
    likely = F.logsigmoid(log_odds).expand_as(absent).masked_fill((y == 0) | (others > 0), -math.inf)
    return absent.sum(1) + (likely + present - absent).logsumexp(1) - likely.logsumexp(1)


def label_log_odds(y: Tensor) -> Tensor:
    """log p(y_i = 1) / p(y_i = 0) of each label, k, half a row being added to either class.

    y: N×k in {1, 0, −1}.
    """
    present, absent = (y == 1).sum(0), (y == 0).sum(0)
    return torch.log((present + 0.5) / (absent + 0.5))


def class_weights(y: Tensor) -> Tensor:
    """2×k: what an absent and a present label count, so that both classes of each label weigh the same.

    y: N×k in {1, 0, −1}. Of the rows with a known label the mean is 1.
    """
    counts = torch.stack([(y == 0).sum(0), (y == 1).sum(0)]).float().clamp(min=1)
    return counts.sum(0) / (2 * counts)


def per_label(weight: Tensor, y: Tensor) -> Tensor:
    """What each label of y (N×k in {1, 0, −1}) counts by the weights of its classes (2×k), N×k."""
    return torch.where(y == 1, weight[1], weight[0])


def known_cross_entropy(logits: Tensor, y: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    """Binary cross-entropy of the known labels: a sum over labels, a mean over the batch.

    logits: N×k; y: N×k in {1, 0, −1}; weight: of each row and label, N×k, or the same for all.
    """
    known = (y >= 0).to(logits.dtype)
    losses = F.binary_cross_entropy_with_logits(logits, y.clamp(min=0).to(logits.dtype), reduction="none")
    return (losses * known * weight).sum(1).mean()


def kl_bernoulli(p: Tensor, logits: Tensor) -> Tensor:
    """KL(B(p) || B(sigmoid(logits))), element by element, in nats."""
    p = p.clamp(1e-6, 1 - 1e-6)
    entropy = -p * p.log() - (1 - p) * torch.log1p(-p)
    return F.binary_cross_entropy_with_logits(logits, p, reduction="none") - entropy
