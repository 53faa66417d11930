"""The data sets of expressions: all forms of their files, labels, splits, learned labels, what is refused."""

import os
import subprocess
import sys
import zipfile
from functools import cache
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from csvae_cli.data.ckplus import CkPlus
from csvae_cli.data.fer2013 import Fer2013
from csvae_cli.data.sources import entry, open_source
from csvae_cli.data.tfd import Tfd
from csvae_cli.errors import RequestError, WorkError

SPLITS = ("train", "valid", "test")
WITH_NEUTRAL = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
WITH_CONTEMPT = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")

# As FER2013's folders and numbers have them, and as csvae says it.
FER_FOLDERS = dict(
    zip(("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"), WITH_NEUTRAL, strict=True)
)
FER_NUMBERS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
FER_USAGES = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}


@pytest.fixture(autouse=True)
def cache_dir(tmp_path, monkeypatch):
    root = tmp_path / "cache"
    monkeypatch.setenv("CSVAE_CACHE", str(root))
    return root


@cache
def grey(value, size=(48, 48)):
    """A PNG of one grey."""
    return encoded(Image.new("L", size, value))


def encoded(image, form="png"):
    buffer = BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def write_folder(root, pictures):
    for name, content in pictures.items():
        write(root / name, content)


def write_zip(path, pictures, top=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/train/angry/._1.png", b"not a picture")
        archive.writestr("readme.txt", b"not a picture either")
        for name, content in pictures.items():
            archive.writestr(f"{top}{name}", content)


def read(source, keep=()):
    return source.read(keep, lambda *_: None)


def refused(source, kind=RequestError):
    """The message with which the data is refused."""
    with pytest.raises(kind) as caught:
        read(source)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def assert_same(found, expected):
    assert found.attributes == expected.attributes
    for split in SPLITS:
        one, other = found.splits[split], expected.splits[split]
        np.testing.assert_array_equal(one.x, other.x)
        np.testing.assert_array_equal(one.labels, other.labels)
        assert (one.names, one.identities) == (other.names, other.identities)


# What every one of them gives.


def fer_pictures(parts=("train", "validation", "test"), each=2):
    """In each part and folder `each` pictures, of grey 1, 2, 3 … in this order."""
    names = [f"{part}/{folder}/{i}.png" for part in parts for folder in FER_FOLDERS for i in range(each)]
    return {name: grey(value) for value, name in enumerate(names, start=1)}


def ck_pictures():
    """40 people with three expressions each, contempt only by 3 of them; of each two frames."""
    folders = ["anger", "disgust", "fear", "happy", "sadness", "surprise"]
    pictures = {}
    for person in range(40):
        shown = [folders[(person + step) % 6] for step in range(3)] + (
            ["contempt"] if person % 13 == 5 else []
        )
        for sequence, folder in enumerate(shown, start=1):
            for frame in (7, 8):
                name = f"{folder}/S{person:03d}_{sequence:03d}_{frame:08d}.png"
                pictures[name] = grey(person * 5 + sequence)
    return pictures


def band(number, generator):
    """A picture, uint8 48×48, with a bright band at the height of the number, none for 0."""
    picture = np.full((48, 48), 60.0)
    if number:
        picture[6 * number - 3 : 6 * number + 3] = 200
    return (picture + generator.normal(0, 12, picture.shape)).clip(0, 255).astype(np.uint8)


# The rows of the made-up TFD.
GIVEN, CLEAR, UNCLEAR = range(126), range(126, 266), range(266, 326)


@cache
def tfd_variables():
    """Of each number 14 labelled pictures with its band and 4 grey; unlabelled, 20 of each band and 60 grey.

    A grey picture had all the labels, so a classifier that learned can be sure of none.
    """
    generator = np.random.default_rng(0)
    numbers = np.arange(1, 8)
    bands = np.concatenate(
        [np.repeat(numbers, 14), np.zeros(28, int), np.repeat(numbers, 20), np.zeros(60, int)]
    )
    labels = np.full((326, 1), -1, np.int16)
    labels[GIVEN, 0] = np.concatenate([np.repeat(numbers, 14), np.repeat(numbers, 4)])
    people = np.arange(326, dtype=np.int16)[:, None] // 4
    people[people % 3 == 0] = -1
    images = np.stack([band(number, generator) for number in bands])
    return {"images": images, "labs_ex": labels, "labs_id": people, "folds": np.ones((326, 5), np.uint8)}


def write_mat(root, **changes):
    """TFD_48x48.mat in root; a variable that is changed to None is left out."""
    variables = tfd_variables() | changes
    root.mkdir(parents=True, exist_ok=True)
    path = root / "TFD_48x48.mat"
    savemat(path, {name: value for name, value in variables.items() if value is not None})
    return path


@pytest.fixture
def data(tmp_path):
    """A directory with all three."""
    root = tmp_path / "data"
    write_zip(root / "fer2013" / "fer2013.zip", fer_pictures())
    write_zip(root / "ckplus" / "CK+48.zip", ck_pictures(), "CK+48/")
    write_mat(root / "tfd")
    return root


def opened(name, root):
    """As from the registry, with a classifier that hardly learns."""
    return Tfd(root, epochs=2) if name == "tfd" else open_source(name, root)


@pytest.mark.parametrize("name", ["fer2013", "ckplus", "tfd"])
def test_what_every_source_gives(data, name, cache_dir):
    source = opened(name, data)
    first = read(source)
    assert type(open_source(name, data)) is type(source)
    assert first.exclusive
    assert first.attributes == entry(name).attributes == (WITH_CONTEMPT if name == "ckplus" else WITH_NEUTRAL)
    assert first.shape == (48, 48, 1)
    assert tuple(first.splits) == SPLITS
    names = [name for part in first.splits.values() for name in part.names]
    assert len(set(names)) == len(names)
    for part in first.splits.values():
        assert (part.x.dtype, part.labels.dtype) == (np.uint8, np.int8)
        assert part.x.shape == (len(part.names), 48, 48, 1)
        assert part.labels.shape == (len(part), 7)
        assert set(np.unique(part.labels)) == {0, 1}
        assert (part.labels.sum(1) == 1).all()
        assert (part.labels.sum(0) > 0).all()
    assert source.counts() == {
        split: (len(part), dict(zip(first.attributes, part.labels.sum(0).tolist(), strict=True)))
        for split, part in first.splits.items()
    }

    # The second time nothing is made: the files of the cache stay, and nobody reports any work.
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in cache_dir.iterdir()}
    calls = []
    again = opened(name, data).read((), lambda *call: calls.append(call))
    assert calls == []
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in cache_dir.iterdir()} == before
    assert again.fingerprint == first.fingerprint
    assert_same(again, first)


