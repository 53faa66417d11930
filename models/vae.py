"""VAE (Kingma and Welling 2014): no labels in the model; edits move z between class means."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from models import networks
from models.kind import Codes, Kind, Others, Reduction, gaussian, label_anchors, label_codes, signed
from models.priors import sample


class VAE(Kind):
    """q(z|x), p(x|z), p(z) = N(0, I).

    W_i is one number, −1 absent … +1 present, the position between the class means of the training codes.
    """

    owners: Mapping[str, str] = {"recon": "autoencoder", "kl_z": "autoencoder"}
    class_means: Tensor
    exclusive: Tensor

    def __init__(
        self,
        *,
        shape: Sequence[int],
        labels: int,
        network: networks.NetworkName = "light",
        latent_dim: int = 64,
        reduction: Reduction = "sum",
    ) -> None:
        super().__init__(shape, labels, latent_dim, reduction)
        self.w_dims = (1,) * labels
        self.trunk, features = networks.trunk(network, shape)
        self.z_head = networks.gaussian_head(features, 0, latent_dim)
        self.decoder = networks.decoder(network, latent_dim, shape)
        self.register_buffer("class_means", torch.zeros(labels, 2, latent_dim))
        self.register_buffer("exclusive", torch.tensor(False))

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        return {"autoencoder": list(self.parameters())}

    def encode(self, x: Tensor, y: Tensor | None = None) -> Codes:
        mu, log_var = gaussian(self.z_head(self.trunk(x)))
        mu = self.at_rest(mu)
        own = self._nearer_class(mu)
        if y is not None:
            own = torch.where(y >= 0, signed(y), own)
        return Codes(mu, log_var, *label_codes(own))

    def decode(self, z: Tensor, w: Sequence[Tensor]) -> Tensor:  # noqa: ARG002 (all that w says is in z)
        x: Tensor = self.decoder(z)
        return x

    def terms(self, x: Tensor, y: Tensor, noise: torch.Generator | None) -> dict[str, Tensor]:  # noqa: ARG002
        """recon: (x̂ − x)²; kl_z: KL(q(z|x) || N(0, I))."""
        mu, log_var = gaussian(self.z_head(self.trunk(x)))
        mu = self.at_rest(mu)
        x_hat = self.decoder(sample(mu, log_var, noise))
        return {"recon": self.squared_error(x_hat, x), "kl_z": self.kl_standard(mu, log_var)}

    def anchors(self, attribute: int) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        return label_anchors(self.class_means.device)

    def switch(
        self, codes: Codes, points: Mapping[int, Tensor], others: Others = "own", strength: float = 1.0
    ) -> Tensor:
        """G_ij(x) = D(μ_z(x) − m_i + m_j): from the picture's own class (w_i = ±1) to the one at p = ±1.

        Where exactly one label is present, m_j goes in as j is switched on, m_i goes out as i is switched off
        (`others="absent"`).
        """
        z = codes.z_mu
        there = self.switched_w(codes, points, others, strength)
        for (absent, present), own, target in zip(self.class_means, codes.w_mu, there, strict=True):
            z = z + 0.5 * (target - own) * (present - absent)
        return self.decode(z, codes.w_mu)

    def settle(self, z_mu: Tensor, y: Tensor) -> None:
        super().settle(z_mu, y)
        z_mu = z_mu * self.active
        known = y[(y >= 0).all(1)]
        one_each = len(known) > 0 and bool((known.sum(1) == 1).all())
        self.exclusive.fill_(self.labels > 1 and one_each)
        for attribute in range(self.labels):
            for label in (0, 1):
                rows = z_mu[y[:, attribute] == label]
                if len(rows):
                    self.class_means[attribute, label] = rows.mean(0)
        if self.exclusive:
            # Then "absent" is the mean of all, and −(m_i − m) + (m_j − m) is the paper's −m_i + m_j.
            self.class_means[:, 0] = z_mu.mean(0)

    def _nearer_class(self, mu: Tensor) -> Tensor:
        """±1 for each label: the class whose mean is nearer, N×k; one +1 only where labels are exclusive."""
        distance = (mu[:, None, None] - self.class_means).square().sum(-1)
        if self.exclusive:
            nearest = distance[..., 1].argmin(1)
            return signed(nn.functional.one_hot(nearest, self.labels))
        return torch.where(distance[..., 1] < distance[..., 0], 1.0, -1.0)
