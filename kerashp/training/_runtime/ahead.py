"""Work done ahead of time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from kerashp.training._runtime.devices import on, pinned

_Item = TypeVar("_Item")


def one_ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """The items, each made in another thread while the one before it is in use.

    >>> list(one_ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    device = pinned()

    def following() -> _Item | None:
        with on(device):
            return next(items, None)

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(following)
        while (item := coming.result()) is not None:
            coming = thread.submit(following)
            yield item
