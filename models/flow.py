"""An invertible map between a code s and a vector of as many numbers: couplings with fixed rotations.

s is whitened, then goes through couplings (Dinh et al. 2017, Real NVP) with a fixed rotation before each, and
through one free linear map at the end. Everything runs in float32, whatever the precision around it. While
the map is learnt, couplings may read what they are told in autocast's (`lowered`), in half the time; an
inverse is as exact as they are.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.precision import exact

_BOUND = 1.5
"""The largest log-scale of a coupling: its inverse stays exact to float precision."""

_FLOOR = 1e-3
"""The least variance that whitening brings to 1, as a share of the mean variance."""


class Flow(nn.Module):
    """f: s <-> u, both N×dim, with log|det f′| for each row."""

    mean: Tensor
    whitening: Tensor
    rotations: Tensor

    def __init__(self, dim: int, couplings: int = 12, hidden: int = 256) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("whitening", torch.eye(dim))
        self.register_buffer("rotations", _rotations(dim, couplings), persistent=False)
        self.couplings: Sequence[_Coupling] = nn.ModuleList(  # type: ignore[assignment]
            _Coupling(dim, hidden) for _ in range(couplings)
        )
        self.linear = nn.Parameter(torch.eye(dim))
        self._of_linear, self._of_whitening = _Square(), _Square()

    def forward(self, s: Tensor, lowered: bool = False) -> tuple[Tensor, Tensor]:
        """(u, log|det ∂u/∂s|), N×dim and N. lowered: couplings read in autocast's precision."""
        with torch.autocast(s.device.type, enabled=False):
            u, scales = self._through(s, lowered)
            fixed, learnt = self._of_whitening.log_det(self.whitening), self._of_linear.log_det(self.linear)
            return u, scales + fixed + learnt

    def map(self, s: Tensor) -> Tensor:
        """u alone, N×dim, without the determinants, which take longer than a few rows do."""
        with torch.autocast(s.device.type, enabled=False):
            return self._through(s, lowered=False)[0]

    def inverse(self, u: Tensor, lowered: bool = False) -> Tensor:
        """s with f(s) = u, N×dim; lowered: as in `forward`."""
        with torch.autocast(u.device.type, enabled=False):
            s = self._of_linear.solve(self.linear, u.float())
            for rotation, coupling in zip(self.rotations.flip(0), reversed(self.couplings), strict=True):
                s = coupling.inverse(s, lowered) @ rotation
            return self.coloured(s)

    def whitened(self, s: Tensor) -> Tensor:
        """s before the couplings: mean 0 and the identity as covariance over the codes of `whiten_by`."""
        return (s - self.mean) @ self.whitening.T

    def coloured(self, s: Tensor) -> Tensor:
        """The inverse of `whitened`, N×dim."""
        return self._of_whitening.solve(self.whitening, s) + self.mean

    def _through(self, s: Tensor, lowered: bool) -> tuple[Tensor, Tensor]:
        """(u, the log-scales of all couplings together), N×dim and N."""
        u = self.whitened(s.float())
        scales = torch.zeros(len(u), device=u.device)
        for rotation, coupling in zip(self.rotations, self.couplings, strict=True):
            u, scale = coupling(u @ rotation.T, lowered)
            scales = scales + scale
        return u @ self.linear.T, scales

    @torch.no_grad()
    def whiten_by(self, s: Tensor) -> None:
        """Set the whitening so that these codes (N×dim) come out with mean 0 and the identity as covariance.

        Directions without any variance are not blown up: see `_FLOOR`.
        """
        s = exact(s)
        covariance = torch.cov(s.T).reshape(s.shape[1], s.shape[1])
        variances, axes = torch.linalg.eigh(covariance)
        floor = _FLOOR * variances.mean().clamp(min=1e-12)
        self.mean.copy_(s.mean(0))
        self.whitening.copy_((axes / variances.clamp(min=floor).sqrt()) @ axes.T)


