"""Readers of labels of several makes, for edits to be held by more than one (docs/trials.md, row 67).

What one reader does not see in an edit another may; a decoder that is held by all of them moves
labels less for a classifier that none of them is.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from csvae_cli import runs
from csvae_cli.data import sources
from csvae_cli.data.batches import Batches
from csvae_cli.device import Compute, resolve
from csvae_cli.processes import ALONE
from csvae_cli.training import session
from models.disturbing import disturbed, mirrored
from models.filters import blurred
from models.flow_csvae import AUTOENCODER, EDITS, FlowCSVAE
from models.freezing import frozen
from models.priors import class_weights, kl_bernoulli, known_cross_entropy, per_label

BATCH, EPOCHS = 64, 4


class Plain(nn.Module):
    """The package's reader without its normalisation."""

    def __init__(self, channels: int, labels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = ((channels, 32, 2), (32, 64, 2), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 192, 2))
        for inputs, outputs, stride in widths:
            layers += [nn.Conv2d(inputs, outputs, 3, stride, 1), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(labels))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(2 * x - 1)
        return logits


class Block(nn.Module):
    """A residual block at half the size (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.way = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.short = nn.Conv2d(inputs, outputs, 1, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.way(x) + self.short(x))


class Residual(nn.Module):
    """Three residual blocks, and the mean over places."""

    def __init__(self, channels: int, labels: int) -> None:
        super().__init__()
        first = [nn.Conv2d(channels, 32, 5, 2, 2, bias=False), nn.BatchNorm2d(32), nn.ReLU()]
        self.blocks = nn.Sequential(*first, Block(32, 64), Block(64, 128), Block(128, 192))
        self.head = nn.Linear(192, labels)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(2 * x - 1).mean((2, 3)))
        return logits


class Pooling(nn.Module):
    """Convolutions of the whole size and maxima (Simonyan and Zisserman 2015)."""

    def __init__(self, channels: int, labels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((channels, 24, 64, 128, 192)):
            layers += [nn.Conv2d(inputs, outputs, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.LazyLinear(labels))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(2 * x - 1)
        return logits


def softened(x: Tensor, noise: torch.Generator) -> Tensor:
    """Two batches in three blurred by up to two pixels."""
    amount, share = torch.rand(2, generator=noise).tolist()
    return blurred(x, 2 * amount) if share < 2 / 3 else x


MAKES: dict[str, tuple[type[nn.Module], Callable[[Tensor, torch.Generator], Tensor] | None]] = {
    "blurred": (Plain, softened),
    "disturbed": (Plain, disturbed),
    "residual": (Residual, None),
    "pooling": (Pooling, disturbed),
}
"""By name: a network, and what is done to the pictures that it learns from."""


def taught(make: str, train: Batches, compute: Compute, place: Path, seed: int) -> nn.Module:
    """A reader of that make, at rest: from the file in place, else taught for four epochs and kept there."""
    network, change = MAKES[make]
    torch.manual_seed(seed)
    reader = network(train.x.shape[-1], train.y.shape[1]).to(compute.device)
    reader(train.rows(torch.arange(2))[0])
    file = place / f"{make}.safetensors"
    if not file.exists():
        print(f"teaching a reader: {make}", flush=True)
        _teach(reader, train, change, compute, seed)
        runs.write_tensors(file, reader.state_dict())
    reader.load_state_dict(runs.read_tensors(file))
    return reader.eval().requires_grad_(False)


def _teach(
    reader: nn.Module,
    train: Batches,
    change: Callable[[Tensor, torch.Generator], Tensor] | None,
    compute: Compute,
    seed: int,
) -> None:
    noise = torch.Generator(compute.device).manual_seed(seed)
    weight = class_weights(train.y)
    steps = len(train) // BATCH
    optimiser = torch.optim.AdamW(reader.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, EPOCHS * steps)
    for _ in range(EPOCHS):
        order = torch.randperm(len(train), generator=noise, device=compute.device)
        for index in order.split(BATCH)[:steps]:
            x, y = train.rows(index)
            x = mirrored(x, noise)
            with compute.autocast():
                logits = reader(x if change is None else change(x, noise))
            loss = known_cross_entropy(logits.float(), y, per_label(weight, y))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()


def ask_one_of(model: FlowCSVAE, others: list[nn.Module], noise: torch.Generator) -> None:
    """From now on, wherever the decoder learns, the reader or one of the others answers, at random."""
    assert model.reader is not None
    own = model.reader.logits

    def logits(x: Tensor) -> Tensor:
        chosen = int(torch.randint(len(others) + 1, (), generator=noise))
        learning = model.training and model.stage in (AUTOENCODER, EDITS)
        answer: Tensor = others[chosen - 1](x) if learning and chosen else own(x)
        return answer

    model.reader.logits = logits  # type: ignore[method-assign]


def see_in_codes(model: FlowCSVAE, share: float) -> None:
    """From now on the encoder, too, learns what readers look for: `seen` counts, by a share, in its stage.

    By a share, or codes say labels more loudly than the map can sort (docs/trials.md, row 69).
    """
    assert model.reader is not None
    pictured, reader = model._pictured, model.reader

    def also(x_hat: Tensor, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        terms = pictured(x_hat, x, y)
        if model.training and model.stage == AUTOENCODER:
            with frozen(reader):
                true, read = reader.logits(torch.cat([x, x_hat])).float().chunk(2)
            terms["seen"] = share * kl_bernoulli(true.detach().sigmoid(), read).sum(1).mean()
        return terms

    model._pictured = also  # type: ignore[method-assign]


def train(run: runs.Run, data_dir: Path, makes: list[str], seen_in_codes: float = 0.0) -> None:
    """To the end, from where it stands; with readers of these makes, too; see `see_in_codes`."""
    config = runs.read_config(run.config)
    # A step that a GPU has recorded would always ask the same reader.
    compute = resolve("cpu" if makes else "auto", config.precision)
    data = sources.read(config.data.dataset, data_dir, config.model.keep, config.data.labels)
    pictures = Batches(data.splits["train"], compute)
    # Of the run's own seed: a decoder that another run began has learnt what readers of its seed let pass.
    seed = config.training.seed
    others = [taught(make, pictures, compute, run.path / "readers", seed) for make in makes]
    state, standing = session.restored(run, config, data, compute, None, ALONE)
    model = cast("FlowCSVAE", state.model)
    if others:
        ask_one_of(model, others, state.noise)
    if seen_in_codes:
        see_in_codes(model, seen_in_codes)
    if state.epoch < config.training.epochs:
        session.train_run(run, config, data, compute, state, standing, ALONE)
