"""Small real things that several tests use: a CelebA of drawn faces, and a model trained on it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# One thread each: the models here are tiny, and many threads on busy cores wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings
from PIL import Image

from csvae_cli.app import main
from csvae_cli.data.toy_faces import portrait

settings.register_profile("csvae", deadline=None)  # nothing is timed
settings.load_profile("csvae")

_OF_THE_USER = ("CSVAE_RUNS", "CSVAE_DATA", "CSVAE_DEBUG", "FORCE_COLOR", "RANK", "WORLD_SIZE", "LOCAL_RANK")
for name in _OF_THE_USER[3:]:  # before fixtures of sessions and modules, too
    os.environ.pop(name, None)

_COLUMNS = ("Eyeglasses", "Goatee", "Male", "Mustache", "No_Beard", "Wearing_Hat")


def write_celeba(root: Path, count: int = 72) -> Path:
    """A folder in CelebA's form: drawn faces, a third with glasses, a third with a beard."""
    pictures = root / "img_align_celeba"
    pictures.mkdir(parents=True)
    rows, partition = [], []
    for number in range(1, count + 1):
        name = f"{number:06d}.jpg"
        glasses, beard = number % 3 == 0, number % 3 == 1
        face = Image.fromarray(portrait(number, glasses=glasses, facial_hair=beard, size=148))
        page = Image.new("RGB", (178, 218), (90, 110, 130))
        page.paste(face, (15, 40))
        page.save(pictures / name, quality=95)
        present = (glasses, beard, number % 8 < 4, beard, not beard, number % 2 == 0)
        rows.append(f"{name} " + " ".join("1" if value else "-1" for value in present))
        partition.append(f"{name} {0 if number % 4 < 2 else number % 4 - 1}")
    header = f"{count}\n{' '.join(_COLUMNS)}\n"
    (root / "list_attr_celeba.txt").write_text(header + "\n".join(rows) + "\n")
    (root / "list_eval_partition.txt").write_text("\n".join(partition) + "\n")
    return root


@pytest.fixture(scope="session")
def celeba(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_celeba(tmp_path_factory.mktemp("celeba"))


@pytest.fixture(autouse=True)
def _away_from_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache, runs or data."""
    monkeypatch.setenv("CSVAE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    for name in _OF_THE_USER:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture(scope="session")
def trained(celeba: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a csvae of two attributes, trained for two epochs."""
    out = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CSVAE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        code = main(
            [
                *("train", "--dataset", "celeba-glasses-facial-hair", "--data-dir", str(celeba)),
                *("--kind", "csvae", "--epochs", "2", "--batch-size", "8", "--out", str(out)),
            ]
        )
    assert code == 0
    return out


@contextmanager
def ended(process: "subprocess.Popen[str]") -> Iterator[None]:
    """Whatever happens inside, the process is killed (SIGKILL) after it, if it is still there."""
    try:
        yield
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def face(tmp_path: Path) -> Path:
    path = tmp_path / "face.jpg"
    Image.fromarray(portrait(1, glasses=False, facial_hair=False, size=200)).save(path, quality=95)
    return path