@pytest.mark.parametrize("name", ["fer2013", "ckplus", "tfd"])
def test_nothing_can_be_kept(data, name):
    with pytest.raises(RequestError, match="has labels for “anger” anyway"):
        read(opened(name, data), keep=("anger",))
    with pytest.raises(RequestError, match=f"no attribute of {name} “surprize”; did you mean surprise"):
        read(opened(name, data), keep=("surprize",))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fer2013", ("fer2013.zip", "fer2013.csv", "train/", "FER2013")),
        ("ckplus", ("CK+48.zip", "CK+48/", "CK+")),
        ("tfd", ("TFD_48x48.mat",)),
    ],
)
def test_data_that_is_not_there(tmp_path, name, words):
    message = refused(open_source(name, None))
    assert message.startswith(f"{name} needs")
    assert "--data-dir DIR (or CSVAE_DATA)" in message
    nothing = refused(open_source(name, tmp_path))
    assert f"in {tmp_path} (nor in {name}/ there)" in nothing
    for word in words:
        assert word in message
        assert word in nothing
    assert f"no directory {tmp_path / 'nowhere'};" in refused(open_source(name, tmp_path / "nowhere"))
    write(tmp_path / "file", "")
    assert f"no directory {tmp_path / 'file'};" in refused(open_source(name, tmp_path / "file"))


@pytest.mark.parametrize(("name", "file"), [("fer2013", "fer2013.zip"), ("ckplus", "CK+48.zip")])
@pytest.mark.parametrize("content", [b"", b"not a zip", None], ids=["empty", "text", "cut short"])
def test_a_zip_that_is_not_whole(data, name, file, content):
    archive = data / name / file
    write(archive, archive.read_bytes()[:-100] if content is None else content)
    assert f"{archive} is not a whole zip file" in refused(open_source(name, data))


@pytest.mark.parametrize(("name", "file"), [("fer2013", "fer2013.zip"), ("ckplus", "CK+48.zip")])
def test_a_zip_without_pictures(data, name, file):
    write_zip(data / name / file, {})
    message = refused(open_source(name, data))
    assert message.startswith("There are no pictures in ")
    assert str(data / name / file) in message


