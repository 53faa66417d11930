"""CelebA: its files found and checked, its subsets and labels, its crops."""

import os
import struct
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from csvae_cli.data.celeba import CelebA
from csvae_cli.data.celeba_frame import crop_box
from csvae_cli.data.dataset import with_labels
from csvae_cli.errors import RequestError, WorkError

COLUMNS = ("5_o_Clock_Shadow", "Eyeglasses", "Goatee", "Male", "Mustache", "No_Beard", "Wearing_Hat")
SPLITS = ("train", "valid", "test")
FULL, HALF = (178, 218), (89, 109)


@dataclass(frozen=True)
class Person:
    split: str
    attributes: frozenset = frozenset({"No_Beard"})
    """As CelebA marks them with 1."""


def people():
    """In train 4 of 24 have glasses, in the others 2 of 12; facial hair in its three forms, alike often."""
    everyone = {}
    for split, count, glasses in zip(SPLITS, (24, 12, 12), (4, 2, 2), strict=True):
        for i in range(count):
            has = {"No_Beard"}
            if i < glasses:
                has |= {"Eyeglasses"}
            if i % 6 == 1:
                has ^= {"No_Beard", "Male"}
            if i % 6 == 2:
                has |= {"Mustache", "Male"}
            if i % 12 == 3:
                has |= {"Goatee", "Wearing_Hat"}
            if i % 2:
                has |= {"5_o_Clock_Shadow"}
            everyone[f"{len(everyone) + 1:06d}.jpg"] = Person(split, frozenset(has))
    return everyone


@cache
def picture(number, size=FULL):
    """A JPEG of some smooth picture, another for each number."""
    small = np.random.default_rng(number).integers(0, 256, (6, 5, 3), np.uint8)
    image = Image.fromarray(small).resize(FULL, Image.Resampling.BICUBIC)
    return jpeg(image if size == FULL else image.resize(size, Image.Resampling.BOX))


def jpeg(image):
    buffer = BytesIO()
    image.save(buffer, "jpeg", quality=95)
    return buffer.getvalue()


def drawn(everyone, size=FULL):
    return {name: picture(int(name[:6]), size) for name in everyone}


def attribute_list(everyone, columns=COLUMNS):
    rows = [
        f"{name} {' '.join('1' if column in person.attributes else '-1' for column in columns)}"
        for name, person in everyone.items()
    ]
    return "\n".join([str(len(rows)), " ".join(columns) + " ", *rows, ""])


def partition(everyone):
    return "".join(f"{name} {SPLITS.index(person.split)}\n" for name, person in everyone.items())


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def write_lists(root, everyone, anno="", evaluation=""):
    write(root / anno / "list_attr_celeba.txt", attribute_list(everyone))
    write(root / evaluation / "list_eval_partition.txt", partition(everyone))


def write_folder(folder, pictures):
    for name, content in pictures.items():
        write(folder / name, content)


def write_zip(path, pictures):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("img_align_celeba/", b"")
        archive.writestr("__MACOSX/img_align_celeba/._000001.jpg", b"not a picture")
        for name, content in pictures.items():
            archive.writestr(f"img_align_celeba/{name}", content)


@pytest.fixture(autouse=True)
def cache_dir(tmp_path, monkeypatch):
    root = tmp_path / "cache"
    monkeypatch.setenv("CSVAE_CACHE", str(root))
    return root


@pytest.fixture
def data(tmp_path):
    """A whole small CelebA, its pictures in a zip."""
    root = tmp_path / "data"
    write_lists(root, people())
    write_zip(root / "img_align_celeba.zip", drawn(people()))
    return root


def source(root, *attributes, size=64):
    return CelebA(root, attributes=attributes or ("glasses",), size=size)


def read(root, *attributes, keep=(), size=64):
    return source(root, *attributes, size=size).read(keep, lambda *_: None)


def chosen(dataset):
    return {split: part.names for split, part in dataset.splits.items()}


def refused(root, *attributes):
    """The message with which the data is refused."""
    with pytest.raises(RequestError) as caught:
        source(root, *attributes).locate()
    assert type(caught.value) is RequestError
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


# Subsets and labels.


