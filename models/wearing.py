"""What edits do within W_i, where both classes are Gaussians: how one comes to wear the style of another."""

from torch import Tensor, nn

from models.priors import ClassGaussians

_WITHOUT, _WITH = 2.5, 1.0
"""How far, in standard deviations, "absent" and "present" lie from the means of those without and with."""

_LEAST = 3
"""Dimensions of W_i that leave styles room beside how clear the attribute is."""


def clearer(prior: ClassGaussians) -> Tensor:
    """The direction from the mean of those without to the mean of those with, of length 1, d."""
    absent, present = prior.mean.detach()
    return nn.functional.normalize(present - absent, dim=0)


def strength_axis(prior: ClassGaussians) -> Tensor | None:
    """`clearer`, where W_i has room for styles beside it."""
    return clearer(prior) if prior.mean.shape[1] >= _LEAST else None


def anchors(prior: ClassGaussians) -> tuple[Tensor, Tensor]:
    """The means of the prior, each moved away from the other: clearly without, and clearly with, d each."""
    absent, present = prior.mean.detach()
    away = prior.log_std.detach().exp() * clearer(prior)
    return absent - _WITHOUT * away[0], present + _WITH * away[1]


def worn(prior: ClassGaussians, w: Tensor, p: Tensor) -> Tensor:
    """The style of p (d or N×d), as clear as p is, in the light of w (N×d).

    Who has the attribute varies by style and by what those without vary by too (the light on the skin); so of
    the variance across the strength axis a share 1 − σ₀²/σ₁² is style. What is light in w, and what is style
    in p, is told by the conditional mean; one who has no style of their own gets all of p.
    """
    p, axis = p.to(w).expand_as(w), strength_axis(prior)
    if axis is None:
        return p
    mean, variance = prior.mean.detach(), (2 * prior.log_std.detach()).exp()
    has, shall = (prior.evidence(one).detach().sigmoid()[:, None] for one in (w, p))
    share = (1 - variance[0] / variance[1]).clamp(min=0)
    light = (1 - has) * (w - mean[0]) + has * (1 - share) * (w - mean[1])
    gained = (shall - has).clamp(min=0)
    style = (shall * share + gained * (1 - share)) * (p - mean[1])
    across = mean[1] + light + style
    return across + ((p - across) * axis).sum(1, keepdim=True) * axis