def test_a_zip_of_something_else_does_not_hide_the_csv_beside_it(tmp_path):
    """As Kaggle's own is called like the zip of pictures."""
    write_csv(tmp_path, csv_lines())
    alone = read(Fer2013(tmp_path))
    write_zip(tmp_path / "fer2013.zip", {})
    assert read(Fer2013(tmp_path)).fingerprint == alone.fingerprint


@pytest.mark.parametrize("name", ["fer2013/fer2013.zip", "ckplus/CK+48.zip", "tfd/TFD_48x48.mat", "fer2013"])
def test_what_may_not_be_read(data, name):
    path = data / name
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        if os.access(path, os.R_OK):
            pytest.skip("this user (root?) may read everything")
        message = refused(open_source(name.partition("/")[0], data))
        assert f"{path} cannot be read (Permission denied)" in message
    finally:
        path.chmod(mode)


@pytest.mark.parametrize("name", ["fer2013", "ckplus"])
def test_counting_takes_no_heavy_imports(data, name):
    code = (
        "import sys; from pathlib import Path; from csvae_cli.data.sources import open_source\n"
        "source = open_source(sys.argv[1], Path(sys.argv[2])); source.locate(); source.counts()\n"
        "assert not {'numpy', 'PIL', 'torch'} & set(sys.modules), sorted(sys.modules)"
    )
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", code, name, str(data)], check=True, cwd=root)


# FER2013: zip and folders.


@pytest.mark.parametrize("inside", ["", "fer2013"])
@pytest.mark.parametrize("form", ["folder", "zip", "zip with a folder around"])
def test_fer2013_in_every_layout(tmp_path, inside, form):
    pictures = fer_pictures()
    root = tmp_path / "data" / inside
    if form == "folder":
        write_folder(root, pictures)
    else:
        write_zip(root / "fer2013.zip", pictures, "" if form == "zip" else "images/images/")
    splits = read(Fer2013(tmp_path / "data")).splits
    for start, split, part in ((1, "train", "train"), (15, "valid", "validation"), (29, "test", "test")):
        assert splits[split].x[:, 0, 0, 0].tolist() == list(range(start, start + 14))
        assert splits[split].x.min((1, 2, 3)).tolist() == splits[split].x.max((1, 2, 3)).tolist()
        assert splits[split].names == tuple(f"{part}/{name}/{i}.png" for name in FER_FOLDERS for i in (0, 1))
        assert splits[split].labels.argmax(1).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
        assert splits[split].identities == ()


def test_other_spellings_of_folders_and_suffixes(tmp_path):
    pictures = {name.replace("sad/", "Sadness/"): content for name, content in fer_pictures().items()}
    pictures |= {"train/Sadness/2.jpeg": encoded(Image.new("L", (48, 48), 100), "jpeg")}
    write_folder(tmp_path, pictures)
    train = read(Fer2013(tmp_path)).splits["train"]
    place = train.names.index("train/Sadness/2.jpeg")
    assert train.labels[place].tolist() == [0, 0, 0, 0, 0, 1, 0]
    assert np.abs(train.x[place].astype(int) - 100).max() <= 1


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_without_a_validation_folder_a_tenth_of_each_expression_validates(tmp_path, form):
    each = {"train": 20, "test": 3}
    pictures = {
        f"{part}/{folder}/{i}.png": grey(i)
        for part, n in each.items()
        for folder in FER_FOLDERS
        for i in range(n)
    }
    pictures |= {f"train/happy/{i}.png": grey(i) for i in range(20, 47)}
    write = {"folder": write_folder, "zip": lambda root, all_: write_zip(root / "fer2013.zip", all_)}[form]
    write(tmp_path / "all", pictures)
    source = Fer2013(tmp_path / "all")
    counts = source.counts()
    assert counts["valid"] == (2 * 6 + 5, dict.fromkeys(WITH_NEUTRAL, 2) | {"happiness": 5})
    assert counts["train"] == (18 * 6 + 42, dict.fromkeys(WITH_NEUTRAL, 18) | {"happiness": 42})
    assert counts["test"] == (21, dict.fromkeys(WITH_NEUTRAL, 3))
    splits = read(source).splits
    drawn = set(splits["valid"].names)
    assert {*splits["train"].names, *drawn} == {name for name in pictures if name.startswith("train/")}
    assert drawn != {name for name in pictures if name.endswith(("/0.png", "/1.png"))}

    # It depends on the names of this expression only.
    write(
        tmp_path / "fewer",
        {name: content for name, content in pictures.items() if "train/happy/2" not in name},
    )
    fewer = set(read(Fer2013(tmp_path / "fewer")).splits["valid"].names)
    assert {name for name in fewer if "happy" not in name} == {name for name in drawn if "happy" not in name}


