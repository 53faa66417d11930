"""What z and each w say about the labels, by probes that are fresh: fitted on frozen codes of training
pictures, scored on codes of held-out people.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from csvae_cli.evaluation.figures import Figure
from csvae_cli.evaluation.subject import Subject
from csvae_cli.output import Progress
from models.probe import fit_probe

_SEED = 1
_NEIGHBOURS = 25

Scores = NDArray[np.float64]
"""For each row how present a label is: above 0 is present, both classes weighing the same."""


def figures(subject: Subject, progress: Progress) -> list[Figure]:
    """For each attribute: read from z, from its own w, from the others' w; and the adversary's own figure.

    Of exclusive ones not from the others' w.
    """
    found: list[Figure] = []
    codes, held = subject.codes, subject.codes_held
    total = len(subject.attributes) * (1 + len(subject.attributes))
    for done, (name, column, _) in enumerate(subject.attributes):
        progress("Probing", done * (1 + len(subject.attributes)), total)
        y, y_held = subject.y[:, column], subject.y_held[:, column]
        found += read("z", name, codes.z_mu, y, held.z_mu, y_held)
        found += _adversary(subject, name, column)
        for other, own, _ in subject.attributes:
            part = "w" if own == column else "other_w"
            if part == "other_w" and subject.data.exclusive:  # what is there says what is not, as it should
                continue
            figures = read(part, name, codes.w_mu[own], y, held.w_mu[own], y_held, other)
            found += figures if part == "w" else figures[:1]
    progress("Probing", total, total)
    return found


def read(
    part: str, name: str, codes: Tensor, y: Tensor, codes_held: Tensor, y_held: Tensor, source: str = ""
) -> list[Figure]:
    """The strongest probe's balanced accuracy on the held-out codes (N×d), and its AUROC.

    The strongest is chosen by what it reads from the held-out codes, so the figure errs upwards: a leak is
    not to be missed.
    """
    known, known_held = y >= 0, y_held >= 0
    fitted, labels = codes[known].cpu(), y[known].cpu()
    scored, truth = codes_held[known_held].cpu(), y_held[known_held].cpu().numpy()
    if len(labels.unique()) < 2 or len(np.unique(truth)) < 2:
        return []
    best: tuple[float, float, str] | None = None
    for probe, scores in _probes(fitted, labels, scored):
        accuracy = float(balanced_accuracy_score(truth, scores > 0))
        if best is None or accuracy > best[0]:
            best = (accuracy, float(roc_auc_score(truth, scores)), probe)
    assert best is not None
    accuracy, auroc, probe = best
    detail = f"{source}, {probe}" if source else probe
    return [
        Figure(f"leak_{part}", accuracy, len(truth), name, detail),
        Figure(f"leak_{part}_auroc", auroc, len(truth), name, detail),
    ]


def _probes(codes: Tensor, y: Tensor, scored: Tensor) -> Iterator[tuple[str, Scores]]:
    """(name of the probe, scores of the held-out rows): linear, nearest neighbours, MLP."""
    x, held = codes.double().numpy(), scored.double().numpy()
    labels = y.numpy()
    linear = make_pipeline(
        StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000, tol=1e-3)
    )
    yield "linear", linear.fit(x, labels).decision_function(held)

    neighbours = min(_NEIGHBOURS, len(labels))
    nearest = make_pipeline(StandardScaler(), KNeighborsClassifier(neighbours, n_jobs=-1))
    yield "nearest", nearest.fit(x, labels).predict_proba(held)[:, 1] - labels.mean()

    probe = fit_probe(codes.float(), y[:, None], seed=_SEED)
    yield "mlp", probe.logits(scored.float())[:, 0].double().numpy()


def _adversary(subject: Subject, name: str, column: int) -> list[Figure]:
    logits = subject.kind.adversary_logits(subject.codes_held.z_mu)
    known = subject.y_held[:, column] >= 0
    if logits is None or len(subject.y_held[known, column].unique()) < 2:
        return []
    with torch.no_grad():
        seen = (logits[:, column] > 0).cpu().numpy()
    truth = subject.y_held[:, column]
    accuracy = balanced_accuracy_score(truth[known].numpy(), seen[known.numpy()])
    return [Figure("adversary", float(accuracy), int(known.sum()), name)]
