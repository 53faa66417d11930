"""The judge of a data set: a classifier of its real training pictures, and where it looks.

It is trained once for a data set, on the training split alone, and kept in the cache.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from csvae_cli.data.batches import Batches
from csvae_cli.data.dataset import Dataset
from csvae_cli.device import Compute
from csvae_cli.evaluation import cache
from csvae_cli.evaluation.figures import Figure
from csvae_cli.evaluation.subject import Subject
from csvae_cli.output import Progress
from models.evenly import evenly
from models.filters import blurred
from models.judge import Judge, fit_judge
from models.networks import Classifier
from models.probe import balanced_accuracy
from models.regions import occlusion

_SEED = 4711
_EXAMPLES, _LEAST, _MOST = 60_000, 3, 30
"""How many examples a judge is shown in all, and the limits of its epochs."""

_PATCHES, _PICTURES, _SHARE = 8, 100, 0.8


@dataclass(frozen=True)
class Court:
    """judge: columns as the data's; regions: for each of the data's columns a bool H×W, where the judge looks
    for the attribute (none for points); accuracy, accuracy_blurred: balanced, for each column, on real
    held-out pictures, of an edited attribute on those of the people on whom it is tried (`Subject.likely`).
    """

    judge: Judge
    regions: tuple[Tensor, ...]
    accuracy: tuple[float, ...]
    accuracy_blurred: tuple[float, ...]


def convene(subject: Subject, progress: Progress) -> Court:
    """The judge of the subject's data, trained or found in the cache, and how good it is on the split."""
    judge, regions = judge_of(subject.data, subject.train, subject.compute, progress)
    sharp, soft = [], []
    for _, x in subject.held_pictures():
        sharp.append(judge.present(x).cpu())
        soft.append(judge.present(blurred(x, 2.0)).cpu() if x.dim() == 4 else sharp[-1])
    return Court(judge, regions, *(accuracy_of(subject, torch.cat(seen)) for seen in (sharp, soft)))


def accuracy_of(subject: Subject, seen: Tensor) -> tuple[float, ...]:
    """How right it is, balanced, for each of the data's columns: bool N×k of all held-out pictures.

    Of an edited attribute only those count on whom it is tried.
    """
    y = subject.held.y[subject.held.spread(len(subject.y_held))].cpu().clone()
    for _, column, judged in subject.edited:
        y[~subject.likely(column), judged] = -1
    return tuple(balanced_accuracy(seen, y))


def judge_of(
    data: Dataset, train: Batches, compute: Compute, progress: Progress
) -> tuple[Judge, tuple[Tensor, ...]]:
    """The judge and the regions, from the cache where they are there."""
    labels = len(data.attributes)
    epochs = min(max(_EXAMPLES // len(train), _LEAST), _MOST)

    def fit() -> Mapping[str, Tensor]:
        def rows(index: Tensor) -> Tensor:
            return train.rows(index.to(train.x.device))[0]

        judge = fit_judge(
            rows,
            train.y,
            data.model_shape,
            exclusive=data.exclusive,
            epochs=epochs,
            seed=_SEED,
            progress=lambda done, total: progress("Training the judge", done, total),
        )
        tensors = {f"network.{name}": tensor for name, tensor in judge.network.state_dict().items()}
        if len(data.model_shape) == 3:
            tensors["regions"] = torch.stack([_region(judge, train, column) for column in range(labels)])
        return tensors

    tensors = cache.tensors_of("judge", cache.key(data.fingerprint, epochs, _SEED), fit)
    network = Classifier(data.model_shape, labels)
    network.load_state_dict(
        {name.removeprefix("network."): t for name, t in tensors.items() if name.startswith("network.")}
    )
    regions = tuple(tensors["regions"].bool()) if "regions" in tensors else ()
    return Judge(network.to(compute.device).eval(), data.exclusive), regions


def figures(subject: Subject, court: Court) -> list[Figure]:
    """The judge's own accuracy, sharp and blurred."""
    found = []
    tried = {name: int(subject.likely(own).sum()) for name, own, _ in subject.edited}
    for name, _, column in subject.attributes:
        count = tried.get(name, len(subject.y_held))
        found.append(Figure("judge", court.accuracy[column], count, name))
        found.append(Figure("judge_blurred", court.accuracy_blurred[column], count, name))
    return found


@torch.no_grad()
def _region(judge: Judge, train: Batches, column: int) -> Tensor:
    """Where an attribute is: the patches without which the judge sees it less (occlusion), float H×W of 0, 1.

    Of an 8×8 raster the fewest patches that hold four fifths of what the judge loses, when each in turn is
    replaced by that of the mean picture, in up to 100 pictures that show the attribute.
    """
    present = (train.y[:, column] == 1).nonzero().flatten()
    x, _ = train.rows(evenly(present, _PICTURES))
    mean = torch.cat([x for x, _ in train.chunks(1000)]).mean(0)
    height, width = x.shape[2:]
    lost = occlusion(lambda pictures: _log_odds(judge, pictures, column), x, mean, _PATCHES)
    order = lost.flatten().argsort(descending=True)
    shares = lost.flatten()[order].cumsum(0) / lost.sum().clamp(min=1e-9)
    used = min(int((shares < _SHARE).sum()) + 1, len(order) - 1)  # something must be outside
    region = torch.zeros(_PATCHES * _PATCHES)
    region[order[:used]] = 1
    raster = region.reshape(1, 1, _PATCHES, _PATCHES)
    return torch.nn.functional.interpolate(raster, (height, width), mode="nearest")[0, 0]


def _log_odds(judge: Judge, x: Tensor, column: int) -> Tensor:
    """log p / (1 − p) of a label, N."""
    logits: Tensor = judge.network(x).float()
    if not judge.exclusive:
        return logits[:, column]
    others = torch.cat([logits[:, :column], logits[:, column + 1 :]], dim=1)
    return logits[:, column] - others.logsumexp(1)
