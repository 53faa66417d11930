"""What a kind of model is, and the registry of kinds.

A kind is a class in this package and a line in `KINDS`; CONTRIBUTING.md says where its settings are. What is
done with models (`train`, `encode`, `transfer`, `grid`, `evaluate`) is written once, against `Kind`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from models.adversary import Shown
from models.fusible import Fusible
from models.priors import kl_standard

Reduction = Literal["sum", "mean"]
Sees = Literal["sample", "mean"]
"""What of q(z|x) the adversary is shown: a sample, as in the paper, or μ_z, as a fresh probe would be."""
Others = Literal["own", "absent"]
"""What an edit of attribute i puts into W_l, l ≠ i: the picture's own w_l, or (the paper) the absent mean."""

Rows = Callable[[Tensor], Tensor]
"""Row numbers (int64 N) -> x (N×C×H×W in [0, 1], or N×D)."""

ADVERSARY = "adversary"
"""The name of the adversary's group of parameters, and of its term."""

CRITIC = "critic"
"""The name of the group of those that tell what a model makes from what is real."""

OPPONENTS = (ADVERSARY, CRITIC)
"""Groups whose terms say how well they see through the rest: a model is not the better for them."""

MAP = "map"
"""The name of the stage that trains a map of the codes of a finished autoencoder, and of its parameters."""

_ACTIVE = 0.1

KINDS: dict[str, str] = {
    "flow-csvae": "models.flow_csvae:FlowCSVAE",
    "csvae": "models.csvae:CSVAE",
    "condvae-info": "models.condvae:CondVAEInfo",
    "condvae": "models.condvae:CondVAE",
    "vae": "models.vae:VAE",
}


@dataclass(frozen=True)
class Codes:
    """(z, w_1 … w_k) of N pictures: Gaussians by mu and log_var.

    z_mu, z_log_var: N×latent_dim; w_mu, w_log_var: for each attribute N×d_i. A code without a variance has
    log_var −inf.
    """

    z_mu: Tensor
    z_log_var: Tensor
    w_mu: tuple[Tensor, ...]
    w_log_var: tuple[Tensor, ...]


