"""Some of many rows, evenly: rows may be sorted by what they show."""

import torch
from torch import Tensor


def evenly(rows: Tensor, count: int) -> Tensor:
    """`count` of the rows at most, evenly over them, in order."""
    count = min(count, len(rows))
    return rows[torch.arange(count, device=rows.device) * len(rows) // max(count, 1)]
