"""Many pictures through a model: in groups, every core at one of its own."""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch

_MOST = 8
"""Cores that are used at most: each holds a group of photos, which may be large."""

_T = TypeVar("_T")
_R = TypeVar("_R")


def of_size(items: Sequence[_T], size: Callable[[_T], int], most: int) -> Iterator[list[_T]]:
    """The items in their order, as many together as have that size in all; one that is larger, alone."""
    group: list[_T] = []
    room = most
    for item in items:
        taken = size(item)
        if group and taken > room:
            yield group
            group, room = [], most
        group.append(item)
        room -= taken
    if group:
        yield group


def in_groups(work: Callable[[Sequence[_T]], _R], items: Sequence[_T], most: int) -> Iterator[_R]:
    """What `work` makes of groups of the items, in their order; it runs in threads.

    Groups side by side, each on one core, get more out of the cores than one whose operations are divided
    among them, and reading and writing come in between. They are as large as each other and have `most` items
    at most, so that few items keep all cores busy, too. One group more than there are cores is under way
    while results are waited for, so that a core need not wait for the disk, and memory does not grow with
    the number of items. A single group runs no differently: what comes out is the same, bit for bit.
    """
    threads = torch.get_num_threads()
    cores = min(threads, _MOST)
    rounds = math.ceil(len(items) / (cores * most))
    size = math.ceil(len(items) / (cores * rounds)) if items else 1
    groups = (items[start : start + size] for start in range(0, len(items), size))
    pool = ThreadPoolExecutor(cores + 1, initializer=torch.set_num_threads, initargs=(1,))
    try:
        under_way: deque[Future[_R]] = deque(pool.submit(work, group) for group in islice(groups, cores + 1))
        while under_way:
            result = under_way.popleft().result()
            under_way.extend(pool.submit(work, group) for group in islice(groups, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