def test_the_subset_of_an_attribute(data):
    assert source(data, "glasses").counts() == {
        "train": (12, {"glasses": 4}),
        "valid": (6, {"glasses": 2}),
        "test": (6, {"glasses": 2}),
    }
    # Facial hair: in each twelve, two without No_Beard, two with a moustache, one with a goatee.
    assert source(data, "facial-hair").counts() == {
        "train": (20, {"facial-hair": 10}),
        "valid": (10, {"facial-hair": 5}),
        "test": (10, {"facial-hair": 5}),
    }


def test_the_subset_of_both_is_the_union(data):
    both = chosen(read(data, "glasses", "facial-hair"))
    one, other = chosen(read(data, "glasses")), chosen(read(data, "facial-hair"))
    assert both == {split: tuple(sorted({*one[split], *other[split]})) for split in SPLITS}


def test_all_without_where_there_are_too_few(tmp_path):
    everyone = {
        f"{i:06d}.jpg": Person(split, frozenset({"Eyeglasses"} if i % 3 else ()))
        for i, split in enumerate(SPLITS * 9)
        if i % 9 < 6
    }
    everyone |= {f"{i:06d}.jpg": Person(split) for i, split in enumerate(SPLITS, start=100)}
    write_lists(tmp_path, everyone)
    write_zip(tmp_path / "img_align_celeba.zip", drawn(everyone))
    for split, (size, positives) in source(tmp_path).counts().items():
        having = [p for p in everyone.values() if p.split == split and "Eyeglasses" in p.attributes]
        total = sum(person.split == split for person in everyone.values())
        assert positives == {"glasses": len(having)}
        assert size == min(3 * len(having), total)


def test_labels_are_those_of_the_list(data):
    dataset = read(data, "glasses", "facial-hair", keep=("male", "wearing-hat", "5-o-clock-shadow"))
    assert dataset.attributes == ("glasses", "facial-hair", "male", "wearing-hat", "5-o-clock-shadow")
    everyone = people()
    for split, part in dataset.splits.items():
        assert part.labels.dtype == np.int8
        assert len(part.x) == len(part.labels) == len(part.names)
        for name, labels in zip(part.names, part.labels, strict=True):
            assert everyone[name].split == split
            has = everyone[name].attributes
            assert labels.tolist() == [
                "Eyeglasses" in has,
                "No_Beard" not in has or "Mustache" in has or "Goatee" in has,
                "Male" in has,
                "Wearing_Hat" in has,
                "5_o_Clock_Shadow" in has,
            ]


def test_labels_by_hand(data):
    train = read(data, "facial-hair", keep=("glasses",)).splits["train"]
    labels = dict(zip(train.names, train.labels.tolist(), strict=True))
    assert labels["000002.jpg"] == [1, 1]  # a beard and glasses
    assert labels["000003.jpg"] == [1, 1]  # a moustache
    assert labels["000004.jpg"] == [1, 1]  # a goatee
    assert labels["000008.jpg"] == [1, 0]
    assert sum(hair for hair, _ in labels.values()) == 10


def test_everyone_of_a_further_attribute(data):
    hats = CelebA(data, attributes=("wearing-hat",), everyone=True)
    assert hats.counts()["train"] == (24, {"wearing-hat": 2})
    train = hats.read(("glasses",), lambda *_: None).splits["train"]
    worn = [name for name, row in zip(train.names, train.labels, strict=True) if row[0]]
    assert worn == ["000004.jpg", "000016.jpg"]
    assert train.labels[:4, 1].all()


def test_a_further_attribute_with_as_many_without(data):
    assert source(data, "wearing-hat").counts()["train"] == (4, {"wearing-hat": 2})


def test_an_attribute_that_the_list_does_not_have(data):
    assert "line 2: there is no attribute bangs" in refused(data, "bangs")


def test_everyone_is_prepared_once_whatever_is_asked(data, monkeypatch, tmp_path):
    monkeypatch.setenv("CSVAE_CACHE", str(tmp_path))
    for attributes in (("glasses", "facial-hair"), ("wearing-hat",)):
        CelebA(data, attributes=attributes, everyone=True).read((), lambda *_: None)
    assert len(list(tmp_path.glob("**/*.npy"))) == 1


