"""Work in groups: none larger than there is room for, nothing lost, nothing out of order."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from csvae_cli.editing.groups import of_size


@given(sizes=st.lists(st.integers(0, 30)), most=st.integers(0, 40))
def test_groups_have_room_for_all_that_is_in_them(sizes, most):
    items = list(enumerate(sizes))
    groups = list(of_size(items, lambda item: item[1], most))
    assert [item for group in groups for item in group] == items
    for group in groups:
        assert len(group) == 1 or sum(size for _, size in group) <= most
    for group, after in pairwise(groups):  # none that would have had room for the next
        assert sum(size for _, size in (*group, after[0])) > most


def test_what_is_larger_than_there_is_room_for_is_alone():
    assert list(of_size([3, 9, 2, 2, 1, 7], int, 5)) == [[3], [9], [2, 2, 1], [7]]
