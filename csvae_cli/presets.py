"""Presets: functions that return the whole configuration of a model and its training.

A preset decides everything from the kind and from what the data is like; `csvae train` then lays the
user's own options over it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from csvae_cli.config import KindName, ModelConfig, NetworkName, TrainingConfig
from csvae_cli.errors import RequestError, one_of
from models.flow_csvae import AUTOENCODER, EDITS, PLAIN_READER, READER
from models.kind import MAP


@dataclass(frozen=True)
class Facts:
    """What a preset looks at: how many training examples, the shape of one, (C, H, W) or (D,), its labels.

    exclusive: exactly one of them is present.
    """

    examples: int
    shape: tuple[int, ...]
    attributes: tuple[str, ...]
    keep: tuple[str, ...]
    exclusive: bool = False


Preset = Callable[[KindName, NetworkName, Facts], tuple[ModelConfig, TrainingConfig]]

# The paper's β₁ … β₅ for CSVAE, under the names of our terms; its other kinds share what they have.
_PRINTED = {
    "recon": 20.0,
    "kl_w": 1.0,
    "kl_z": 0.2,
    "neg_entropy": 10.0,
    "adversary": 1.0,
    "confusion": 10.0,
    "label": 1.0,
}

_OF_THE_FLOW = {
    "reading": 1.0,
    "recon": 1.0,
    "features": 0.5,
    "kl_s": 0.1,
    "nll": 1.0,
    "label": 3.0,
    "style": 5.0,
    "outside": 10.0,
    "natural": 10.0,
    "critic": 1.0,
    "seen": 0.0,
    "hold": 2500.0,
    "shown": 2500.0,
}
"""All stages' terms; `seen` gains nothing in minutes (docs/trials.md, row 70)."""

_DEFAULT_EXAMPLES = 128_000
"""How many pictures the default preset shows a model: minutes on two cores; but each at least 8 times."""

_FLOW_EXAMPLES = 200_000
"""The same for a flow-csvae in all of its stages; but each at least 20 times."""

_THOROUGH_EXAMPLES = 2_800_000
"""The same for a thorough one: hours; each at least 20 and at most 120 times."""

_THOROUGH_EDITS = {"style": 10.0, "seen": 12_000.0, "hold": 14_000.0, "shown": 10_000.0}
"""What a thorough training asks of styles and edits: more, since several readers hold these."""

_MAP_EXAMPLES = 120_000
"""The same for a new map on a finished autoencoder."""

_TERMS: Mapping[KindName, tuple[str, ...]] = {
    "csvae": ("recon", "kl_z", "kl_w", "neg_entropy", "adversary"),
    "condvae-info": ("recon", "kl_z", "label", "confusion", "adversary"),
    "condvae": ("recon", "kl_z", "label"),
    "vae": ("recon", "kl_z"),
}


