"""Presets: functions that return the whole configuration of a model and its training.

A preset decides everything from the kind and from what the data is like; `csvae train` then lays the
user's own options over it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from csvae_cli.config import KindName, ModelConfig, NetworkName, TrainingConfig
from csvae_cli.errors import one_of


@dataclass(frozen=True)
class Facts:
    """What a preset looks at: how many training examples, the shape of one, (C, H, W) or (D,), its labels."""

    examples: int
    shape: tuple[int, ...]
    attributes: tuple[str, ...]
    keep: tuple[str, ...]


Preset = Callable[[KindName, NetworkName, Facts], tuple[ModelConfig, TrainingConfig]]

# The paper's β₁ … β₅ for CSVAE, under the names of our terms; the other kinds share what they have.
_PRINTED = {
    "recon": 20.0,
    "kl_w": 1.0,
    "kl_z": 0.2,
    "neg_entropy": 10.0,
    "adversary": 1.0,
    "confusion": 10.0,
    "label": 1.0,
}

_DEFAULT_EXAMPLES = 128_000
"""How many pictures the default preset shows a model: minutes on two cores; but each at least 8 times."""

_TERMS: Mapping[KindName, tuple[str, ...]] = {
    "csvae": ("recon", "kl_z", "kl_w", "neg_entropy", "adversary"),
    "condvae-info": ("recon", "kl_z", "label", "confusion", "adversary"),
    "condvae": ("recon", "kl_z", "label"),
    "vae": ("recon", "kl_z"),
}


def default(kind: KindName, network: NetworkName, facts: Facts) -> tuple[ModelConfig, TrainingConfig]:
    """What trains well here in minutes: see the table of trials in docs/trials.md."""
    if network == "points":
        model = ModelConfig(
            kind,
            network,
            facts.shape,
            facts.attributes,
            facts.keep,
            latent_dim=2,
            adversary_sees="mean",
        )
        training = TrainingConfig(
            epochs=60,
            weights=_weights(kind, neg_entropy=20.0, confusion=20.0),
            batch_size=128,
            learning_rate=2e-3,
            adversary_steps=3,
            report_every=15,
        )
        return model, training
    model = ModelConfig(kind, network, facts.shape, facts.attributes, facts.keep, adversary_sees="mean")
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


def paper(kind: KindName, network: NetworkName, facts: Facts) -> tuple[ModelConfig, TrainingConfig]:
    """The paper's schedule and printed weights: 2,300 epochs, batches of 64, Adam at 10⁻³/2."""
    latent_dim = 2 if network == "points" else 64
    model = ModelConfig(kind, network, facts.shape, facts.attributes, facts.keep, latent_dim=latent_dim)
    training = TrainingConfig(
        epochs=2300,
        weights=_weights(kind),
        batch_size=64,
        learning_rate=5e-4,
        schedule="multistep",
    )
    return model, training


PRESETS: dict[str, Preset] = {"default": default, "paper": paper}


def preset(name: str) -> Preset:
    """Raises RequestError, with near names."""
    if name not in PRESETS:
        raise one_of("preset", name, PRESETS)
    return PRESETS[name]


def _weights(kind: KindName, **changed: float) -> dict[str, float]:
    return {term: {**_PRINTED, **changed}[term] for term in _TERMS[kind]}
