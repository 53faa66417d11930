"""What every entry of the registry gives; those of expressions are in test_expressions."""

from pathlib import Path

import numpy as np
import pytest
from conftest import write_celeba
from sklearn.datasets import make_swiss_roll

from csvae_cli.data.dataset import SPLITS
from csvae_cli.data.sources import SOURCES, entry, open_source, place, read

EXPRESSIONS = {"fer2013", "ckplus", "tfd"}
POINTS = {"swiss-roll": 3, "swiss-roll-across": 3}


@pytest.fixture(scope="module")
def celeba_with_more(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With hats in all splits, and bangs and smiles in the list, which other tests do without."""
    root = write_celeba(tmp_path_factory.mktemp("more"))
    path = root / "list_attr_celeba.txt"
    count, header, *rows = path.read_text().splitlines()
    for number, row in enumerate(rows):
        hat, bangs, smile = (1 if number // step % 2 else -1 for step in (4, 8, 16))
        rows[number] = f"{row.rpartition(' ')[0]} {hat} {bangs} {smile}"
    path.write_text("\n".join([count, f"{header} Bangs Smiling", *rows]) + "\n")
    return root


def test_where_data_is(celeba_with_more: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user says now goes first, then where a run had its data from, then the environment."""
    here, gone, named = str(celeba_with_more), str(tmp_path / "gone"), tmp_path / "named"
    assert place("celeba-glasses", None, None) is None
    assert place("celeba-glasses", None, gone) == Path(gone)
    monkeypatch.setenv("CSVAE_DATA", str(named))
    assert place("celeba-glasses", tmp_path, here) == tmp_path
    assert place("celeba-glasses", None, here) == celeba_with_more
    assert place("celeba-glasses", None, gone) == named
    assert place("fer2013", None, here) == named  # of another data set than the run's


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in EXPRESSIONS])
def test_what_every_source_gives(name: str, celeba_with_more: Path) -> None:
    place = celeba_with_more if entry(name).needs else None
    open_source(name, place).locate()
    data = read(name, place, ())
    assert data.attributes == entry(name).attributes
    assert not data.exclusive
    assert data.shape == ((POINTS[name],) if name in POINTS else (64, 64, 3))
    assert tuple(data.splits) == SPLITS
    names = [one for part in data.splits.values() for one in part.names]
    assert len(set(names)) == len(names)
    for part in data.splits.values():
        assert part.x.shape == (len(part.names), *data.shape)
        assert (part.x.dtype, part.labels.dtype) == (np.float32 if name in POINTS else np.uint8, np.int8)
        assert part.labels.shape == (len(part), len(data.attributes))
        for label in part.labels.T:
            assert set(np.unique(label)) == {0, 1}
    assert open_source(name, place).counts() == {
        split: (len(part), dict(zip(data.attributes, part.labels.sum(0).tolist(), strict=True)))
        for split, part in data.splits.items()
    }
    assert read(name, place, ()).fingerprint == data.fingerprint


def test_the_roll_is_scikit_learns() -> None:
    data = read("swiss-roll", None, ())
    points, spiral = make_swiss_roll(10_000, noise=0.0, random_state=0)
    held = data.splits["test"]
    standard = (points - points[:8000].mean(0)) / points[:8000].std(0)
    assert np.allclose(held.x, standard[9000:], atol=1e-6)
    assert held.labels[:, 0].tolist() == (spiral > np.median(spiral))[9000:].tolist()


def test_every_data_set_stands_in_one_of_the_two_files() -> None:
    assert set(SOURCES) >= EXPRESSIONS
    assert {name for name, one in SOURCES.items() if not one.needs} == {"toy-faces", *POINTS}
