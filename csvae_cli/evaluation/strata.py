"""Who is compared with whom: people alike in the labels that edits leave alone (sex, age …).

In data where sex alone says much about facial hair, a code that keeps the sex cannot but say something about
it. Within strata of such labels only what is really about the attribute counts.
"""

import torch
from torch import Tensor

from csvae_cli.evaluation.figures import Figure
from csvae_cli.evaluation.leak import read
from csvae_cli.evaluation.subject import Subject
from csvae_cli.output import Progress

_LEAST = 10
"""How many of either class a stratum must hold to be compared in."""


def leaks(subject: Subject, progress: Progress) -> list[Figure]:
    """leak_z_strata: as leak_z, of rows drawn so that in every stratum both classes are as many.

    Nothing where the data has no labels that are left alone.
    """
    if not bool((subject.strata > 0).any()):
        return []
    found: list[Figure] = []
    for done, (name, column, _) in enumerate(subject.edited):
        progress("Probing within strata", done, len(subject.edited))
        rows = matched(subject.y[:, column], subject.strata)
        held = matched(subject.y_held[:, column], subject.strata_held)
        if not len(rows) or not len(held):
            continue
        figures = read(
            "z_strata",
            name,
            subject.codes.z_mu[rows.to(subject.codes.z_mu.device)],
            subject.y[rows, column],
            subject.codes_held.z_mu[held.to(subject.codes_held.z_mu.device)],
            subject.y_held[held, column],
        )
        found += figures
    progress("Probing within strata", 1, 1)
    return found


def matched(y: Tensor, strata: Tensor, least: int = _LEAST) -> Tensor:
    """Rows such that in every stratum both classes of y are as many: all of the rarer, as many of the other.

    y: N in {1, 0, −1}; strata: N. Which of the more common class is drawn at random, always alike; strata
    with fewer than `least` of either class are left out.
    """
    noise = torch.Generator().manual_seed(0)
    rows = [torch.zeros(0, dtype=torch.int64)]
    for stratum in strata.unique().tolist():
        absent, present = ((strata == stratum) & (y == label) for label in (0, 1))
        classes = [mask.nonzero()[:, 0] for mask in (absent, present)]
        count = min(map(len, classes))
        if count >= least:
            rows += [members[torch.randperm(len(members), generator=noise)[:count]] for members in classes]
    return torch.cat(rows).sort().values


def donors(strata: Tensor, wearers: Tensor, seed: int) -> Tensor:
    """For each row of `strata` (N) one of the wearers (rows of the same tensor) of the same stratum, or −1.

    Drawn at random, always alike.
    """
    noise = torch.Generator().manual_seed(seed)
    found = torch.full((len(strata),), -1)
    for stratum in strata.unique().tolist():
        there = wearers[strata[wearers] == stratum]
        rows = (strata == stratum).nonzero()[:, 0]
        if len(there):
            found[rows] = there[torch.randint(len(there), (len(rows),), generator=noise)]
    return found
