"""Work in groups: none larger than there is room for, nothing lost, nothing out of order."""

import time
from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from csvae_cli.editing.groups import in_groups, of_size
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


def test_groups_on_several_cores_come_in_their_order() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        found = list(in_groups(_slow_at_first, range(101), 8))
        assert [item for group in found for item in group] == list(range(101))
        assert max(map(len, found)) <= 8
        with pytest.raises(ZeroDivisionError):
            list(in_groups(lambda group: 1 / (group[0] - 50), range(50, 101), 8))
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(threads)


def _slow_at_first(group: Sequence[int]) -> Sequence[int]:
    """So that later groups are done before earlier ones."""
    time.sleep(0.05 if group[0] < 20 else 0)
    return group


def test_what_is_larger_than_there_is_room_for_is_alone():
    assert list(of_size([3, 9, 2, 2, 1, 7], int, 5)) == [[3], [9], [2, 2, 1], [7]]