@pytest.mark.parametrize("count", [24, 23, 16])
def test_few_labels_leave_the_others_unknown(data, count):
    whole = read(data, "facial-hair", "glasses", keep=("male",))
    few = with_labels(whole, count, 2)
    before, after = whole.splits["train"].labels, few.splits["train"].labels
    known = (after[:, :2] >= 0).all(1)
    assert known.sum() == min(count, len(before))
    assert (after[known] == before[known]).all()
    assert (after[~known, :2] == -1).all()
    assert (after[:, 2] == before[:, 2]).all()  # kept labels stay
    assert few.splits["valid"] is whole.splits["valid"]
    assert few.fingerprint != whole.fingerprint


def test_more_labels_hold_the_fewer(data):
    whole = read(data, "facial-hair")
    known = [with_labels(whole, count, 1).splits["train"].labels[:, 0] >= 0 for count in (8, 12)]
    assert (known[0] <= known[1]).all()


def test_labels_too_few_to_learn_from_are_refused(data):
    with pytest.raises(RequestError, match="Among 2 labels none or all are wearing-hat"):
        with_labels(read(data, "glasses", "wearing-hat"), 2, 2)


def test_the_choice_is_always_the_same_and_depends_on_nothing_else(data, tmp_path):
    first = chosen(read(data))
    assert chosen(read(data)) == first
    assert chosen(read(data, size=32, keep=("male",))) == first
    assert all(list(names) == sorted(names) for names in first.values())

    shuffled = tmp_path / "shuffled"
    everyone = people()
    write_lists(shuffled, dict(reversed(everyone.items())))
    write_folder(shuffled / "img_align_celeba", drawn(everyone))
    assert chosen(read(shuffled)) == first


def test_those_without_are_not_simply_the_first(data):
    absent = [name for name in chosen(read(data))["train"] if name > "000004.jpg"]
    assert absent != [f"{i:06d}.jpg" for i in range(5, 13)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Wearing_Hat", "did you mean wearing-hat"),
        ("eyeglasses", "did you mean glasses"),
        ("qqq", "there are: glasses, facial-hair, 5-o-clock-shadow, goatee"),
        ("glasses", "has a subspace already"),
    ],
)
def test_what_cannot_be_kept(data, name, message):
    with pytest.raises(RequestError, match=message):
        read(data, keep=(name,))
    with pytest.raises(RequestError, match="once only"):
        read(data, keep=("male", "male"))


# Where the files are.

ALL_IN_ONE = ("", "", "img_align_celeba.zip")
LAYOUTS = {
    "folder": ("", "", "img_align_celeba"),
    "folder in folder": ("", "", "img_align_celeba/img_align_celeba"),
    "zip": ALL_IN_ONE,
    "as published": ("Anno", "Eval", "Img/img_align_celeba.zip"),
    "as published, unpacked": ("Anno", "Eval", "Img/img_align_celeba/img_align_celeba"),
}