def test_the_folders_are_preferred_and_a_foreign_train_folder_does_not_hide_fer2013(tmp_path):
    write_zip(tmp_path / "fer2013" / "fer2013.zip", fer_pictures())
    write(tmp_path / "train" / "cats" / "1.png", grey(1))
    assert Fer2013(tmp_path).counts()["train"][0] == 14
    write_folder(tmp_path / "fer2013", fer_pictures(each=3))
    assert Fer2013(tmp_path).counts()["train"][0] == 21


def test_colour_becomes_grey_and_other_sizes_48(tmp_path):
    pictures = fer_pictures()
    pictures["train/angry/0.png"] = encoded(Image.new("RGB", (48, 48), (255, 0, 0)))
    pictures["train/angry/1.png"] = encoded(Image.new("RGBA", (100, 90), (30, 30, 30, 255)))
    half = Image.new("L", (96, 96))
    half.paste(200, (0, 0, 96, 48))
    pictures["train/disgust/0.png"] = encoded(half)
    write_folder(tmp_path, pictures)
    x = read(Fer2013(tmp_path)).splits["train"].x
    assert np.unique(x[0]).tolist() == [76]  # 0.299 of 255
    assert np.unique(x[1]).tolist() == [30]
    assert (x[2, :22] == 200).all()
    assert (x[2, 26:] == 0).all()


def test_a_damaged_picture_is_named_and_nothing_is_left(tmp_path, cache_dir):
    write_folder(tmp_path / "data", fer_pictures() | {"test/sad/1.png": grey(3)[:-30]})
    assert "test/sad/1.png in " in refused(Fer2013(tmp_path / "data"), WorkError)
    assert list(cache_dir.iterdir()) == []


def test_an_unknown_expression(tmp_path):
    write_folder(tmp_path, fer_pictures() | {"test/contempt/1.png": grey(3)})
    message = refused(Fer2013(tmp_path))
    assert f"{tmp_path} has pictures in test/contempt/, which is none of the expressions anger, " in message


@pytest.mark.parametrize(
    ("without", "what"),
    [
        ("test/sad/", "the test split has no pictures of sadness,"),
        ("test/", "the test split has no pictures at all"),
        ("validation/happy/", "the valid split has no pictures of happiness,"),
    ],
)
def test_a_split_without_an_expression(tmp_path, without, what):
    pictures = {name: content for name, content in fer_pictures().items() if not name.startswith(without)}
    write_zip(tmp_path / "fer2013.zip", pictures)
    message = refused(Fer2013(tmp_path))
    assert message.startswith(f"Of {tmp_path / 'fer2013.zip'} {what}")


def test_the_fingerprint_changes_with_pictures_labels_and_splits(tmp_path, cache_dir):
    pictures = fer_pictures()
    write_zip(tmp_path / "fer2013.zip", pictures)
    prints = {read(Fer2013(tmp_path)).fingerprint}
    for change in (
        {"train/sad/0.png": grey(250)},
        {"train/sad/5.png": grey(1)},
    ):
        write_zip(tmp_path / "fer2013.zip", pictures | change)
        prints.add(read(Fer2013(tmp_path)).fingerprint)
    moved = dict(pictures)
    moved["train/sad/9.png"] = moved.pop("train/happy/0.png")
    write_zip(tmp_path / "fer2013.zip", moved)
    prints.add(read(Fer2013(tmp_path)).fingerprint)
    assert len(prints) == len(list(cache_dir.iterdir())) == 4

    write_folder(tmp_path / "fer2013", pictures)
    first = read(Fer2013(tmp_path)).fingerprint
    os.utime(tmp_path / "fer2013" / "train" / "sad" / "0.png", (1, 1))
    assert read(Fer2013(tmp_path)).fingerprint != first


# FER2013: Kaggle's CSV.


def csv_lines(each=2):
    """Picture n (from 1) is n everywhere, but 255 in its first and 0 in its last pixel."""
    lines = ["emotion,pixels,Usage"]
    for usage in FER_USAGES.values():
        for emotion in range(7):
            for _ in range(each):
                pixels = " ".join(["255", *[str(len(lines) % 256)] * 2302, "0"])
                lines.append(f"{emotion},{pixels},{usage}")
    return lines


