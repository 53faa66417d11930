"""Work in groups: none larger than there is room for, nothing lost, nothing out of order."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from csvae_cli.editing.groups import of_size
from csvae_cli.editing.pictures import pixels_of


@given(sizes=st.lists(st.integers(0, 30)), most=st.integers(0, 40))
def test_groups_have_room_for_all_that_is_in_them(sizes, most):
    items = list(enumerate(sizes))
    groups = list(of_size(items, lambda item: item[1], most))
    assert [item for group in groups for item in group] == items
    for group in groups:
        assert len(group) == 1 or sum(size for _, size in group) <= most
    for group, after in pairwise(groups):  # none that would have had room for the next
        assert sum(size for _, size in (*group, after[0])) > most


def test_pixels_are_counted_before_a_picture_is_read(tmp_path):
    for suffix in ("jpg", "png", "heic"):  # HEIC's reader, too, when nothing else was read before
        Image.new("RGB", (64, 32)).save(tmp_path / "one.png")
        path = tmp_path / f"one.{suffix}"
        if suffix == "heic":
            heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
            heif.from_pillow(Image.new("RGB", (64, 32))).save(path)
        else:
            Image.new("RGB", (64, 32)).save(path)
        assert pixels_of(path) == 64 * 32, suffix
    (tmp_path / "odd.jpg").write_text("no picture")
    assert pixels_of(tmp_path / "odd.jpg") == pixels_of(tmp_path / "none.jpg") == 0


def test_what_is_larger_than_there_is_room_for_is_alone():
    assert list(of_size([3, 9, 2, 2, 1, 7], int, 5)) == [[3], [9], [2, 2, 1], [7]]