class _Coupling(nn.Module):
    """One half of the numbers is scaled and moved by what the other half says."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.told = dim // 2
        rest = dim - self.told
        self.layers = nn.Sequential(
            nn.Linear(max(self.told, 1), hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 2 * rest),
        )
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            # Near the identity at the start.
            last.weight.mul_(0.01)
            last.bias.zero_()

    def forward(self, u: Tensor, lowered: bool) -> tuple[Tensor, Tensor]:
        told, moved = u[:, : self.told], u[:, self.told :]
        log_scale, shift = self._read(told, lowered)
        return torch.cat([told, moved * log_scale.exp() + shift], dim=1), log_scale.sum(1)

    def inverse(self, u: Tensor, lowered: bool) -> Tensor:
        told, moved = u[:, : self.told], u[:, self.told :]
        log_scale, shift = self._read(told, lowered)
        return torch.cat([told, (moved - shift) * torch.exp(-log_scale)], dim=1)

    def _read(self, told: Tensor, lowered: bool) -> tuple[Tensor, Tensor]:
        if self.told == 0:  # a code of a single number: there is nothing to be told by
            told = told.new_zeros(len(told), 1)
        with torch.autocast(told.device.type, enabled=lowered):
            log_scale, shift = self.layers(told).float().chunk(2, dim=1)
        return _BOUND * torch.tanh(log_scale / _BOUND), shift


def _rotations(dim: int, count: int) -> Tensor:
    """Fixed random rotations, count×dim×dim: the same wherever they are made, so that no file holds them."""
    noise = torch.Generator().manual_seed(dim)
    free = torch.randn(count, dim, dim, generator=noise, dtype=torch.float64).float()
    turned = torch.matrix_exp(free - free.transpose(1, 2))
    # In double precision this would take a fifth of a second of every start. Instead: one step of Newton's
    # (Björck and Bowie 1971) to the nearest rotation, which takes the error of single precision out.
    rotations: Tensor = 1.5 * turned - 0.5 * turned @ (turned.transpose(1, 2) @ turned)
    return rotations


class _Square:
    """Solves with a square matrix, in double precision, and its log|det|; both are kept while it is at rest.

    Nothing here waits for a GPU while the matrix is learnt: singular ones give numbers that are not finite.
    """

    def __init__(self) -> None:
        self._of: tuple[int, int] | None = None
        self._inverse = self._log_det = torch.empty(0)

    def solve(self, matrix: Tensor, u: Tensor) -> Tensor:
        """s with matrix · s = u for each row of u."""
        if _is_learnt(matrix):
            solved: Tensor = torch.linalg.solve_ex(exact(matrix), exact(u).T).result.T
        else:
            self._look_at(matrix)
            solved = exact(u) @ self._inverse.T
        return solved.float().to(u.device)

    def log_det(self, matrix: Tensor) -> Tensor:
        """log|det matrix|, a number."""
        if _is_learnt(matrix):
            return _log_det(matrix)
        self._look_at(matrix)
        return self._log_det

    @torch.no_grad()
    def _look_at(self, matrix: Tensor) -> None:
        state = (matrix.data_ptr(), matrix._version)
        if self._of != state:
            inverse, log_det = torch.linalg.inv(exact(matrix)), _log_det(matrix)
            if (self._inverse.shape, self._inverse.device) == (inverse.shape, inverse.device):
                # Into the same memory, where a step that a GPU has recorded looks for them.
                self._inverse.copy_(inverse)
                self._log_det.copy_(log_det)
            else:
                self._inverse, self._log_det = inverse, log_det
            self._of = state


def _is_learnt(matrix: Tensor) -> bool:
    return matrix.requires_grad and torch.is_grad_enabled()


def _log_det(matrix: Tensor) -> Tensor:
    log_det: Tensor = torch.linalg.slogdet(matrix).logabsdet
    return log_det


def split(u: Tensor, sizes: Sequence[int]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """u as (z, (w_1 … w_k)): the last Σ sizes numbers are the w's."""
    rest = u.shape[1] - sum(sizes)
    z, *w = torch.split(u, [rest, *sizes], dim=1)
    return z, tuple(w)
