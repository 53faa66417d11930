"""The report of a reproduction: the paper's tables and figures in one Markdown page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from csvae_cli import runs, sheets
from csvae_cli.data.sources import SOURCES
from csvae_cli.evaluation.figures import MEANINGS, Figure
from csvae_cli.evaluation.report import markdown
from csvae_cli.reproduce.jobs import KINDS, Job, Plan, figures

Found = Mapping[tuple[str, str], tuple[Figure, ...]]
"""(data set, kind) -> its figures."""

_COMPARED = (
    "leak_z",
    "leak_z_strata",
    "leak_w",
    "leak_other_w",
    "adversary",
    "accepted",
    "added",
    "added_floor",
    "added_mean",
    "added_worst",
    "removed",
    "kept",
    "kept_of_seen",
    "moved_adding",
    "moved_removing",
    "naturalness",
    "naturalness_floor",
    "recognised",
    "recognised_ceiling",
    "variety",
    "change_outside",
    "distance_outside",
    "identity_own",
    "identity_edited",
    "identity_others",
    "squared_error",
    "psnr",
    "ssim",
)

_UNEQUAL = """What is not equal: no model is shown the label of a picture that it edits, so vae, condvae and
condvae-info, whose w is the label, take their own guess; they have no styles either, and are asked for labels
of 0.5 to 1.5 instead (in `variety`, too).
"""

_UNEQUAL_FLOW = """Of pictures flow-csvae has a wider code than the others, and on CelebA it learns from three
further labels (male, young, smiling) that its edits are to leave alone.
"""

_DETAILED = ("leak_other_w", "moved_adding", "moved_removing")
"""Those that are of another label's w, or of another label, too."""


def write(plan: Plan, jobs: Sequence[Job]) -> Path:
    """report.md and the figures, of what is evaluated so far. Raises WorkError."""
    done = [job for job in jobs if job.evaluated]
    found: Found = {(job.dataset, str(job.kind)): figures(job) for job in done}
    datasets = list(dict.fromkeys(job.dataset for job in done))
    parts = [
        "# Klys, Snell and Zemel (2018), run again\n",
        f"Preset {plan.preset}, seed {plan.seed}; each model of a data set with the same budget and network"
        f"{_networks(done)}; judged on the {'validation' if plan.split == 'valid' else 'test'} split. "
        f"Budgets: {_budgets(done)}.\n",
        _UNEQUAL,
        _UNEQUAL_FLOW if any(job.kind == "flow-csvae" and job.of_pictures for job in done) else "",
        *(f"Left out: {name}. {reason}\n" for name, reason in plan.left_out),
        table_1(found, datasets),
        table_2(found, datasets),
        *(_compared(found, dataset) for dataset in datasets),
        _pictures(plan, done, datasets),
        "## What the measures are\n",
        "\n".join(f"- `{name}`: {meaning}" for name, meaning in MEANINGS.items()) + "\n",
    ]
    path = plan.out / "report.md"
    runs.write(path, "\n".join(part for part in parts if part).encode())
    return path


def table_1(found: Found, datasets: Sequence[str]) -> str:
    """Method 1, a column a data set: accepted, the mean over its attributes; the judge's accuracy below."""
    columns = [
        dataset for dataset in datasets if any(_values(found, dataset, kind, "accepted") for kind in KINDS)
    ]
    if not columns:
        return ""
    lines = [
        [kind, *(_share(_mean(_values(found, dataset, kind, "accepted"))) for dataset in columns)]
        for kind in KINDS
    ]
    judges = [
        next((_mean(values) for kind in KINDS if (values := _values(found, dataset, kind, "judge"))), _NAN)
        for dataset in columns
    ]
    lines.append(["*the judge itself*", *(_share(value) for value in judges)])
    variety = [
        [f"{kind}: variety, of condvae's", *(_ratio(found, dataset, kind, "variety") for dataset in columns)]
        for kind in KINDS
    ]
    return (
        "## Table 1: changed pictures that a classifier accepts (Method 1)\n\n"
        + markdown(["", *columns], [*lines, *variety])
        + "\nThe judge's figure is its balanced accuracy on real pictures: far above it means nothing more.\n"
    )


def table_2(found: Found, datasets: Sequence[str]) -> str:
    """Method 2, of the data sets that know people."""
    names = ("target_changed", "original_changed", "target_original")
    columns = [
        dataset for dataset in datasets if any(_values(found, dataset, kind, names[0]) for kind in KINDS)
    ]
    parts = []
    for dataset in columns:
        lines = [
            [kind, *(_plain(_mean(_values(found, dataset, kind, name))) for name in names)] for kind in KINDS
        ]
        pairs = next(
            (f.pictures for kind in KINDS for f in found.get((dataset, kind), ()) if f.name == names[0]), 0
        )
        parts.append(
            f"## Table 2: against the same person's real picture, {dataset} ({pairs} pairs)\n\n"
            + markdown(["", "target – changed", "original – changed", "target – original"], lines)
        )
    return "\n".join(parts)


