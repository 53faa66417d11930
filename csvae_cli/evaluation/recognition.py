"""Whether W holds a wearer's own style: it is put on another person, and must be recognised as theirs.

What the edit changed is compared with ten real wearers' pictures, the right one among them, in the judge's
features where the judge looks for the attribute; both about their means.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from csvae_cli.evaluation.figures import Figure
from csvae_cli.evaluation.judging import Court
from csvae_cli.evaluation.subject import Subject
from csvae_cli.output import Progress
from models.evenly import evenly
from models.networks import Classifier

_WEARERS, _OF, _DRAWS, _SEED = 300, 10, 20, 11


def figures(subject: Subject, court: Court, progress: Progress) -> list[Figure]:
    """recognised, recognised_ceiling of each edited attribute; nothing for points and exclusive labels."""
    if not court.regions or subject.data.exclusive:
        return []
    found: list[Figure] = []
    noise = torch.Generator().manual_seed(_SEED)
    for done, (name, column, judged) in enumerate(subject.edited):
        progress("Recognising styles", done, len(subject.edited))
        without, wearers = subject.tried_on(column)
        seen = court.judge.present(subject.originals(wearers))[:, judged].cpu() if len(wearers) else None
        wearers = evenly(wearers if seen is None else wearers[seen], _WEARERS)
        if len(wearers) < _OF or not len(without):
            continue
        people = without[torch.randint(len(without), (len(wearers),), generator=noise)]

        def features(x: Tensor, judged: int = judged) -> Tensor:
            return _features(court.judge.network, x, court.regions[judged]).cpu()

        real = features(subject.originals(wearers))
        own = torch.cat([features(x) for x in subject.changed(wearers, {})])
        style = subject.codes_held.w_mu[column][wearers.to(subject.codes_held.z_mu.device)]
        before = torch.cat([features(x) for x in subject.changed(people, {})])
        after = torch.cat([features(x) for x in subject.changed(people, {column: style})])
        accuracy = court.accuracy[judged]
        for measure, shown in (("recognised", after - before), ("recognised_ceiling", own)):
            value = one_of_ten(shown, real, noise)
            found.append(Figure(measure, value, len(wearers), name, judge=accuracy))
    progress("Recognising styles", 1, 1)
    return found


def one_of_ten(shown: Tensor, real: Tensor, noise: torch.Generator) -> float:
    """How often row i of `shown` is likest row i of `real` among it and nine others (all N×d).

    By the cosine, after what all rows have in common is taken away and every dimension is brought to unit
    variance; ties are not counted as right.
    """
    count = len(real)
    likeness = _standard(shown) @ _standard(real).T
    right = 0.0
    for _ in range(_DRAWS):
        others = torch.rand(count, count, generator=noise)
        others.fill_diagonal_(-1)
        chosen = others.topk(min(_OF - 1, count - 1), dim=1).indices
        best = likeness.gather(1, chosen).max(1).values
        right += float((likeness.diagonal() > best).float().mean())
    return right / _DRAWS


def _standard(x: Tensor) -> Tensor:
    x = x - x.mean(0)
    return F.normalize(x / (x.std(0) + 1e-6 * (1 + x.std(0).max())), dim=1)


@torch.no_grad()
def _features(network: Classifier, x: Tensor, region: Tensor) -> Tensor:
    """The judge's features at an eighth of the size, inside the region (bool H×W), N×d."""
    features = 2 * x - 1
    for layer in network.trunk.convolutions[:5]:  # type: ignore[index]
        features = layer(features)
    height, width = features.shape[2:]
    inside = F.adaptive_max_pool2d(region[None, None].float(), (height, width))[0, 0] > 0
    return features.float()[:, :, inside.to(features.device)].flatten(1)