@pytest.mark.parametrize("inside", ["", "celeba", "CelebA"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same(data, tmp_path, inside, layout):
    anno, evaluation, pictures = LAYOUTS[layout]
    root = tmp_path / "elsewhere" / inside
    write_lists(root, people(), anno, evaluation)
    writer = write_zip if pictures.endswith(".zip") else write_folder
    writer(root / pictures, drawn(people()))

    found, expected = read(tmp_path / "elsewhere"), read(data)
    assert chosen(found) == chosen(expected)
    for split in SPLITS:
        np.testing.assert_array_equal(found.splits[split].x, expected.splits[split].x)
        np.testing.assert_array_equal(found.splits[split].labels, expected.splits[split].labels)


def test_a_zip_serves_beside_a_folder_that_is_still_empty(data):
    (data / "img_align_celeba").mkdir()
    source(data).locate()


def test_stray_files_do_not_hide_celeba_below(data, tmp_path):
    data.rename(tmp_path / "celeba")
    (tmp_path / "list_eval_partition.txt").write_text("")
    source(tmp_path).locate()


def test_counting_takes_no_heavy_imports(data):
    code = (
        "import sys; from pathlib import Path; from csvae_cli.data.sources import open_source\n"
        "source = open_source('celeba-glasses', Path(sys.argv[1])); source.locate(); source.counts()\n"
        "assert not {'numpy', 'PIL', 'torch'} & set(sys.modules), sorted(sys.modules)"
    )
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", code, str(data)], check=True, cwd=root)


# The crop.


@pytest.mark.parametrize("form", ["zip", "folder"])
def test_the_crop_is_the_central_square_of_the_paper(tmp_path, form):
    """Red around the square, green in it, a blue block in its corner at the left and top."""
    pixels = np.zeros((218, 178, 3), np.uint8)
    pixels[:] = (255, 0, 0)
    pixels[40:188, 15:163] = (0, 255, 0)
    pixels[40:77, 15:89] = (0, 0, 255)
    everyone = people()
    pictures = dict.fromkeys(everyone, jpeg(Image.fromarray(pixels)))
    write_lists(tmp_path, everyone)
    if form == "zip":
        write_zip(tmp_path / "img_align_celeba.zip", pictures)
    else:
        write_folder(tmp_path / "img_align_celeba", pictures)

    whole = read(tmp_path, size=148).splits["train"].x[0]
    decoded = np.asarray(Image.open(BytesIO(pictures["000001.jpg"])))
    np.testing.assert_array_equal(whole, decoded[40:188, 15:163])

    small = read(tmp_path, size=64).splits["train"].x[0].astype(int)
    assert small.shape == (64, 64, 3)
    blue, green = small[:15, :31], np.concatenate([small[17:].reshape(-1, 3), small[:, 33:].reshape(-1, 3)])
    inner = small[1:-1, 1:-1, 0]  # the outermost pixels mix in a little of what is around
    assert inner.max() < 60
    assert (blue[1:, 1:, 2] > 200).all()
    assert np.median(green[:, 1]) > 240


def test_half_size_agrees_with_full_size(data, tmp_path):
    everyone = people()
    half = tmp_path / "half"
    write_lists(half, everyone)
    write_zip(half / "img_align_celeba.zip", drawn(everyone, HALF))
    full, small = read(data), read(half)
    assert chosen(full) == chosen(small)
    difference = full.splits["train"].x.astype(float) - small.splits["train"].x
    assert np.abs(difference).mean() < 2
    assert np.abs(difference).max() < 40


def test_grey_pictures_become_colour(tmp_path):
    everyone = people()
    pictures = {
        name: jpeg(Image.open(BytesIO(content)).convert("L")) for name, content in drawn(everyone).items()
    }
    write_lists(tmp_path, everyone)
    write_folder(tmp_path / "img_align_celeba", pictures)
    x = read(tmp_path).splits["train"].x
    assert x.shape[1:] == (64, 64, 3)
    np.testing.assert_array_equal(x[..., 0], x[..., 2])


def test_the_box_of_the_published_size():
    assert crop_box(178, 218) == (15, 40, 163, 188)
    assert crop_box(89, 109) == (7.5, 20, 81.5, 94)


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(1, 20))
def test_the_box_scales_with_the_picture_and_lies_in_it(width, height, factor):
    left, top, right, bottom = crop_box(width, height)
    assert 0 < left < right < width
    assert 0 < top < bottom < height
    larger = crop_box(width * factor, height * factor)
    assert larger == pytest.approx([factor * edge for edge in (left, top, right, bottom)])


# What is refused.


def test_without_a_directory():
    message = refused(None)
    for part in (
        "celeba-glasses",
        "--data-dir DIR",
        "CSVAE_DATA",
        "list_attr_celeba.txt",
        "img_align_celeba.zip",
    ):
        assert part in message


def test_a_directory_that_is_not_there(tmp_path):
    assert f"no directory {tmp_path / 'nowhere'};" in refused(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    assert f"no directory {tmp_path / 'file'};" in refused(tmp_path / "file")
    assert f"no CelebA in {tmp_path} " in refused(tmp_path)


@pytest.mark.parametrize(
    "name", [".", "list_attr_celeba.txt", "list_eval_partition.txt", "img_align_celeba.zip"]
)
def test_what_may_not_be_read(data, name):
    mode = (data / name).stat().st_mode
    (data / name).chmod(0)
    try:
        if os.access(data / name, os.R_OK):
            pytest.skip("this user (root?) may read everything")
        assert f"{data / name} cannot be read (Permission denied)" in refused(data)
    finally:
        (data / name).chmod(mode)


@pytest.mark.parametrize("name", ["list_attr_celeba.txt", "list_eval_partition.txt", "img_align_celeba.zip"])
def test_a_file_that_is_missing(data, name):
    (data / name).unlink()
    message = refused(data)
    assert name in message
    assert f"in {data}" in message


def test_a_directory_in_the_place_of_a_file(data):
    (data / "list_attr_celeba.txt").unlink()
    (data / "list_attr_celeba.txt").mkdir()
    assert "list_attr_celeba.txt cannot be read (Is a directory)" in refused(data)


@pytest.mark.parametrize("content", [b"", b"not a zip", None], ids=["empty", "text", "cut short"])
def test_a_zip_that_is_not_whole(data, content):
    archive = data / "img_align_celeba.zip"
    write(archive, archive.read_bytes()[:-100] if content is None else content)
    assert f"{archive} is not a whole zip file" in refused(data)


def test_no_pictures(data):
    write_zip(data / "img_align_celeba.zip", {})
    assert f"no pictures (.jpg) in {data / 'img_align_celeba.zip'}" in refused(data)
    (data / "img_align_celeba.zip").unlink()
    write(data / "img_align_celeba" / "readme.txt", "unpack here")
    assert f"no pictures (.jpg) in {data / 'img_align_celeba'};" in refused(data)


@pytest.mark.parametrize("form", ["zip", "folder"])
def test_pictures_that_are_listed_but_not_there(tmp_path, form):
    everyone = people()
    pictures = drawn(everyone)
    del pictures["000007.jpg"], pictures["000030.jpg"]
    write_lists(tmp_path, everyone)
    if form == "zip":
        write_zip(tmp_path / "img_align_celeba.zip", pictures)
    else:
        write_folder(tmp_path / "img_align_celeba", pictures)
    message = refused(tmp_path)
    assert message.startswith("2 of the 48 pictures (for example 000007.jpg) of")
    assert str(tmp_path / "list_attr_celeba.txt") in message


def edited(text, number, old, new):
    """The text with a change in one line, counted from 1."""
    lines = text.split("\n")
    assert old in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new, 1)
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("number", "old", "new", "message"),
    [
        (1, "48", "many", "line 1: “many” is not the number of pictures"),
        (1, "48", "", "line 1: “” is not the number of pictures"),
        (1, "48", "49", "line 1: 49 pictures are announced, but 48 are listed"),
        (2, "Eyeglasses", "Spectacles", "line 2: there is no attribute Eyeglasses"),
        (2, "No_Beard", "Beard", "line 2: there is no attribute No_Beard"),
        (9, " -1", "", "line 9: 6 values for 7 attributes"),
        (9, " -1", " -1 1", "line 9: 8 values for 7 attributes"),
        (9, "-1", "0", "line 9: “0” is neither 1 nor -1"),
        (9, "-1", "yes", "line 9: “yes” is neither 1 nor -1"),
        (9, "000007.jpg", "000001.jpg", "line 9: 000001.jpg is there a second time"),
        (9, attribute_list(people()).split("\n")[8], "", "line 9: 0 values for 7 attributes"),
    ],
)
def test_an_attribute_list_that_is_not_celebas(data, number, old, new, message):
    path = data / "list_attr_celeba.txt"
    path.write_text(edited(path.read_text(), number, old, new))
    assert refused(data).startswith(f"{path}, {message}")