def default(kind: KindName, network: NetworkName, facts: Facts) -> tuple[ModelConfig, TrainingConfig]:
    """What trains well here in minutes: see the table of trials in docs/trials.md."""
    if kind == "flow-csvae":
        return _flow(network, facts)
    if network == "points":
        model = _model(kind, network, facts, latent_dim=2, adversary_sees="mean")
        training = TrainingConfig(
            epochs=60,
            weights=_weights(kind, neg_entropy=20.0, confusion=20.0),
            batch_size=128,
            learning_rate=2e-3,
            adversary_steps=3,
            report_every=15,
        )
        return model, training
    model = _model(kind, network, facts, adversary_sees="mean")
    training = TrainingConfig(
        epochs=min(max(_DEFAULT_EXAMPLES // facts.examples, 8), 100),
        weights=_weights(kind, recon=1.0, kl_z=0.05, kl_w=0.6, neg_entropy=400.0, confusion=20.0),
        batch_size=64,
        learning_rate=2e-3,
        adversary_steps=4,
        adversary_rate=1e-3,
        max_norm=500.0,
        flip=True,
        report_every=4,
    )
    return model, training


def _flow(network: NetworkName, facts: Facts) -> tuple[ModelConfig, TrainingConfig]:
    """A short reader, the autoencoder for most of the time, then the map, and edits for the decoder."""
    points = network == "points"
    model = _model("flow-csvae", network, facts, latent_dim=1 if points else 170, w_dim=2 if points else 8)
    epochs = 60 if points else min(max(_FLOW_EXAMPLES // facts.examples, 20), 100)
    training = TrainingConfig(
        epochs=epochs,
        weights=dict(_OF_THE_FLOW),
        stages=stages_of(model, epochs),
        batch_size=128 if points else 64,
        learning_rate=2e-3 if points else 1e-3,
        max_norm=3000.0,
        flip=not points,
        report_every=15 if points else 4,
    )
    return model, training


def thorough(kind: KindName, network: NetworkName, facts: Facts) -> tuple[ModelConfig, TrainingConfig]:
    """One training of hours that comes near the model that comes with csvae: sharper pictures, calmer edits.

    A wider code and W, disturbed pictures, since each is shown a hundred times, and edits that readers of
    several makes hold (docs/trials.md, rows 65, 69 and 72).
    Raises RequestError for other kinds and for points.
    """
    if kind != "flow-csvae" or network == "points":
        raise RequestError("--preset thorough is for flow-csvae of pictures; leave it out.")
    model, training = _flow(network, facts)
    model = replace(model, latent_dim=230, w_dim=10, several_readers=True)
    epochs = min(max(_THOROUGH_EXAMPLES // facts.examples, 20), 120)
    training = replace(
        training,
        epochs=epochs,
        stages=stages_of(model, epochs, disturbed=True),
        weights={**training.weights, **_THOROUGH_EDITS},
        learning_rate=7e-4,
        disturb=True,
        report_every=20,
    )
    return model, training


def network_of(kind: KindName, preset: str) -> NetworkName:
    """That of pictures where nobody asks for another."""
    if preset == "paper":
        return "paper"
    return "large" if kind == "flow-csvae" else "light"


def stages_of(model: ModelConfig, epochs: int, *, disturbed: bool = False) -> dict[str, int]:
    """How so many epochs are shared by the stages of a kind, each at least one.

    A twelfth reads, three eighths map (an epoch of codes takes a tenth of the time of one of pictures, and a
    map of few epochs leaves labels in z: docs/trials.md), an eighth learns edits. Points have no reader, and
    learn no edits; nor do exclusive labels, of which an edit changes all. Empty for kinds that are trained in
    one go.

    disturbed: of a training that shows each picture so often that it disturbs them. The autoencoder takes
    most of it, and a reader of pictures as they are comes before the edits.
    """
    if model.kind != "flow-csvae":
        return {}
    points = model.network == "points"
    twelfth = epochs // 12
    shares = (epochs // 15, twelfth, epochs // 8) if disturbed else (twelfth, 3 * epochs // 8, epochs // 8)
    reader, mapped, edits = (max(share, 1) for share in shares)
    before = {} if points else {READER: reader}
    after = {MAP: mapped}
    if not points and not model.exclusive:
        if disturbed:
            after[PLAIN_READER] = max(epochs // 30, 1)
        after[EDITS] = edits
    autoencoding = epochs - sum(before.values()) - sum(after.values())
    if autoencoding < 1:
        least = epochs - autoencoding + 1
        raise RequestError(f"flow-csvae needs at least {least} epochs, one for each stage, not {epochs}.")
    return {**before, AUTOENCODER: autoencoding, **after}


def of_epochs(model: ModelConfig, training: TrainingConfig, epochs: int) -> TrainingConfig:
    """The same training, not begun yet, with another number of epochs in all."""
    stages = stages_of(model, epochs, disturbed=training.disturb)
    return replace(training, epochs=epochs, stages=stages)


def extended(training: TrainingConfig, epochs: int, done: int, *, begun: bool = False) -> TrainingConfig:
    """A training of which `done` epochs are over, to go on to another number of them in all.

    Stages follow one another, so what is over stays as it was: the stage in which the training stands, or the
    last one, is that much longer or shorter. begun: the next epoch, too, which its stage then has to have.
    Raises RequestError where it would end before now.
    """
    if epochs == training.epochs:
        return training
    stages, before = dict(training.stages) or {"": training.epochs}, 0
    for name, count in stages.items():
        last = name == list(stages)[-1]
        if done < before + count or last:
            # As its last epoch ends, a map is finished, and so is a training.
            needed = max(done - before + (begun or last or name == MAP), 1)
            least = training.epochs - count + needed
            if epochs < least:
                raise RequestError(
                    f"--epochs {epochs} is too few for what is done already; the least is {least}."
                )
            stages[name] += epochs - training.epochs
            break
        before += count
    return replace(training, epochs=epochs, stages=stages if training.stages else {})


def map_alone(
    model: ModelConfig, training: TrainingConfig, start: ModelConfig, facts: Facts, epochs: int | None
) -> tuple[ModelConfig, TrainingConfig]:
    """The settings of a new map on the finished autoencoder of `start`: minutes, unless asked otherwise.

    A quarter of them teaches the reader the new labels: its features tell their styles. Raises
    RequestError where `start` has no autoencoder that fits, or the epochs are too few.
    """
    if start.kind != "flow-csvae" or (start.network, start.shape) != (model.network, model.shape):
        raise RequestError(
            "--from takes a flow-csvae of the same network and picture size; train one with "
            "csvae train --kind flow-csvae."
        )
    codes = start.latent_dim + sum(start.build_options()["w_dims"])
    latent_dim = codes - sum(model.build_options()["w_dims"])
    if latent_dim < 1:
        raise RequestError(f"The code of --from has {codes} dimensions, too few; use a smaller --w-dim.")
    count = epochs or min(max(_MAP_EXAMPLES // facts.examples, 4), 15)
    reading = 0 if model.network == "points" else max(count // 4, 1)
    if reading == count:
        raise RequestError("--from needs at least 2 epochs, one for each stage, not 1.")
    reader = {READER: reading} if reading else {}
    stages = {**reader, MAP: count - reading}
    return (
        replace(model, latent_dim=latent_dim, several_readers=False),  # which no edits would ask
        replace(training, epochs=count, stages=stages, report_every=count),
    )


def paper(kind: KindName, network: NetworkName, facts: Facts) -> tuple[ModelConfig, TrainingConfig]:
    """The paper's schedule and printed weights: 2,300 epochs, batches of 64, Adam at 10⁻³/2.

    The paper does not say what its terms are sums or means over. For pictures the printed weights train as
    means over pixels and over latent dimensions, and fail as sums (docs/trials.md); of points, which have few
    numbers, sums are right. Raises RequestError for the kind that is not the paper's.
    """
    if kind == "flow-csvae":
        raise RequestError("flow-csvae is not in the paper; leave --preset paper out, or use --kind csvae.")
    latent_dim = 2 if network == "points" else 64
    model = _model(
        kind, network, facts, latent_dim=latent_dim, reduction="sum" if network == "points" else "mean"
    )
    training = TrainingConfig(
        epochs=2300,
        weights=_weights(kind),
        batch_size=64,
        learning_rate=5e-4,
        schedule="multistep",
    )
    return model, training


PRESETS: dict[str, Preset] = {"default": default, "thorough": thorough, "paper": paper}


def preset(name: str) -> Preset:
    """Raises RequestError, with near names."""
    if name not in PRESETS:
        raise one_of("preset", name, PRESETS)
    return PRESETS[name]


def _model(kind: KindName, network: NetworkName, facts: Facts, **settings: Any) -> ModelConfig:
    """Of the data as it is, with these settings."""
    return ModelConfig(
        kind, network, facts.shape, facts.attributes, facts.keep, exclusive=facts.exclusive, **settings
    )


def _weights(kind: KindName, **changed: float) -> dict[str, float]:
    return {term: {**_PRINTED, **changed}[term] for term in _TERMS[kind]}
