"""CondVAE and CondVAE-info: the label itself is the code of the attribute.

Both keep a small reader of labels, trained on features that it does not change, so that a picture whose
label nobody gave can be encoded too.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models import networks
from models.adversary import Shown, compare, read_and_compare, read_frozen
from models.kind import Codes, Kind, Reduction, Sees, gaussian, label_anchors, label_codes, signed, unknown
from models.priors import known_cross_entropy, sample


class CondVAE(Kind):
    """q(z|x, y), p(x|z, y), p(z) = N(0, I). W_i is the label as a number: −1 absent, +1 present."""

    owners: Mapping[str, str] = {
        "recon": "autoencoder",
        "kl_z": "autoencoder",
        "label": "label_reader",
    }
    encoder_sees_labels: ClassVar[bool] = True

    def __init__(
        self,
        *,
        shape: Sequence[int],
        labels: int,
        network: networks.NetworkName = "light",
        latent_dim: int = 64,
        reduction: Reduction = "sum",
        exclusive: bool = False,
    ) -> None:
        """exclusive: exactly one of the labels is present."""
        super().__init__(shape, labels, latent_dim, reduction)
        self.w_dims = (1,) * labels
        self.exclusive = exclusive
        self.trunk, features = networks.trunk(network, shape)
        self.z_head = networks.gaussian_head(features, labels if self.encoder_sees_labels else 0, latent_dim)
        self.label_reader = nn.Linear(features, labels)
        self.decoder = networks.decoder(network, latent_dim + labels, shape)

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        autoencoder = [self.trunk, self.z_head, self.decoder]
        return {
            "autoencoder": [p for module in autoencoder for p in module.parameters()],
            "label_reader": list(self.label_reader.parameters()),
        }

    def encode(self, x: Tensor, y: Tensor | None = None) -> Codes:
        features = self.trunk(x)
        y = unknown(x, self.labels) if y is None else y
        label = torch.where(y >= 0, signed(y), self._read(features))
        mu, log_var = self._z(features, label)
        return Codes(self.at_rest(mu), log_var, *label_codes(label))

    def _read(self, features: Tensor) -> Tensor:
        """The labels that the reader sees, N×k of −1 and +1."""
        logits: Tensor = self.label_reader(features).float()
        if self.exclusive:
            return signed(F.one_hot(logits.argmax(1), self.labels))
        return logits.sign()

    def decode(self, z: Tensor, w: Sequence[Tensor]) -> Tensor:
        x: Tensor = self.decoder(torch.cat([z, *w], dim=1))
        return x

    def terms(self, x: Tensor, y: Tensor, noise: torch.Generator | None) -> dict[str, Tensor]:
        """recon: (x̂ − x)²; kl_z: KL(q(z|x, y) || N(0, I)); label: the reader's cross-entropy."""
        terms, _, _ = self._terms(x, y, noise)
        return terms

    def anchors(self, attribute: int) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        return label_anchors(self.label_reader.weight.device)

    def _z(self, features: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        seen = torch.cat([features, label], dim=1) if self.encoder_sees_labels else features
        return gaussian(self.z_head(seen))

    def _terms(
        self, x: Tensor, y: Tensor, noise: torch.Generator | None
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """The terms, and mu and a sample of q(z|x)."""
        features = self.trunk(x)
        label = signed(y)
        mu, log_var = self._z(features, label)
        mu = self.at_rest(mu)
        z = sample(mu, log_var, noise)
        x_hat = self.decoder(torch.cat([z, label], dim=1))
        terms = {
            "recon": self.squared_error(x_hat, x),
            "kl_z": self.kl_standard(mu, log_var),
            "label": known_cross_entropy(self.label_reader(features.detach()).float(), y),
        }
        return terms, mu, z


class CondVAEInfo(CondVAE):
    """q(z|x), p(x|z, y), and an adversary r(y|z) that the encoder must leave in the dark."""

    owners: Mapping[str, str] = {
        **CondVAE.owners,
        "confusion": "autoencoder",
        "adversary": "adversary",
    }
    encoder_sees_labels: ClassVar[bool] = False

    def __init__(
        self,
        *,
        shape: Sequence[int],
        labels: int,
        network: networks.NetworkName = "light",
        latent_dim: int = 64,
        reduction: Reduction = "sum",
        exclusive: bool = False,
        adversary_sees: Sees = "sample",
    ) -> None:
        super().__init__(
            shape=shape,
            labels=labels,
            network=network,
            latent_dim=latent_dim,
            reduction=reduction,
            exclusive=exclusive,
        )
        self.adversary = networks.Adversary(latent_dim, labels)
        self.adversary_sees = adversary_sees

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        return {**super().groups(), "adversary": list(self.adversary.parameters())}

    def terms(self, x: Tensor, y: Tensor, noise: torch.Generator | None) -> dict[str, Tensor]:
        """CondVAE's, and: adversary: L(r(z), y), to r; confusion: −L(r(z), y), to the encoder."""
        terms, mu, z = self._terms(x, y, noise)
        seen = mu if self.adversary_sees == "mean" else z
        self.shown = Shown(seen.detach(), y)
        terms["confusion"] = -compare(self.adversary, read_frozen(self.adversary, seen), y)
        return {**terms, **self.adversary_terms(self.shown)}

    def expect(self, y: Tensor) -> None:
        self.adversary.expect(y)

    def adversary_logits(self, z: Tensor) -> Tensor:
        return read_frozen(self.adversary, z)

    def adversary_terms(self, shown: Shown) -> dict[str, Tensor]:
        return {"adversary": read_and_compare(self.adversary, shown)}
