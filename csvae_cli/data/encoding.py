"""From batches to codes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from csvae_cli.data.batches import Batches
from csvae_cli.device import Compute
from models.kind import Codes, Kind


@torch.no_grad()
def encode_split(
    model: Kind, batches: Batches, rows: Tensor | int, compute: Compute, *, with_labels: bool
) -> tuple[Codes, Tensor]:
    """Codes and labels of these rows, or of so many at most, evenly over the split.

    with_labels: whether the encoder is shown the labels.
    """
    parts, labels = [], []
    for x, y in batches.chunks(rows):
        with compute.autocast():
            parts.append(model.encode(x, y if with_labels else None))
        labels.append(y)
    return join(parts), torch.cat(labels)


def take(codes: Codes, rows: Tensor) -> Codes:
    """Some rows of codes, as often as they are named."""
    rows = rows.to(codes.z_mu.device)
    return Codes(
        codes.z_mu[rows],
        codes.z_log_var[rows],
        tuple(w[rows] for w in codes.w_mu),
        tuple(w[rows] for w in codes.w_log_var),
    )


def join(parts: Sequence[Codes]) -> Codes:
    """Codes one after the other."""
    k = len(parts[0].w_mu)
    return Codes(
        torch.cat([part.z_mu for part in parts]),
        torch.cat([part.z_log_var for part in parts]),
        tuple(torch.cat([part.w_mu[i] for part in parts]) for i in range(k)),
        tuple(torch.cat([part.w_log_var[i] for part in parts]) for i in range(k)),
    )