def _compared(found: Found, dataset: str) -> str:
    """Every measure, a column a kind."""
    kinds = [kind for kind in KINDS if (dataset, kind) in found]
    lines = []
    for name in _COMPARED:
        keys = dict.fromkeys(
            (figure.attribute, figure.detail.split(",")[0] if name in _DETAILED else "")
            for kind in kinds
            for figure in found[dataset, kind]
            if figure.name == name
        )
        for attribute, source in keys:
            label = " ".join(part for part in (name, attribute, f"({source})" if source else "") if part)
            values = [_one(found[dataset, kind], name, attribute, source) for kind in kinds]
            lines.append([label, *(_plain(value) for value in values)])
    return f"## {dataset}: {SOURCES[dataset].description}\n\n" + markdown(["measure", *kinds], lines)


def _pictures(plan: Plan, done: Sequence[Job], datasets: Sequence[str]) -> str:
    parts = ["## Figures\n"]
    for dataset in datasets:
        own = [job for job in done if job.dataset == dataset]
        rows = {job.kind: sorted(job.answer.parent.glob(f"{job.answer.stem}-row-*.png")) for job in own}
        for position in range(max(map(len, rows.values()), default=0)):
            strips = [files[position] for files in rows.values() if position < len(files)]
            attribute = strips[0].stem.partition("-row-")[2]
            name = f"styles-{dataset}-{attribute}.png"
            page = sheets.stack([_opened(strip) for strip in strips])
            runs.write(plan.out / name, sheets.png(page))
            parts.append(
                f"**Figures 3 and 4**, {dataset}, {attribute}: one face in many styles, from above "
                f"{', '.join(rows)}.\n\n![styles]({name})\n"
            )
        for job in own:
            if job.kind == "csvae":
                parts += [
                    f"**{title}**, {dataset}, csvae.\n\n![{title}]({file.relative_to(plan.out)})\n"
                    for title, file in _of_the_paper(job)
                ]
    return "\n".join(parts)


def _of_the_paper(job: Job) -> list[tuple[str, Path]]:
    wanted = {
        "projections": "Figure 2: projections",
        "both": "Figure 5: both attributes, a grid of grids",
        "people": "Figure 6: styles over people",
        "transfer": "Identity transfer",
    }
    return [
        (title, file)
        for word, title in wanted.items()
        for file in sorted(job.answer.parent.glob(f"{job.answer.stem}-{word}*.png"))
    ]


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


_NAN = float("nan")


def _values(found: Found, dataset: str, kind: str, name: str) -> list[float]:
    figures = found.get((dataset, kind), ())
    return [figure.value for figure in figures if figure.name == name and figure.value == figure.value]


def _one(figures: Sequence[Figure], name: str, attribute: str, source: str) -> float:
    for figure in figures:
        if figure.name == name and figure.attribute == attribute and figure.detail.startswith(source):
            return figure.value
    return _NAN


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else _NAN


def _ratio(found: Found, dataset: str, kind: str, name: str) -> str:
    own, other = (_mean(_values(found, dataset, one, name)) for one in (kind, "condvae"))
    return _plain(own / other) if other else "–"


def _share(value: float) -> str:
    return "–" if value != value else f"{100 * value:.1f} %"


def _plain(value: float) -> str:
    if value != value:
        return "–"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _networks(done: Sequence[Job]) -> str:
    """Of pictures, in brackets."""
    names = {runs.read_config(job.run.config).model.network for job in done if job.of_pictures}
    return f" ({', '.join(sorted(names))})" if names else ""


def _budgets(done: Sequence[Job]) -> str:
    """Of each data set; of each kind where they differ, as one was trained further."""
    epochs: dict[str, dict[str, int]] = {}
    for job in done:
        epochs.setdefault(job.dataset, {})[job.kind] = runs.read_config(job.run.config).training.epochs
    told = []
    for dataset, of_kinds in epochs.items():
        alike = len(set(of_kinds.values())) == 1
        named = {"": next(iter(of_kinds.values()))} if alike else of_kinds
        told.append(f"{dataset} " + " and ".join(f"{kind} {n} epochs".strip() for kind, n in named.items()))
    return ", ".join(told) or "none yet"