@pytest.mark.parametrize("content", ["", "\n\n", b"\xff\xfe\0\1" * 50], ids=["empty", "blank", "binary"])
def test_an_attribute_list_of_nothing(data, content):
    write(data / "list_attr_celeba.txt", content)
    assert "list_attr_celeba.txt, line 1: " in refused(data)


@pytest.mark.parametrize(
    ("old", "new"),
    [("000007.jpg 0", "000007.jpg 3"), ("000007.jpg 0", "000007.jpg"), ("000007.jpg 0", "000007.jpg 0 0")],
)
def test_a_partition_that_is_not_celebas(data, old, new):
    path = data / "list_eval_partition.txt"
    path.write_text(edited(path.read_text(), 7, old, new))
    assert refused(data).startswith(f"{path}, line 7: “{new}” is not")


def test_a_partition_that_lacks_pictures(data):
    everyone = people()
    del everyone["000007.jpg"]
    write(data / "list_eval_partition.txt", partition(everyone))
    assert (
        f"{data / 'list_eval_partition.txt'} lacks 1 of the 48 pictures (for example 000007.jpg)"
        in refused(data)
    )


def test_lines_may_end_as_on_windows(data):
    for name in ("list_attr_celeba.txt", "list_eval_partition.txt"):
        write(data / name, (data / name).read_text().replace("\n", "\r\n"))
    source(data).locate()


