"""A finished run as the model that comes with csvae: float16, without what only training needs, and its card.

    python benchmarks/ship.py RUN --made-by COMMANDS --commit COMMIT --evaluation FILE… [--note SENTENCES]
        [--faces PICTURE…] [--out DIR]

made-by: divided by "; "; commit: the code that trained it, as in "code of commit 60afce4"; note: what a
reader who repeats it must know.
faces: pictures of a face each that sheets show where no input is named; only free ones may ship. Default:
those of the model that ships now.
evaluation: answers of `csvae evaluate --json` on the run, for the card.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from csvae_cli import runs
from csvae_cli.config import RunConfig, to_json
from csvae_cli.data.batches import to_pictures
from csvae_cli.data.framing import Framing
from csvae_cli.editing.pictures import crops, open_photo
from csvae_cli.evaluation.figures import MEANINGS

LARGEST = 16_000_000


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--faces", type=Path, nargs="*", default=[])
    parser.add_argument("--made-by", required=True, help="the commands, as a reader would type them")
    parser.add_argument("--commit", required=True)
    parser.add_argument("--note", default="")
    parser.add_argument("--evaluation", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, default=runs.PACKAGED)
    options = parser.parse_args()
    source, target = runs.Run(options.run), runs.Run(options.out)
    model = runs.load(str(source.path), source.path.parent)
    kept = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in model.kind.state_dict().items()
        if not name.startswith(model.kind.for_training)
    }
    faces = _faces(options.faces, model.config.model.shape)  # perhaps of the model that ships now
    data = replace(model.config.data, data_dir=None)
    config = replace(model.config, data=data, init_from=None, command=options.made_by)
    page = card(options.evaluation, config, options.commit, options.note)  # what is wrong is found here
    weights = sum(tensor.numel() * tensor.element_size() for tensor in kept.values())
    if weights > LARGEST:  # before what ships now is written over
        raise SystemExit(f"{weights:,} bytes of weights are more than {LARGEST:,}.")
    runs.write_tensors(target.model, kept)
    labels = torch.zeros(len(faces), len(model.config.model.attributes), dtype=torch.int8)
    statistics = replace(model.statistics, faces=faces, labels=labels)
    runs.write_statistics(target.statistics, statistics, model.config.model.attributes)
    runs.write(target.config, to_json(config).encode())
    runs.write(target.path / "README.md", page.encode())
    size = sum(path.stat().st_size for path in target.path.iterdir())
    print(f"{target.path}: {size:,} bytes")
    if size > LARGEST:
        raise SystemExit(f"That is more than {LARGEST:,}.")


def _faces(paths: list[Path], shape: tuple[int, ...]) -> Tensor:
    """uint8 N×H×W×C."""
    if not paths:
        return runs.load(str(runs.PACKAGED), runs.PACKAGED.parent).statistics.faces
    framing = Framing(searched=True)
    return to_pictures(torch.cat([crops(open_photo(path, framing), shape) for path in paths]))


def card(evaluations: list[Path], config: RunConfig, commit: str, note: str) -> str:
    """The model card."""
    commands = config.command.replace("; ", "\n")
    parts = [
        "# Glasses and facial hair, 64×64\n",
        "A `flow-csvae` (docs/flow-csvae.md) of aligned faces: z for the person, W of "
        f"{config.model.w_dim} dimensions for glasses and for facial hair, W of 2 each for sex, age and "
        "smile, which edits leave alone.\n",
        f"Made by\n\n```\n{commands}\n```\n\n({commit}) and `benchmarks/ship.py`. {note}\n",
        "**Data**: 23,276 training pictures of CelebA (Liu et al. 2015) at half size, for non-commercial "
        "research only: so are these weights. Its labels are noisy, its people are celebrities, and glasses, "
        "beards, sex and age hang together in it; do not use the labels to judge anyone. The sheet's face is "
        "NASA's portrait of the astronaut Eileen Collins (public domain, as scikit-image ships it).\n",
    ]
    for path in evaluations:
        answer = json.loads(path.read_text())
        valid = answer["split"] == "valid"
        command = (
            f"csvae evaluate --model csvae --dataset {answer['dataset']} --data-dir DIR --precision fp32"
        )
        parts.append(f"## On {answer['dataset']}, {'validation' if valid else 'test'} people\n")
        parts.append(f"Measured by `{command}{'' if valid else ' --split test'}`.\n")
        parts.append("| measure | of | value | pictures | judge | what it is |\n|---|---|---|---|---|---|")
        for figure in answer["figures"]:
            of = ", ".join(figure[key] for key in ("attribute", "detail") if key in figure)
            value = "–" if figure["value"] is None else f"{figure['value']:.3f}"
            judge = f"{figure['judge']:.3f}" if "judge" in figure else "–"
            meaning = MEANINGS[figure["name"]]
            parts.append(
                f"| {figure['name']} | {of} | {value} | {figure['pictures']:,} | {judge} | {meaning} |"
            )
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    main()
