"""Which true style factors the codes hold: for drawn faces, whose truth is known."""

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from csvae_cli.data.dataset import SplitName
from csvae_cli.evaluation.figures import Figure
from csvae_cli.evaluation.subject import Subject
from csvae_cli.output import Progress

_FITTED = 4000


def figures(subject: Subject, split: SplitName, progress: Progress) -> list[Figure]:
    """R² on held-out faces of every style factor, from each w and from z, over faces that show it.

    Nothing of a factor that fewer than two faces show.
    """
    factors, factors_held = (subject.data.splits[part].factors for part in ("train", split))
    codes, held = subject.codes, subject.codes_held
    sources = {"z": (codes.z_mu, held.z_mu)}
    for name, column, _ in subject.attributes:
        sources[f"w_{name}"] = (codes.w_mu[column], held.w_mu[column])
    rows = subject.train.spread(len(subject.y)).cpu().numpy()
    rows_held = subject.held.spread(len(subject.y_held)).cpu().numpy()
    styles = [
        (name, factor)
        for name, _, _ in subject.attributes
        for factor in factors
        if factor.startswith(f"{name}_")
    ]
    found: list[Figure] = []
    for done, (name, factor) in enumerate(styles):
        progress("Looking for styles", done, len(styles))
        values, values_held = factors[factor][rows], factors_held[factor][rows_held]
        shown = np.flatnonzero(~np.isnan(values))[:_FITTED]
        shown_held = np.flatnonzero(~np.isnan(values_held))
        if min(len(shown), len(shown_held)) < 2:
            continue
        for source, (fitted, scored) in sources.items():
            forest = RandomForestRegressor(
                40, min_samples_leaf=5, max_features=0.5, n_jobs=-1, random_state=0
            )
            forest.fit(fitted.cpu().numpy()[shown], values[shown])
            r2 = forest.score(scored.cpu().numpy()[shown_held], values_held[shown_held])
            label = factor.removeprefix(f"{name}_")
            found.append(Figure("factor", float(r2), len(shown_held), name, f"{label} from {source}"))
    progress("Looking for styles", len(styles), len(styles))
    return found
