"""Items made ahead of time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from kerashp.training._runtime.devices import pinned_device, placement

_Item = TypeVar("_Item")


def prefetched(items: Iterator[_Item]) -> Iterator[_Item]:
    """The items, each made in another thread while the one before it is in use.

    >>> list(prefetched(iter("abc")))
    ['a', 'b', 'c']
    """
    device = pinned_device()

    def next_item() -> _Item | None:
        with placement(device):
            return next(items, None)

    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(next_item)
        while (item := future.result()) is not None:
            future = thread.submit(next_item)
            yield item