class Kind(nn.Module, ABC):
    """A model of pictures x with k labels y and codes (z, w_1 … w_k).

    `owners` names every loss term of the kind and the group of parameters that the term trains: the term
    sends a gradient to that group and to no other. Terms are sums over dimensions (`reduction="sum"`) or
    means over dimensions ("mean"), then always means over the batch.
    """

    owners: Mapping[str, str]

    stage: str | None = None
    """The stage that `terms` is for; None: all terms."""

    undisturbed: ClassVar[tuple[str, ...]] = ()
    """The stages that see pictures as they are, also in a training that disturbs them."""

    for_training: ClassVar[tuple[str, ...]] = ()
    """What the names of weights begin with that a finished model works without."""

    w_dims: tuple[int, ...]
    active: Tensor
    shown: Shown
    """What `terms` last showed the adversary, where there is one."""

    def __init__(self, shape: Sequence[int], labels: int, latent_dim: int, reduction: Reduction) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.labels = labels
        self.latent_dim = latent_dim
        self.reduction = reduction
        self.register_buffer("active", torch.ones(latent_dim))

    @abstractmethod
    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        """Every parameter, once, under the name of its group."""

    @abstractmethod
    def encode(self, x: Tensor, y: Tensor | None = None) -> Codes:
        """Codes of x (N×C×H×W in [0, 1], or N×D); y: N×k in {1, 0, −1}, all unknown where not given."""

    @abstractmethod
    def decode(self, z: Tensor, w: Sequence[Tensor]) -> Tensor:
        """x of the codes z (N×latent_dim) and w (for each attribute N×d_i), not clamped."""

    @abstractmethod
    def terms(self, x: Tensor, y: Tensor, noise: torch.Generator | None) -> dict[str, Tensor]:
        """The unweighted loss terms of a batch, each to be minimised; names as in `owners`."""

    @abstractmethod
    def anchors(self, attribute: int) -> tuple[Tensor, Tensor]:
        """The points (d_i) of W_i that stand for "absent" and for "present"."""

    def expect(self, y: Tensor) -> None:
        """Called with all labels (M×k) of what an epoch learns from, before it, for kinds that count them."""

    def mu(self, x: Tensor) -> Tensor:
        """What the stage `map` maps, of x, N×D, for kinds that have it."""
        raise NotImplementedError(type(self).__name__)

    def map_labels(self, codes: Tensor, y: Tensor) -> Tensor:  # noqa: ARG002
        """The labels that the stage `map` learns from, by `mu` of all training pictures and their labels."""
        return y

    def begin_map(self, rows: Rows, codes: Tensor, y: Tensor) -> None:
        """Called with all training pictures, `mu` of them and their `map_labels`, before the stage `map`."""

    def map_input(self, x: Tensor, codes: Tensor) -> Tensor:
        """What the stage `map` learns from instead of pictures x whose `mu` is `codes`, N×…."""
        raise NotImplementedError(type(self).__name__)

    def map_terms(self, codes: Tensor, y: Tensor, noise: torch.Generator | None) -> dict[str, Tensor]:
        """The terms of the stage `map`, of what `map_input` gives."""
        raise NotImplementedError(type(self).__name__)

    def end_map(self, codes: Tensor, y: Tensor) -> None:
        """Called with `map_input` of all training pictures and their `map_labels`, after the stage `map`."""

    def wearing(self, attribute: int, w: Tensor, p: Tensor) -> Tensor:  # noqa: ARG002
        """w_i of people (N×d_i) who are given the style p (d_i or N×d_i), N×d_i: that style."""
        return p.to(w).expand_as(w)

    def strength_axis(self, attribute: int) -> Tensor | None:  # noqa: ARG002
        """The direction of W_i (d_i, of length 1) that says how clearly an attribute is seen, not how.

        None where there is no such direction, and principal components may run along any.
        """
        return None

    def label_probabilities(self, w: Sequence[Tensor]) -> Tensor | None:  # noqa: ARG002
        """p(y_i = 1|w), N×k, all classes being equally likely beforehand; None for kinds without.

        By w_i alone; where labels are exclusive by all W, and a row sums to 1.
        """
        return None

    def adversary_terms(self, shown: Shown) -> dict[str, Tensor]:  # noqa: ARG002
        """The adversary's term again, with its weights as they are now, on codes that it was shown.

        For adversaries that take several steps in their turn; nothing for kinds without one.
        """
        return {}

    def adversary_logits(self, z: Tensor) -> Tensor | None:  # noqa: ARG002
        """What the kind's own adversary reads from z (N×latent_dim): logits N×k; None for kinds without."""
        return None

    def switch(
        self, codes: Codes, points: Mapping[int, Tensor], others: Others = "own", strength: float = 1.0
    ) -> Tensor:
        """G_ij(x, p): x of the codes' z, with each attribute i of `points` `wearing` p (d_i or N×d_i).

        strength: how far on the way there from the own w: 0 not at all, 2 as far again. (The other W go to
        "absent", where they do, no further than that.)
        """
        return self.decode(codes.z_mu, self.switched_w(codes, points, others, strength))

    def switched_w(
        self, codes: Codes, points: Mapping[int, Tensor], others: Others, strength: float
    ) -> list[Tensor]:
        """The w that `switch` asks for, of every attribute N×d_i."""
        w = []
        for attribute, own in enumerate(codes.w_mu):
            if attribute in points:
                w.append(own.lerp(self.wearing(attribute, own, points[attribute]), strength))
            elif others == "own":
                w.append(own)
            else:
                w.append(own.lerp(self.anchors(attribute)[0].expand_as(own), min(max(strength, 0.0), 1.0)))
        return w

    def begin_stage(self, seed: int) -> Sequence[str]:  # noqa: ARG002 (for kinds that draw something anew)
        """Called before the first step of a training, of each of its stages; the groups that begin anew.

        seed: the training's.
        """
        return ()

    def begun_with(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """All weights of a training that begins at those of another model: these."""
        return weights

    def settle(self, z_mu: Tensor, y: Tensor) -> None:  # noqa: ARG002 (the labels are for kinds that need them)
        """Called with all of z of training pictures (N×latent_dim) and their labels, before edits.

        Dimensions of z that hardly vary (variance of μ_z below 0.1, the prior's being 1) are put to rest: the
        decoder has seen little but noise there, and a label can hide in them from a reader that sees noise
        too. "Active units" are Burda, Grosse and Salakhutdinov's (2016).
        """
        self.active.copy_((z_mu.var(0) >= _ACTIVE).float())

    def wake(self) -> None:
        """All dimensions of z in use again, as in training: to be called before `settle` looks at them."""
        self.active.fill_(1)

    def at_rest(self, z_mu: Tensor) -> Tensor:
        """z_mu with the dimensions at rest at 0; in training all of it."""
        return z_mu if self.training else z_mu * self.active

    def squared_error(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """−log p(x|z, w) of a Gaussian with fixed variance, up to its scale and constant: (x̂ − x)²."""
        return _squared_error(x_hat, x, self.reduction)

    def kl_standard(self, mu: Tensor, log_var: Tensor) -> Tensor:
        """KL(N(mu, exp log_var) || N(0, I)), by this model's reduction."""
        return _kl_standard(mu, log_var, self.reduction)


@Fusible
def _squared_error(x_hat: Tensor, x: Tensor, reduction: Reduction) -> Tensor:
    return _reduced((x_hat.float() - x.float()).square(), reduction)


@Fusible
def _kl_standard(mu: Tensor, log_var: Tensor, reduction: Reduction) -> Tensor:
    return _reduced(kl_standard(mu, log_var), reduction)


def _reduced(per_dimension: Tensor, reduction: Reduction) -> Tensor:
    """N×… values per dimension -> a scalar, the mean over rows of a row's sum or mean.

    Never flattened: pictures with channels last would be copied for it, and their gradients strided.
    """
    return per_dimension.sum() / len(per_dimension) if reduction == "sum" else per_dimension.mean()


@Fusible
def gaussian(parameters: Tensor) -> tuple[Tensor, Tensor]:
    """(mu, log_var) in float32 from a head's output N×2d; log_var is kept within [−12, 6]."""
    mu, log_var = parameters.float().chunk(2, dim=1)
    return mu, log_var.clamp(-12, 6)


def signed(y: Tensor) -> Tensor:
    """Labels as numbers that a network takes: +1 present, −1 absent, 0 unknown."""
    return torch.where(y < 0, 0.0, 2.0 * y - 1.0)


def label_codes(label: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """(w_mu, w_log_var) of kinds whose w_i is the label itself, N×k of −1 … +1: N×1 each, no variance."""
    w = tuple(label.split(1, dim=1))
    return w, tuple(torch.full_like(v, -torch.inf) for v in w)


def label_anchors(device: torch.device) -> tuple[Tensor, Tensor]:
    """ "Absent" and "present" of kinds whose w_i is the label itself: −1 and +1."""
    one = torch.ones(1, device=device)
    return -one, one


def unknown(x: Tensor, labels: int) -> Tensor:
    """N×labels of −1, on x's device."""
    return torch.full((len(x), labels), -1, dtype=torch.int8, device=x.device)


def build(kind: str, **options: Any) -> Kind:
    """A fresh model of a kind; options are the constructor's. The caller seeds torch beforehand."""
    module, _, name = KINDS[kind].partition(":")
    model: Kind = getattr(import_module(module), name)(**options)
    return model