def write_csv(root, lines, end="\n"):
    write(root / "fer2013.csv", end.join([*lines, ""]))
    return root / "fer2013.csv"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("inside", ["", "fer2013"])
def test_the_csv(tmp_path, inside, end):
    write_csv(tmp_path / inside, csv_lines(), end)
    splits = read(Fer2013(tmp_path)).splits
    for start, split, part in ((1, "train", "train"), (15, "valid", "validation"), (29, "test", "test")):
        found = splits[split]
        # By name, so by expression: neutral is the last number, but not the last name.
        expected = [start + 2 * FER_NUMBERS.index(name) + i for name in FER_FOLDERS for i in (0, 1)]
        assert found.x[:, 5, 5, 0].tolist() == expected
        assert found.labels.argmax(1).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
        assert set(found.x[:, 0, 0, 0]) == {255}
        assert set(found.x[:, 47, 47, 0]) == {0}
        assert found.names[0] == f"{part}/anger/line-{start + 1:05d}"
        assert found.names[-1] == f"{part}/surprise/line-{start + 12:05d}"


def test_pixels_are_in_rows(tmp_path):
    lines = csv_lines()
    lines[1] = f"0,{' '.join(str(i % 251) for i in range(2304))},Training"
    write_csv(tmp_path, lines)
    x = read(Fer2013(tmp_path)).splits["train"].x[0, :, :, 0]
    assert (x[0, 1], x[0, 47], x[1, 0], x[47, 47]) == (1, 47, 48, 2303 % 251)


def test_columns_are_found_by_name_and_may_be_quoted(tmp_path):
    write_csv(tmp_path / "one", csv_lines())
    turned = [
        ",".join((f' "{a}"', f'"{c}"', f'"{b}"')) for a, b, c in (line.split(",") for line in csv_lines())
    ]
    write_csv(tmp_path / "other", turned)
    assert_same(read(Fer2013(tmp_path / "other")), read(Fer2013(tmp_path / "one")))


@pytest.mark.parametrize(
    ("number", "old", "new", "message"),
    [
        (1, "Usage", "Use", "line 1: there is no column usage"),
        (1, "emotion", "1", "line 1: there is no column emotion"),
        (7, "2,", "7,", "line 7: the emotion “7” is not a number from 0 to 6"),
        (7, "2,", "fear,", "line 7: the emotion “fear” is not a number from 0 to 6"),
        (7, "2,", "-1,", "line 7: the emotion “-1” is not a number from 0 to 6"),
        (7, "Training", "Validation", "line 7: the usage “Validation” is none of Training, PublicTest"),
        (7, " 0,", ",", "line 7: 2,303 pixels instead of 2,304"),
        (7, " 0,", " 0 0,", "line 7: 2,305 pixels instead of 2,304"),
        (7, ",Training", "", "line 7: 2 values for 3 columns"),
        (7, ",Training", ",Training,", "line 7: 4 values for 3 columns"),
    ],
)
def test_a_csv_that_is_not_kaggles(tmp_path, number, old, new, message):
    lines = csv_lines()
    assert old in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new, 1)
    path = write_csv(tmp_path, lines)
    assert refused(Fer2013(tmp_path)).startswith(f"{path}, {message}")


