"""What classifiers other than csvae's own judge say of a model's edits (docs/trials.md, row 67).

    python benchmarks/judges.py MODEL... --data-dir DIR [--split valid] [--judges residual pooling depthwise]

MODEL: a run directory, or csvae for the model that comes with it. Each judge is taught for four epochs on
the training people of celeba-glasses-facial-hair, never on a decoded picture. No edit was ever held by
`depthwise`; by the makes of the others, with other seeds, some were (models/readers.py), so that their word
counts less.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from csvae_cli import output, runs
from csvae_cli.data import sources
from csvae_cli.data.batches import Batches
from csvae_cli.data.dataset import SplitName
from csvae_cli.device import Compute, resolve
from csvae_cli.evaluation import switching
from csvae_cli.evaluation.judging import Court, accuracy_of, judge_of
from csvae_cli.evaluation.subject import Subject, make
from models.disturbing import disturbed, mirrored, softened
from models.judge import Judge
from models.networks import Classifier
from models.priors import class_weights, known_cross_entropy, per_label
from models.readers import MAKES, Make

DATASET = "celeba-glasses-facial-hair"
_SEED = 100
"""Of the judges; no training had it, nor the one before: readers for edits have the next one."""

_BATCH, _EPOCHS = 64, 4

_MEASURES = ("added", "added_floor", "added_worst", "removed", "kept_of_seen")


class Depthwise(nn.Module):
    """Large filters of each channel alone, then mixtures of channels (as in Liu et al. 2022, ConvNeXt)."""

    def __init__(self, shape: Sequence[int], labels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(shape[0], 48, 4, 2, 1)]
        for inputs, outputs in ((48, 96), (96, 160), (160, 224)):
            layers += [
                nn.Conv2d(inputs, inputs, 5, 1, 2, groups=inputs),
                nn.BatchNorm2d(inputs),
                nn.Conv2d(inputs, 2 * inputs, 1),
                nn.GELU(),
                nn.Conv2d(2 * inputs, outputs, 2, 2),
            ]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(224, labels)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.layers(2 * x - 1).amax((2, 3)))
        return logits


JUDGES = {**MAKES, "depthwise": Make(Depthwise, lambda x, noise: disturbed(softened(x, noise), noise))}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--split", choices=["valid", "test"], default="valid")
    parser.add_argument("--judges", nargs="+", choices=JUDGES, default=["residual", "pooling", "depthwise"])
    place = Path("runs") / "benchmarks" / "judges"
    parser.add_argument("--judged-by", type=Path, default=place, help="where the judges lie, once taught")
    options = parser.parse_args()
    compute = resolve("cpu", "fp32")
    print("| judge (accuracy) | model | added | by nothing | worst | removed | kept | others moved |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    data = sources.read(DATASET, options.data_dir, sources.default_keep(DATASET, options.data_dir))
    for ref in options.models:
        model = runs.load(ref, Path("runs"))
        subject = make(model, data, cast("SplitName", options.split), compute)
        _, regions = judge_of(data, subject.train, compute, lambda *_: None)
        taught = options.judged_by / f"{data.fingerprint[:12]}-{_SEED}"
        for name in options.judges:
            network = taught_judge(
                name, subject.train, data.model_shape, compute, taught / f"{name}.safetensors"
            )
            court = court_of(Judge(cast("Classifier", network), exclusive=False), regions, subject)
            accuracy = " / ".join(f"{one:.3f}" for one in court.accuracy[:2])
            print(f"| {name} ({accuracy}) | {ref} | {row(subject, court)} |", flush=True)


def taught_judge(name: str, train: Batches, shape: Sequence[int], compute: Compute, file: Path) -> nn.Module:
    """A judge of that make, at rest: from the file, else taught for four epochs and kept there."""
    make = JUDGES[name]
    torch.manual_seed(_SEED)
    network = make.network(shape, train.y.shape[1]).to(compute.device)
    if not file.exists():
        print(f"teaching a judge: {name}", flush=True)
        teach(network, make, train, compute)
        runs.write_tensors(file, network.state_dict())
    network.load_state_dict(runs.read_tensors(file))
    return network.eval().requires_grad_(False)


def teach(network: nn.Module, make: Make, train: Batches, compute: Compute) -> None:
    """On the training people, mirrored or not, and changed as the make wants."""
    noise = torch.Generator(compute.device).manual_seed(_SEED)
    weight = class_weights(train.y)
    steps = len(train) // _BATCH
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, _EPOCHS * steps)
    for _ in range(_EPOCHS):
        order = torch.randperm(len(train), generator=noise, device=compute.device)
        for index in order.split(_BATCH)[:steps]:
            x, y = train.rows(index)
            x = mirrored(x, noise)
            logits = network(make.change(x, noise)).float()
            loss = known_cross_entropy(logits, y, per_label(weight, y))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()


@torch.no_grad()
def court_of(judge: Judge, regions: tuple[Tensor, ...], subject: Subject) -> Court:
    """The judge, and how good it is on the split's people."""
    seen = torch.cat([judge.present(x).cpu() for _, x in subject.held_pictures()])
    accuracy = accuracy_of(subject, seen)
    return Court(judge, regions, accuracy, accuracy)


def row(subject: Subject, court: Court) -> str:
    """Of both attributes, A / B; how far other labels move, label by label, adding; removing."""
    with output.progress() as progress:
        figures = switching.figures(subject, court, progress)
    names = [name for name, *_ in subject.edited]

    def of(measure: str, detail: str = "") -> str:
        found = {f.attribute: f.value for f in figures if (f.name, f.detail) == (measure, detail)}
        return " / ".join(f"{found[name]:.3f}" if name in found else "–" for name in names)

    def moved(measure: str) -> str:
        return ", ".join(f"{label} {of(measure, label)}" for label in subject.data.attributes)

    cells = [of(measure) for measure in _MEASURES]
    return " | ".join([*cells, f"{moved('moved_adding')}; {moved('moved_removing')}"])


if __name__ == "__main__":
    main()