@pytest.mark.parametrize(
    ("split", "change", "attribute", "message"),
    [
        ("test", lambda has: has - {"Eyeglasses"}, "glasses", "the test split has no pictures with glasses"),
        (
            "valid",
            lambda has: has | {"Goatee"},
            "facial-hair",
            "the valid split has no pictures without facial-hair",
        ),
    ],
)
def test_a_split_with_one_class_only(data, split, change, attribute, message):
    everyone = {
        name: replace(person, attributes=change(person.attributes)) if person.split == split else person
        for name, person in people().items()
    }
    write_lists(data, everyone)
    assert message in refused(data, attribute)


def test_a_split_that_is_empty(data):
    write_lists(data, {name: replace(person, split="train") for name, person in people().items()})
    assert "the valid split has no pictures with glasses" in refused(data)


def test_a_kept_attribute_with_one_class_only(data):
    everyone = {name: replace(p, attributes=p.attributes - {"Wearing_Hat"}) for name, p in people().items()}
    write_lists(data, everyone)
    found = read(data, keep=("wearing-hat",))  # to be encoded: nothing has to be learnt from it
    assert found.attributes[-1] == "wearing-hat"
    assert (found.splits["train"].labels[:, -1] == 0).all()


# Pictures that cannot be decoded, and the cache.


@pytest.mark.parametrize("form", ["zip", "folder"])
@pytest.mark.parametrize(
    "damaged",
    [b"not a picture", b"", picture(2)[:-800], picture(2)[:100]],
    ids=["text", "empty", "cut", "header"],
)
def test_a_damaged_picture_is_named_and_nothing_is_left(tmp_path, cache_dir, form, damaged):
    everyone = people()
    pictures = drawn(everyone) | {"000002.jpg": damaged}
    write_lists(tmp_path, everyone)
    if form == "zip":
        write_zip(tmp_path / "img_align_celeba.zip", pictures)
    else:
        write_folder(tmp_path / "img_align_celeba", pictures)
    with pytest.raises(WorkError, match=r"^000002\.jpg in .*img_align_celeba.* is damaged") as caught:
        read(tmp_path)
    assert type(caught.value) is WorkError
    assert list(cache_dir.iterdir()) == []


def test_a_picture_that_breaks_while_it_is_decoded_is_named(tmp_path):
    """Of which a decoder gives nothing and keeps no note: looked at again, it would be black."""
    everyone = people()

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 178, 218, 8, 2, 0, 0, 0))
    broken = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"\x78\x9c" + b"\xff" * 400) + chunk(b"IEND", b"")
    write_lists(tmp_path, everyone)
    write_folder(tmp_path / "img_align_celeba", drawn(everyone) | {"000002.jpg": broken})
    with pytest.raises(WorkError, match=r"^000002\.jpg in .*img_align_celeba.* is damaged"):
        read(tmp_path)