@pytest.mark.parametrize("pixel", ["256", "-1", "x", "1.5"])
def test_a_pixel_that_is_none(tmp_path, pixel, cache_dir):
    lines = csv_lines()
    lines[6] = lines[6].replace("255", pixel, 1)
    path = write_csv(tmp_path / "data", lines)
    message = refused(Fer2013(tmp_path / "data"), WorkError)
    assert message.startswith(f"{path}, line 7: a pixel is not a number from 0 to 255")
    assert list(cache_dir.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\0\1" * 50], ids=["empty", "blank", "binary"])
def test_a_csv_of_nothing(tmp_path, content):
    write(tmp_path / "fer2013.csv", content)
    assert "fer2013.csv, line 1: there is no column emotion" in refused(Fer2013(tmp_path))


def test_a_csv_without_rows(tmp_path):
    write_csv(tmp_path, csv_lines()[:1])
    assert "the train split has no pictures at all" in refused(Fer2013(tmp_path))


def test_many_lines_are_read_by_workers(tmp_path):
    """And what a worker finds wrong arrives as it is."""
    lines = csv_lines(each=13)
    write_csv(tmp_path, lines)
    calls = []
    train = Fer2013(tmp_path).read((), lambda *call: calls.append(call)).splits["train"]
    assert calls[-1] == ("Preparing fer2013-48", 273, 273)
    for name, x in zip(train.names, train.x, strict=True):
        assert x[5, 5, 0] == int(name[-5:]) - 1
    lines[200] = lines[200].replace("255", "256", 1)
    write_csv(tmp_path, lines)
    assert "line 201: a pixel" in refused(Fer2013(tmp_path), WorkError)


# CK+.


@pytest.mark.parametrize("inside", ["", "ckplus"])
@pytest.mark.parametrize("form", ["zip", "zip without the folder", "folder", "folder in folder"])
def test_ckplus_in_every_layout(data, tmp_path, inside, form):
    root = tmp_path / "elsewhere" / inside
    if form.startswith("zip"):
        write_zip(root / "CK+48.zip", ck_pictures(), "CK+48/" if form == "zip" else "")
    else:
        write_folder(root / "CK+48" / ("CK+48" if "in" in form else ""), ck_pictures())
    assert_same(read(CkPlus(tmp_path / "elsewhere")), read(CkPlus(data)))


def test_ckplus_is_split_by_person(data):
    splits = read(CkPlus(data)).splits
    people = {split: set(part.identities) for split, part in splits.items()}
    assert {split: len(members) for split, members in people.items()} == {"train": 32, "valid": 4, "test": 4}
    assert set.union(*people.values()) == {f"S{person:03d}" for person in range(40)}
    shown = dict(zip(("happy", *WITH_CONTEMPT), (4, *range(7)), strict=True))
    for part in splits.values():
        for name, person, x, labels in zip(part.names, part.identities, part.x, part.labels, strict=True):
            folder, _, file = name.partition("/")
            assert file.startswith(f"{person}_")
            assert labels.argmax() == shown[folder]
            assert set(x.ravel()) == {int(person[1:]) * 5 + int(file[5:8])}
        assert (part.labels.sum(0) > 0).all()  # only three show contempt: one went to each split


def test_an_expression_that_too_few_people_show(tmp_path):
    pictures = {name: x for name, x in ck_pictures().items() if "contempt/S005" not in name}
    write_zip(tmp_path / "CK+48.zip", pictures)
    assert "split has no pictures of contempt, so" in refused(CkPlus(tmp_path))


def test_a_picture_that_names_no_person(tmp_path):
    write_zip(tmp_path / "CK+48.zip", ck_pictures() | {"fear/1.png": grey(1)})
    message = refused(CkPlus(tmp_path))
    assert message.startswith(f"fear/1.png in {tmp_path / 'CK+48.zip'} is not named SUBJECT_SEQUENCE_FRAME")


def test_ckplus_knows_no_neutral(tmp_path):
    write_folder(tmp_path / "CK+48", ck_pictures() | {"neutral/S001_001_00000001.png": grey(1)})
    assert "has pictures in neutral/, which is none of the expressions anger, contempt," in refused(
        CkPlus(tmp_path)
    )


# TFD.


def rows(part):
    """The rows of the file, from 0."""
    return [int(name.removeprefix("row-")) - 1 for name in part.names]


def test_tfd_labels_what_it_is_sure_of(data):
    splits = read(Tfd(data, epochs=40)).splits
    variables = tfd_variables()
    numbered = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    numbers = variables["labs_ex"][:, 0].copy()
    numbers[CLEAR] = np.repeat(np.arange(1, 8), 20)
    found = {}
    for split, part in splits.items():
        for row, x, labels, person in zip(rows(part), part.x, part.labels, part.identities, strict=True):
            found[row] = split
            np.testing.assert_array_equal(x[..., 0], variables["images"][row])
            who = variables["labs_id"][row, 0]
            assert person == ("" if who == -1 else str(who))
            if row not in UNCLEAR:
                assert WITH_NEUTRAL[labels.argmax()] == numbered[numbers[row] - 1]
    assert found.keys() >= set(GIVEN)
    assert len(found.keys() & set(CLEAR)) >= 126  # of 140
    assert len(found.keys() & set(UNCLEAR)) <= 6  # of 60

    # Given labels are shared out as the learned ones are.
    for chosen in (found.keys() & set(GIVEN), found.keys() - set(GIVEN)):
        members = [found[row] for row in chosen]
        for split, share in zip(SPLITS, (0.8, 0.1, 0.1), strict=True):
            assert members.count(split) == pytest.approx(share * len(members), abs=1)


@pytest.fixture
def bright_is_sure(monkeypatch):
    """A judge that sees happiness in every picture, and is as sure as it is bright, in percent."""

    def fit(rows, y, shape, **settings):
        assert shape == (1, 48, 48)
        assert settings["exclusive"]
        x = rows(torch.arange(len(y)))
        assert (x.shape, x.dtype, y.shape) == ((126, 1, 48, 48), torch.float32, (126, 7))
        assert 0 <= x.min() < x.max() <= 1
        assert (y.sum(1) == 1).all()

        def probabilities(x):
            sure = (255 * x[:, 0, 0, 0]).round() / 100
            return torch.where(torch.arange(7) == 3, sure[:, None], (1 - sure[:, None]) / 6)

        return SimpleNamespace(probabilities=probabilities)

    monkeypatch.setattr("models.judge.fit_judge", fit)


def by_brightness(root):
    """The 200 pictures without a label are 80, 81 … 99, 80 … everywhere: half of them 90 or more."""
    images = tfd_variables()["images"].copy()
    images[126:] = (80 + np.arange(200) % 20)[:, None, None]
    write_mat(root, images=images)
    return images


@pytest.mark.usefixtures("bright_is_sure")
def test_the_threshold(tmp_path):
    images = by_brightness(tmp_path)
    parts = read(Tfd(tmp_path)).splits.values()
    learned = {
        row: labels.argmax()
        for part in parts
        for row, labels in zip(rows(part), part.labels, strict=True)
        if row not in GIVEN
    }
    assert set(learned.values()) == {3}
    assert set(learned) == {row for row in range(126, 326) if images[row, 0, 0] >= 90}


@pytest.mark.usefixtures("bright_is_sure")
def test_counts_before_and_after_the_labelling(tmp_path):
    by_brightness(tmp_path)
    before = Tfd(tmp_path).counts()
    assert {split: size for split, (size, _) in before.items()} == {"train": 101, "valid": 13, "test": 12}
    for name in WITH_NEUTRAL:
        assert sum(found[name] for _, found in before.values()) == 18
        assert before["valid"][1][name] in (1, 2)
    read(Tfd(tmp_path))
    after = Tfd(tmp_path).counts()
    for split, learned in zip(SPLITS, (80, 10, 10), strict=True):
        size, found = before[split]
        assert after[split] == (size + learned, found | {"happiness": found["happiness"] + learned})
    assert Tfd(tmp_path, epochs=19).counts() == before


def labels_file(cache_dir):
    (path,) = cache_dir.glob("tfd-labels-*.npy")
    return path


@pytest.mark.parametrize("damage", [b"", b"text", None, "other"], ids=["empty", "text", "cut", "foreign"])
def test_damaged_labels_are_learned_again(data, cache_dir, damage):
    first = read(Tfd(data, epochs=2))
    path = labels_file(cache_dir)
    whole = path.read_bytes()
    if damage == "other":
        np.save(path, np.zeros(326, np.int8))
    else:
        path.write_bytes(whole[:-5] if damage is None else damage)
    again = read(Tfd(data, epochs=2))
    assert path.read_bytes() == whole
    assert again.fingerprint == first.fingerprint


def test_what_the_labels_are_found_by(data, cache_dir):
    read(Tfd(data, epochs=1))
    read(Tfd(data, epochs=1, seed=1))
    assert len(list(cache_dir.glob("tfd-labels-*.npy"))) == 2
    assert len(list(cache_dir.glob("tfd-48-*.npy"))) == 1
    labels = tfd_variables()["labs_ex"].copy()
    labels[0] = 7
    write_mat(data / "tfd", labs_ex=labels)
    read(Tfd(data, epochs=1))
    assert len(list(cache_dir.glob("tfd-labels-*.npy"))) == 3


def test_the_callers_random_state_is_left(data):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    read(Tfd(data, epochs=1))
    assert torch.rand(1) == expected


def changed(name, row, value, dtype=np.float64):
    variable = tfd_variables()[name].astype(dtype)
    variable[row] = value
    return {name: variable}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": None}, "there is no variable images"),
        ({"labs_ex": None}, "there is no variable labs_ex"),
        ({"labs_id": None}, "there is no variable labs_id"),
        ({"images": np.zeros((326, 96, 96), np.uint8)}, "images is 326×96×96 uint8 instead of N×48×48 uint8"),
        ({"images": np.zeros((326, 48, 48))}, "images is 326×48×48 double instead of N×48×48 uint8"),
        ({"images": np.zeros((326, 2304), np.uint8)}, "images is 326×2304 uint8 instead of N×48×48 uint8"),
        ({"labs_ex": np.ones((325, 1))}, "labs_ex is 325×1 double instead of 326×1 numbers"),
        ({"labs_ex": np.ones((326, 2))}, "labs_ex is 326×2 double instead of 326×1 numbers"),
        ({"labs_id": np.full((326, 1), "a", object)}, "labs_id is 326×1 cell instead of 326×1 numbers"),
        (changed("labs_ex", 0, 8), "labs_ex has the value 8, which is neither −1 nor a number from 1 to 7"),
        (changed("labs_ex", 0, 0), "labs_ex has the value 0"),
        (changed("labs_ex", 0, 1.5), "labs_ex holds something else than whole numbers"),
        (changed("labs_id", 0, np.nan), "labs_id holds something else than whole numbers"),
        (changed("labs_ex", slice(None), -1), "0 of the pictures have a label in labs_ex"),
        (changed("labs_ex", slice(1, None), -1), "1 of the pictures have a label in labs_ex"),
        (
            changed("labs_ex", [*range(84, 98), *range(122, 126)], -1),
            "no picture is labelled neutral (7 in labs_ex)",
        ),
        (
            changed("labs_ex", [*range(14), *range(98, 102)], -1),
            "no picture is labelled anger (1 in labs_ex)",
        ),
    ],
)
def test_a_mat_that_is_not_tfds(tmp_path, changes, message):
    path = write_mat(tmp_path, **changes)
    assert refused(Tfd(tmp_path)).startswith(f"{path}: {message}")


