"""Everything that defines a run, as frozen dataclasses that go to JSON and back.

Contradictions are refused when a config is made; unknown keys and newer formats when it is read.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from csvae_cli.errors import RequestError, one_of

FORMAT = 1

KindName = Literal["flow-csvae", "csvae", "condvae-info", "condvae", "vae"]
PictureNetwork = Literal["light", "large", "paper"]
NetworkName = Literal[PictureNetwork, "points"]
Precision = Literal["auto", "fp32", "bf16"]
Schedule = Literal["constant", "cosine", "multistep"]
Prior = Literal["offset", "printed"]


@dataclass(frozen=True)
class ModelConfig:
    """What `models.kind.build` needs, and what the label columns mean.

    kind: one of `models.kind.KINDS`; network: the family of its encoder and decoder (`models.networks`).
    shape: of one example in a model, (C, H, W) of a picture, (D,) of a point.
    attributes: the names of the labels; the last `len(keep)` of them are kept by edits of the others.
    latent_dim: dimensions of z; w_dim: dimensions of each W_i (csvae; flow-csvae, where a kept label's W_i
    has two at most).
    prior: which label's prior sits at the origin (csvae only): "offset" absent, "printed" present.
    label_dropout: how often q(w|x, y) is trained without y_i (csvae only).
    reduction: whether loss terms are sums or means over dimensions.
    adversary_sees: a sample of q(z|x), as in the paper, or its mean, as a probe would (csvae, condvae-info).
    exclusive: exactly one of the attributes is present: an edit that puts one there takes the others away.
    several_readers: readers of several makes hold what edits leave alone, not one (flow-csvae).
    """

    kind: KindName
    network: NetworkName
    shape: tuple[int, ...]
    attributes: tuple[str, ...]
    keep: tuple[str, ...] = ()
    latent_dim: int = 64
    w_dim: int = 2
    prior: Prior = "offset"
    label_dropout: float = 0.5
    reduction: Literal["sum", "mean"] = "sum"
    adversary_sees: Literal["sample", "mean"] = "sample"
    exclusive: bool = False
    several_readers: bool = False

    def __post_init__(self) -> None:
        if (self.network == "points") != (len(self.shape) == 1):
            raise RequestError(
                f"The network “{self.network}” does not take data of shape {self.shape}; "
                "use points for points, light, large or paper for pictures."
            )
        if not self.attributes or len(set(self.attributes)) != len(self.attributes):
            raise RequestError(
                "A model needs attributes, each once; check --keep against the data set's own."
            )
        if self.latent_dim < 1 or self.w_dim < 1:
            raise RequestError("latent_dim and w_dim must be at least 1.")
        if not 0 <= self.label_dropout <= 1:
            raise RequestError("label_dropout must be between 0 and 1.")

    @property
    def edited(self) -> tuple[str, ...]:
        """The attributes that are there to be edited, not only kept."""
        return tuple(name for name in self.attributes if name not in self.keep)

    def index(self, attribute: str) -> int:
        """The label column of an attribute. Raises RequestError, with near names."""
        if attribute not in self.attributes:
            raise one_of("attribute", attribute, self.attributes)
        return self.attributes.index(attribute)

    def build_options(self) -> dict[str, Any]:
        """Keyword arguments of the kind's constructor."""
        options: dict[str, Any] = {
            "shape": self.shape,
            "labels": len(self.attributes),
            "network": self.network,
            "latent_dim": self.latent_dim,
            "reduction": self.reduction,
        }
        if self.kind in ("csvae", "condvae-info"):
            options["adversary_sees"] = self.adversary_sees
        if self.kind in ("condvae", "condvae-info", "flow-csvae"):
            options["exclusive"] = self.exclusive
        if self.kind == "flow-csvae":
            kept = (min(self.w_dim, 2),) * len(self.keep)
            options |= {"w_dims": (self.w_dim,) * len(self.edited) + kept, "styled": len(self.edited)}
            options["several_readers"] = self.several_readers
        if self.kind == "csvae":
            options |= {
                "w_dims": (self.w_dim,) * len(self.attributes),
                "prior": self.prior,
                "label_dropout": self.label_dropout,
            }
        return options


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained.

    epochs: passes over the data, over all stages; batch_size: pictures a step, over all processes; seed: of
    all that is random.
    weights: the factor of every loss term of the kind; see `weight`.
    learning_rate: Adam's at the start, of every group of parameters; schedule: how it falls. "multistep" is
    the paper's, milestones 3⁰ … 3⁶ epochs, gamma 0.1^(1/7).
    adversary_steps: how many steps the adversary takes to one of the autoencoder; adversary_rate: its own,
    constant learning rate, so that it catches up as the autoencoder slows down; None: the autoencoder's.
    max_norm: the length that a step's gradient of every group but the adversary's is shortened to where it is
    longer, so that one strange batch does not undo an epoch; None: as it comes.
    flip: whether pictures are mirrored at random; disturb: whether they are also a little turned, scaled,
    moved and lit otherwise, for a training that shows each more often than some ten times.
    report_every: epochs between sample sheets, probes and validation.
    stages: for kinds that are trained in stages, their names in order and the epochs of each; the schedule
    starts again with each.
    """

    epochs: int
    weights: Mapping[str, float]
    stages: Mapping[str, int] = field(default_factory=dict)
    batch_size: int = 64
    learning_rate: float = 5e-4
    schedule: Schedule = "cosine"
    adversary_steps: int = 1
    adversary_rate: float | None = None
    max_norm: float | None = None
    flip: bool = False
    disturb: bool = False
    seed: int = 0
    report_every: int = 10

    def __post_init__(self) -> None:
        for name in ("epochs", "report_every", "adversary_steps"):
            if getattr(self, name) < 1:
                raise RequestError(f"{name} must be at least 1.")
        if self.stages and sum(self.stages.values()) != self.epochs:
            raise RequestError("The stages' epochs do not add up to epochs.")
        if self.batch_size < 2:
            raise RequestError("--batch-size must be at least 2: the adversary compares examples.")
        if not self.learning_rate > 0 or (self.adversary_rate is not None and not self.adversary_rate > 0):
            raise RequestError("learning_rate and adversary_rate must be above 0.")
        if self.max_norm is not None and not self.max_norm > 0:
            raise RequestError("max_norm must be above 0.")

    def weight(self, term: str) -> float:
        """What a loss term counts: nothing where it is not named, as a term that csvae got since."""
        return self.weights.get(term, 0.0)


@dataclass(frozen=True)
class DataConfig:
    """Which data: the data set's name, the directory it was read from, and what exactly it was.

    labels: of how many training pictures the data set's own labels were used; None: of all.
    """

    dataset: str
    data_dir: str | None
    fingerprint: str
    labels: int | None = None


@dataclass(frozen=True)
class RunConfig:
    """A run: `config.json` of its directory.

    preset: whose settings these were, before options changed them; precision: as asked; init_from: what
    `--from` named; format: of this file. command and versions are for people.
    """

    model: ModelConfig
    training: TrainingConfig
    data: DataConfig
    preset: str = "default"
    precision: Precision = "auto"
    init_from: str | None = None
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def others(self) -> Literal["own", "absent"]:
        """What goes into the W of the others where figures put an attribute there: see `Kind.switch`.

        "absent" where the paper is followed, and where labels exclude each other.
        """
        return "absent" if self.model.exclusive or self.preset == "paper" else "own"


def to_json(config: RunConfig) -> str:
    return json.dumps(asdict(config), indent=2, ensure_ascii=False) + "\n"


def from_json(text: str, origin: str) -> RunConfig:
    """The config in a text; origin names it in messages. Raises RequestError where it is not one of ours."""
    import cattrs

    try:
        raw = json.loads(text)
        found = int(raw["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{origin} is not a csvae configuration.") from error
    if found > FORMAT:
        raise RequestError(
            f"{origin} has format {found}, newer than this csvae reads ({FORMAT}); upgrade csvae."
        )
    converter = cattrs.Converter(forbid_extra_keys=True)
    try:
        return converter.structure(raw, RunConfig)
    except cattrs.BaseValidationError as error:
        reasons = "; ".join(cattrs.transform_error(error))
        raise RequestError(f"{origin} is not a csvae configuration: {reasons}.") from error