def test_a_damaged_member_of_the_zip(data, cache_dir):
    archive = data / "img_align_celeba.zip"
    content = archive.read_bytes()
    place = content.index(picture(2)) + 1000
    write(archive, content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(WorkError, match=r"000002\.jpg in"):
        read(data)
    assert list(cache_dir.iterdir()) == []


@pytest.mark.parametrize("form", ["zip", "folder"])
def test_many_pictures_are_prepared_by_workers(tmp_path, cache_dir, form):
    """And what a worker finds wrong arrives as it is."""
    everyone = {f"{i:06d}.jpg": person for i, person in enumerate(list(people().values()) * 12, start=1)}
    pictures = {name: picture(int(name[:6]) % 48, HALF) for name in everyone}
    write_lists(tmp_path, everyone)
    writer, where = {
        "zip": (write_zip, tmp_path / "img_align_celeba.zip"),
        "folder": (write_folder, tmp_path / "img_align_celeba"),
    }[form]
    writer(where, pictures)
    calls = []
    dataset = source(tmp_path).read((), lambda *call: calls.append(call))
    assert calls[-1] == ("Preparing celeba-glasses-64", 288, 288)
    for part in dataset.splits.values():
        assert not part.x.flags.writeable
        for name, x in zip(part.names, part.x, strict=True):
            whole = Image.open(BytesIO(pictures[name]))
            np.testing.assert_array_equal(x, whole.resize((64, 64), box=crop_box(*whole.size)))

    writer(where, pictures | {"000001.jpg": b"not a picture"})
    before = set(cache_dir.iterdir())
    with pytest.raises(WorkError, match=r"^000001\.jpg in .* is damaged"):
        read(tmp_path)
    assert set(cache_dir.iterdir()) == before


def test_the_second_time_nothing_is_decoded(data, cache_dir):
    first = read(data)
    (file,) = cache_dir.iterdir()
    assert file.name.startswith("celeba-glasses-64-")
    before = file.stat()
    calls = []
    again = source(data).read((), lambda *call: calls.append(call))
    after = file.stat()

    assert calls == []
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert again.fingerprint == first.fingerprint
    np.testing.assert_array_equal(again.splits["test"].x, first.splits["test"].x)


def test_other_labels_need_no_other_pictures(data, cache_dir):
    first, kept = read(data), read(data, keep=("male",))
    assert len(list(cache_dir.iterdir())) == 1
    assert kept.fingerprint != first.fingerprint


def test_what_goes_into_the_key(data, cache_dir):
    prints = {read(data).fingerprint, read(data, size=32).fingerprint, read(data, "facial-hair").fingerprint}
    write_zip(data / "img_align_celeba.zip", drawn(people()) | {"000001.jpg": picture(99)})
    changed = read(data)
    prints.add(changed.fingerprint)
    assert len(prints) == len(list(cache_dir.iterdir())) == 4
    whole = Image.open(BytesIO(picture(99)))
    crop = np.asarray(whole.resize((64, 64), box=crop_box(*whole.size)))
    np.testing.assert_array_equal(changed.splits["train"].x[0], crop)


def test_where_the_splits_end_is_part_of_what_the_data_is(data):
    """What was learnt from some people must not be taken for what is judged on them now."""
    names, prints = list(people()), set()
    for held in (4, 8):
        ends = [*["train"] * (len(names) - 2 * held), *["valid"] * held, *["test"] * held]
        half = (frozenset(["Eyeglasses"]), frozenset())
        shared = {
            name: Person(end, half[i % 2]) for i, (name, end) in enumerate(zip(names, ends, strict=True))
        }
        write_lists(data, shared)
        prints.add(CelebA(data, attributes=("glasses",), everyone=True).read((), lambda *_: None).fingerprint)
    assert len(prints) == 2


def test_a_changed_folder_is_noticed(tmp_path, cache_dir):
    write_lists(tmp_path, people())
    folder = tmp_path / "img_align_celeba"
    write_folder(folder, drawn(people()))
    first = read(tmp_path)
    os.utime(folder / "000001.jpg", (1, 1))
    assert read(tmp_path).fingerprint != first.fingerprint
    assert len(list(cache_dir.iterdir())) == 2


def test_a_damaged_cache_is_made_again(data, cache_dir):
    expected = np.array(read(data).splits["train"].x)
    (file,) = cache_dir.iterdir()
    whole = file.read_bytes()
    file.unlink()
    file.write_bytes(whole[:1000])
    np.testing.assert_array_equal(read(data).splits["train"].x, expected)
    assert file.read_bytes() == whole


# The real thing.

REAL = Path(__file__).parents[2] / "shared" / "data"


@pytest.mark.skipif(not (REAL / "celeba").exists(), reason=f"there is no CelebA in {REAL}")
def test_the_real_data():
    counts = {}
    for attributes in (("glasses",), ("facial-hair",), ("glasses", "facial-hair")):
        real = source(REAL, *attributes)
        real.locate()
        counts[attributes] = real.counts()
    for split, glasses, hair in zip(SPLITS, (2740, 350, 165), (6400, 835, 365), strict=True):
        size, positives = counts["glasses",][split]
        assert positives["glasses"] == pytest.approx(glasses, rel=0.05)
        assert size == 3 * positives["glasses"]
        size, positives = counts["facial-hair",][split]
        assert positives["facial-hair"] == pytest.approx(hair, rel=0.05)
        assert size == 2 * positives["facial-hair"]
        size, positives = counts["glasses", "facial-hair"][split]
        assert positives["glasses"] == counts["glasses",][split][1]["glasses"]
        assert size < counts["glasses",][split][0] + counts["facial-hair",][split][0]
