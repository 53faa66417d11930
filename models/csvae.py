"""CSVAE, the paper's model: z for everything but the labels, a subspace W_i for each of them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from models import networks
from models.adversary import Shown, negative_entropy, read_and_compare, read_frozen
from models.erasure import linear_eraser
from models.kind import Codes, Kind, Reduction, Sees, gaussian, signed, unknown
from models.priors import Orientation, label_prior, sample


class CSVAE(Kind):
    """p(x, y, w, z) = p(x|w, z) p(z) p(w|y) p(y); q(z, w|x, y) = q₁(z|x) q₂(w|x, y).

    M1 is `recon` + `kl_w` + `kl_z` (−log p(y) is a constant), M2 is `neg_entropy`, −N is `adversary`.
    """

    owners: Mapping[str, str] = {
        "recon": "autoencoder",
        "kl_z": "autoencoder",
        "kl_w": "autoencoder",
        "neg_entropy": "autoencoder",
        "adversary": "adversary",
    }
    erased_mean: Tensor
    eraser: Tensor

    def __init__(
        self,
        *,
        shape: Sequence[int],
        labels: int,
        network: networks.NetworkName = "light",
        latent_dim: int = 64,
        w_dims: Sequence[int] = (),
        reduction: Reduction = "sum",
        prior: Orientation = "offset",
        label_dropout: float = 0.5,
        adversary_sees: Sees = "sample",
    ) -> None:
        """w_dims: d_i of each W_i, 2 where not given; label_dropout: how often q₂ must do without y_i.

        q₂(w|x, y) of the paper sees y always; but a picture to be edited has no label, so a q₂ that has
        never done without one would be of no use.
        """
        super().__init__(shape, labels, latent_dim, reduction)
        self.w_dims = tuple(w_dims) or (2,) * labels
        self.prior = label_prior(prior)
        self.label_dropout = label_dropout
        self.adversary_sees = adversary_sees
        self.trunk, features = networks.trunk(network, shape)
        self.z_head = networks.gaussian_head(features, 0, latent_dim)
        self.w_trunk, features = networks.trunk(network, shape)
        self.w_head = networks.gaussian_head(features, labels, sum(self.w_dims))
        self.decoder = networks.decoder(network, latent_dim + sum(self.w_dims), shape)
        self.adversary = networks.Adversary(latent_dim, labels)
        self.register_buffer("erased_mean", torch.zeros(latent_dim))
        self.register_buffer("eraser", torch.zeros(latent_dim, latent_dim))

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        autoencoder = [self.trunk, self.z_head, self.w_trunk, self.w_head, self.decoder]
        return {
            "autoencoder": [p for module in autoencoder for p in module.parameters()],
            "adversary": list(self.adversary.parameters()),
        }

    def encode(self, x: Tensor, y: Tensor | None = None) -> Codes:
        y = unknown(x, self.labels) if y is None else y
        z_mu, z_log_var = gaussian(self.z_head(self.trunk(x)))
        w_mu, w_log_var = gaussian(self.w_head(torch.cat([self.w_trunk(x), signed(y)], dim=1)))
        return Codes(self.at_rest(z_mu), z_log_var, self._split(w_mu), self._split(w_log_var))

    def decode(self, z: Tensor, w: Sequence[Tensor]) -> Tensor:
        x: Tensor = self.decoder(torch.cat([z, *w], dim=1))
        return x

    def terms(self, x: Tensor, y: Tensor, noise: torch.Generator | None) -> dict[str, Tensor]:
        """The paper's M1, M2 and N.

        recon: (x̂ − x)²; kl_z: KL(q₁ || N(0, I)); kl_w: Σ_i KL(q₂(w_i|x, y) || p(w_i|y_i)).
        neg_entropy: M2 = Σ_i E_{q₁} Σ_y q_δ(y_i|z) log q_δ(y_i|z), no gradient to δ.
        adversary: −N as cross-entropy, −Σ_i E_{q₁} log q_δ(y_i|z), no gradient to the encoder.
        """
        codes = self.encode(x, self._drop(y, noise))
        z = sample(codes.z_mu, codes.z_log_var, noise)
        w = [sample(mu, log_var, noise) for mu, log_var in zip(codes.w_mu, codes.w_log_var, strict=True)]
        kl_w = [
            self.prior.kl(mu, log_var, w_i, y[:, i])
            for i, (mu, log_var, w_i) in enumerate(zip(codes.w_mu, codes.w_log_var, w, strict=True))
        ]
        seen = codes.z_mu if self.adversary_sees == "mean" else z
        self.shown = Shown(seen.detach(), y)
        return {
            "recon": self.squared_error(self.decode(z, w), x),
            "kl_z": self.kl_standard(codes.z_mu, codes.z_log_var),
            "kl_w": self._per_dimension(torch.stack(kl_w, dim=1)),
            "neg_entropy": negative_entropy(read_frozen(self.adversary, seen)),
            **self.adversary_terms(self.shown),
        }

    def expect(self, y: Tensor) -> None:
        self.adversary.expect(y)

    def adversary_logits(self, z: Tensor) -> Tensor:
        return read_frozen(self.adversary, z)

    def adversary_terms(self, shown: Shown) -> dict[str, Tensor]:
        return {"adversary": read_and_compare(self.adversary, shown)}

    def settle(self, z_mu: Tensor, y: Tensor) -> None:
        """And what a linear reader still finds of the labels in z is erased: see `linear_eraser`."""
        super().settle(z_mu, y)
        mean, matrix = linear_eraser(z_mu * self.active, y.to(z_mu.device))
        self.erased_mean.copy_(mean)
        self.eraser.copy_(matrix)

    def wake(self) -> None:
        super().wake()
        self.eraser.zero_()

    def at_rest(self, z_mu: Tensor) -> Tensor:
        z_mu = super().at_rest(z_mu)
        if self.training:
            return z_mu
        return super().at_rest(z_mu - (z_mu - self.erased_mean) @ self.eraser.T)

    def anchors(self, attribute: int) -> tuple[Tensor, Tensor]:
        ones = torch.ones(self.w_dims[attribute], device=self.w_head.weight.device)
        return self.prior.absent_mean * ones, self.prior.present_mean * ones

    def _split(self, w: Tensor) -> tuple[Tensor, ...]:
        return torch.split(w, list(self.w_dims), dim=1)

    def _drop(self, y: Tensor, noise: torch.Generator | None) -> Tensor:
        """Labels with some hidden (as unknown) from q₂."""
        hidden = torch.rand(y.shape, generator=noise, device=y.device) < self.label_dropout
        return torch.where(hidden, -1, y)

    def _per_dimension(self, kl: Tensor) -> Tensor:
        """KLs N×k, each already a sum over its W_i, by this model's reduction."""
        total = kl.sum(1).mean()
        return total if self.reduction == "sum" else total / sum(self.w_dims)
