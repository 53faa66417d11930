"""The drawn faces: what is promised about factors, pictures and splits."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from csvae_cli.data.dataset import Dataset
from csvae_cli.data.drawing import ATTRIBUTES, FACTORS, RANGES, render, style_factors
from csvae_cli.data.toy_faces import ToyFaces, draw_factors, portrait
from csvae_cli.errors import RequestError

Factors = dict[str, NDArray[np.float32]]

STYLES = {attribute: style_factors(attribute) for attribute in ATTRIBUTES}
PERSON = tuple(name for name in FACTORS if not name.startswith(ATTRIBUTES))
# Where an attribute can be on an upright face, in rows of a picture of 64.
ROWS = {"glasses": slice(22, 44), "facial-hair": slice(32, 64)}


def silent(what: str, done: int, total: int) -> None:
    """Progress that nobody follows."""


def faces(count: int, seed: int = 1, **fixed: float) -> Factors:
    """Faces that have every attribute in its mean style, with some factors fixed (in Python's spelling)."""
    factors, _ = draw_factors(count, seed)
    for styles in STYLES.values():
        for name in styles:
            factors[name] = np.full(count, np.mean(RANGES[name]), np.float32)
    for name, value in fixed.items():
        factors[name.replace("facial_hair", "facial-hair")] = np.full(count, value, np.float32)
    return factors


def upright(count: int, seed: int = 1) -> Factors:
    return faces(count, seed, roll=0, yaw=0, shift=0)


def without(factors: Factors, attribute: str) -> Factors:
    return {
        name: np.full_like(values, np.nan) if name in STYLES[attribute] else values
        for name, values in factors.items()
    }


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """N×H×W: by how much each pixel differs, in the channel where it does most."""
    change: NDArray[np.float32] = np.abs(one.astype(np.float32) - other.astype(np.float32)).max(-1)
    return change


def outside(changed: NDArray[np.float32], rows: slice) -> NDArray[np.float32]:
    rest = changed.copy()
    rest[:, rows] = 0
    return rest


# Factors and labels.


def test_a_seed_gives_the_same_faces_each_time_and_another_seed_others() -> None:
    one, again, other = (draw_factors(20, seed) for seed in (3, 3, 4))
    assert all(np.array_equal(one[0][name], again[0][name], equal_nan=True) for name in FACTORS)
    assert np.array_equal(one[1], again[1])
    assert not any(np.array_equal(one[0][name], other[0][name], equal_nan=True) for name in FACTORS)
    assert np.array_equal(render(one[0]), render(again[0]))


def test_a_face_does_not_depend_on_how_many_are_drawn() -> None:
    few, many = draw_factors(5, 3), draw_factors(50, 3)
    assert all(np.array_equal(few[0][name], many[0][name][:5], equal_nan=True) for name in FACTORS)
    assert np.array_equal(few[1], many[1][:5])


def test_factors_have_the_documented_form_and_range() -> None:
    factors, labels = draw_factors(2000, 0)
    assert tuple(factors) == FACTORS
    assert (labels.dtype, labels.shape) == (np.int8, (2000, 2))
    for name, (low, high) in RANGES.items():
        assert (factors[name].dtype, factors[name].shape) == (np.float32, (2000,))
        assert np.float32(low) <= np.nanmin(factors[name])
        assert np.nanmax(factors[name]) <= np.float32(high)


@pytest.mark.parametrize("column", [0, 1], ids=ATTRIBUTES)
def test_styles_are_missing_exactly_where_the_label_is_0(column: int) -> None:
    factors, labels = draw_factors(500, 0)
    for name in STYLES[ATTRIBUTES[column]]:
        assert np.array_equal(np.isnan(factors[name]), labels[:, column] == 0)


def test_only_styles_can_be_missing() -> None:
    factors, _ = draw_factors(500, 0)
    assert not any(np.isnan(factors[name]).any() for name in PERSON)


def test_labels_are_fair_and_independent_of_each_other_and_of_the_person() -> None:
    factors, labels = draw_factors(6000, 0)
    assert np.abs(labels.mean(0) - 0.5).max() < 0.03
    table = np.corrcoef(np.stack([*labels.T, *(factors[name] for name in PERSON)]))
    assert np.abs(table[:2] - np.eye(len(table))[:2]).max() < 0.06


def test_facial_hair_is_a_moustache_or_a_beard_and_glasses_come_clear_and_dark() -> None:
    factors, labels = draw_factors(4000, 0)
    moustache, beard = factors["facial-hair_moustache"], factors["facial-hair_beard"]
    present = labels[:, 1] == 1
    assert np.all(np.maximum(moustache, beard)[present] >= 0.15)
    for without_it in (moustache, beard):
        assert 0.1 < np.mean(without_it[present] == 0) < 0.4
    tint = factors["glasses_tint"][labels[:, 0] == 1]
    assert np.mean(tint < 0.1) > 0.2
    assert np.mean(tint > 0.85) > 0.2


# Pictures.


@pytest.mark.parametrize("size", [64, 100])
def test_a_face_is_the_same_alone_and_in_a_batch(size: int) -> None:
    factors, _ = draw_factors(70, 5)
    together = render(factors, size)
    assert together.shape == (70, size, size, 3)
    for row in (0, 1, 31, 63, 64, 69):
        alone = render({name: values[row : row + 1] for name, values in factors.items()}, size)
        assert np.array_equal(alone[0], together[row])


@pytest.mark.parametrize("name", PERSON)
def test_every_factor_of_the_person_can_be_seen(name: str) -> None:
    person = without(without(faces(9, hair_length=0.5, smile=0.5), "glasses"), "facial-hair")
    low, high = RANGES[name]  # not from end to end: the ends of a circle are the same
    one, other = (np.full(9, low + share * (high - low), np.float32) for share in (0, 0.6))
    changed = difference(render(person | {name: one}), render(person | {name: other}))
    assert np.median(changed.max((1, 2))) > 16


@pytest.mark.parametrize(("attribute", "name"), [(a, name) for a in ATTRIBUTES for name in STYLES[a]])
def test_a_style_factor_changes_its_attribute_and_nothing_else(attribute: str, name: str) -> None:
    low, high = (render(upright(12) | {name: np.full(12, end, np.float32)}) for end in RANGES[name])
    changed = difference(low, high)
    assert np.sort(changed.reshape(12, -1), 1)[:, -24:].mean(1).min() > 8  # of the 24 pixels that change most
    assert outside(changed, ROWS[attribute]).max() == 0


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_taking_an_attribute_away_changes_only_its_region(attribute: str) -> None:
    factors = upright(40)
    changed = difference(render(factors), render(without(factors, attribute)))
    assert outside(changed, ROWS[attribute]).max() == 0


@pytest.mark.parametrize(("attribute", "least"), [("glasses", 30), ("facial-hair", 12)])
def test_an_attribute_can_be_seen_in_every_style_on_everyone(attribute: str, least: float) -> None:
    factors, labels = draw_factors(800, 11)
    present = labels[:, ATTRIBUTES.index(attribute)] == 1
    shown = {name: values[present] for name, values in factors.items()}
    changed = difference(render(shown), render(without(shown, attribute)))
    strongest = np.sort(changed.reshape(len(changed), -1), 1)[:, -24:].mean(1)
    assert strongest.min() > least


def test_a_portrait_is_the_same_face_at_any_size() -> None:
    for seed in range(4):
        small, large = (portrait(seed, glasses=True, facial_hair=True, size=size) for size in (64, 256))
        averaged = large.reshape(64, 4, 64, 4, 3).mean((1, 3))
        assert np.abs(small - averaged).mean() < 2


def test_a_portrait_keeps_the_person_when_attributes_are_taken_off() -> None:
    with_all = portrait(2, glasses=True, facial_hair=True)
    shaven = portrait(2, glasses=True, facial_hair=False)
    changed = difference(with_all[None], shaven[None])
    assert changed.max() > 16
    assert outside(changed, slice(28, 64)).max() == 0


# The source.


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    """Enough faces for the work to be divided among processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CSVAE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield ToyFaces(None, count=300, seed=7).read((), silent)


def read(cache: Path, monkeypatch: pytest.MonkeyPatch, count: int, seed: int) -> Dataset:
    monkeypatch.setenv("CSVAE_CACHE", str(cache))
    return ToyFaces(None, count=count, seed=seed).read((), silent)


def test_splits_hold_their_own_pictures_labels_and_names(drawn: Dataset) -> None:
    assert drawn.attributes == ATTRIBUTES
    assert drawn.shape == (64, 64, 3)
    assert {name: len(split) for name, split in drawn.splits.items()} == {
        "train": 240,
        "valid": 30,
        "test": 30,
    }
    for name, split in drawn.splits.items():
        assert (split.x.dtype, split.labels.dtype) == (np.uint8, np.int8)
        assert np.array_equal(split.x, render(dict(split.factors)))
        assert np.array_equal(split.labels[:, 0] == 0, np.isnan(split.factors["glasses_shape"]))
        assert len(split.labels) == len(split.names) == len(split)
        assert split.names[12] == f"toy-{name}-00012"


def test_splits_share_no_face(drawn: Dataset) -> None:
    skins = np.concatenate([split.factors["skin"] for split in drawn.splits.values()])
    assert len(np.unique(skins)) == len(skins)


def test_counts_are_those_of_the_labels(drawn: Dataset) -> None:
    for name, (size, positives) in ToyFaces(None, count=300, seed=7).counts().items():
        assert size == len(drawn.splits[name])
        assert list(positives.values()) == drawn.splits[name].labels.sum(0).tolist()
        assert tuple(positives) == ATTRIBUTES


def test_validation_faces_do_not_depend_on_how_many_are_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = (read(tmp_path, monkeypatch, count, 7).splits["valid"] for count in (20, 60))
    assert np.array_equal(few.x, many.x[: len(few)])
    assert np.array_equal(few.labels, many.labels[: len(few)])


def test_another_seed_or_count_is_another_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, again, seeded, longer = (
        read(tmp_path, monkeypatch, count, seed) for count, seed in ((20, 0), (20, 0), (20, 1), (30, 0))
    )
    assert one.fingerprint == again.fingerprint
    assert len({one.fingerprint, seeded.fingerprint, longer.fingerprint}) == 3
    assert not np.array_equal(one.splits["train"].x, seeded.splits["train"].x)


@pytest.mark.parametrize(("name", "says"), [("beard", "facial-hair"), ("glasses", "anyway")])
def test_attributes_that_are_not_there_to_keep_are_refused(name: str, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        ToyFaces(None).read((name,), silent)