def test_folds_are_not_needed(tmp_path):
    write_mat(tmp_path, folds=None)
    Tfd(tmp_path).locate()


def test_too_few_labels_for_every_split(tmp_path):
    """One labelled picture of each expression, and a judge of one step that is sure of nothing."""
    labels = np.full((326, 1), -1)
    labels[0:98:14, 0] = range(1, 8)
    path = write_mat(tmp_path, labs_ex=labels)
    message = refused(Tfd(tmp_path, epochs=1))
    assert message.startswith(f"Of {path} the train split has no pictures of ")


def test_mats_that_cannot_be_read(tmp_path):
    path = tmp_path / "TFD_48x48.mat"
    variables = tfd_variables()
    savemat(path, {name: variables[name] for name in reversed(variables)})  # pictures last
    whole = path.read_bytes()
    for content in (b"", b"not a mat" * 50, whole[: len(whole) // 2]):
        path.write_bytes(content)
        assert f"{path} is not a whole .mat file" in refused(Tfd(tmp_path))
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    path.write_bytes(header + bytes(400))
    assert f"{path} is in the format of MATLAB 7.3" in refused(Tfd(tmp_path))
    path.unlink()
    path.mkdir()
    assert f"{path} cannot be read (Is a directory)" in refused(Tfd(tmp_path))


# The real thing.

REAL = Path(__file__).parents[2] / "shared" / "data"


@pytest.mark.skipif(not (REAL / "ckplus").exists(), reason=f"there is no CK+ in {REAL}")
def test_the_real_ckplus():
    splits = read(CkPlus(REAL)).splits
    assert sum(map(len, splits.values())) == 981
    people = {split: set(part.identities) for split, part in splits.items()}
    assert sum(map(len, people.values())) == len(set.union(*people.values())) == 118
    assert (len(people["valid"]), len(people["test"])) == (12, 12)
    for part in splits.values():
        assert (part.labels.sum(0) > 0).all()
        assert 60 < part.x.mean() < 200
    totals = sum(part.labels.sum(0) for part in splits.values())
    assert totals.tolist() == [135, 54, 177, 75, 207, 84, 249]


@pytest.mark.skipif(not (REAL / "fer2013").exists(), reason=f"there is no FER2013 in {REAL}")
def test_the_real_fer2013():
    source = Fer2013(REAL)
    source.locate()
    counts = source.counts()
    assert {split: size for split, (size, _) in counts.items()} == {
        "train": 10_000,
        "valid": 1_200,
        "test": 1_200,
    }
    assert counts["test"][1]["disgust"] == 12
    assert counts["train"][1]["happiness"] == 2_516
