"""What `csvae info` says of a run."""

from pathlib import Path
from typing import Any

from csvae_cli import runs

_WHY_KEPT = (
    "they go together with what is edited in the data, so each has a W of its own, which edits leave alone"
)


def summary(ref: str | None, root: Path) -> dict[str, Any]:
    """Of the run that ref names; epochs: None of a model that came without its log. Raises RequestError and
    WorkError.
    """
    run = runs.find(ref, root)
    config = runs.read_config(run.config)
    lines = runs.read_log(run.log) if run.log.exists() else []
    reports = [line for line in lines if "leak" in line]
    found: dict[str, Any] = {
        "run": str(run.path),
        "kind": config.model.kind,
        "network": config.model.network,
        "data": config.data.dataset,
        "attributes": list(config.model.edited),
        "keep": list(config.model.keep),
        "keep_why": _WHY_KEPT if config.model.keep else None,
        "shape": list(config.model.shape),
        "latent_dim": config.model.latent_dim,
        "epochs": len(lines) if run.log.exists() or run.checkpoints.exists() else None,
        "of": config.training.epochs,
        "command": config.command,
        "versions": dict(config.versions),
        "leak": reports[-1]["leak"] if reports else {},
        "valid": reports[-1]["valid"] if reports else {},
        "subspaces": {},
    }
    if run.statistics.exists():
        statistics = runs.read_statistics(run.statistics, config)
        found["subspaces"] = {
            name: {"present_mean": s.present_mean.tolist(), "stds": s.stds.tolist()}
            for name, s in zip(config.model.attributes, statistics.subspaces, strict=True)
        }
    return found


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """A summary as lines for people."""
    channels = "×".join(map(str, found["shape"]))
    lines = [
        ("kind", f"{found['kind']}, network {found['network']}, z of {found['latent_dim']} dimensions"),
        ("data", f"{found['data']} ({channels})"),
        ("attributes", ", ".join(found["attributes"])),
        ("kept by edits", f"{', '.join(found['keep'])}: {_WHY_KEPT}" if found["keep"] else "none"),
        *([("trained", f"{found['epochs']} of {found['of']} epochs")] if found["epochs"] is not None else []),
        ("command", found["command"]),
        ("versions", ", ".join(f"{name} {version}" for name, version in found["versions"].items())),
    ]
    for name, leak in found["leak"].items():
        lines.append((f"leak of {name}", f"{leak:.3f} read from z by a fresh probe (chance 0.5)"))
    for name, value in found["valid"].items():
        lines.append((f"validation {name}", f"{value:.5g}"))
    for name, subspace in found["subspaces"].items():
        widths = ", ".join(f"{std:.2f}" for std in subspace["stds"])
        lines.append((f"W of {name}", f"{len(subspace['stds'])} dimensions, standard deviations {widths}"))
    return lines
