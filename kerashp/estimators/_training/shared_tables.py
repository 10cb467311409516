"""Training rows of a data frame that all candidates of a search share, so that they are encoded once."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class SharedTables:
    """The training rows of splits, and what is made of them once.

    They hold what the rows were taken from: an id would otherwise be given to another object.
    """

    def __init__(self) -> None:
        self._rows: dict[Hashable, tuple[Any, Any]] = {}
        self._made: dict[Hashable, Any] = {}
        self._shared: set[int] = set()  # the ids of rows

    def rows(self, sources: tuple[Any, ...], take: Callable[[], tuple[Any, Any]]) -> tuple[Any, Any]:
        """X and y of a split, which `take` takes from these objects."""
        key = tuple(map(id, sources))
        if key not in self._rows:
            rows = take()
            self._rows[key] = sources, rows
            self._shared.add(id(rows[0]))
        return self._rows[key][1]

    def made(self, X: Any, key: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` makes of X, only once if X is a split's: other tables would fill the memory."""
        if id(X) not in self._shared:
            return make()
        if (id(X), key) not in self._made:
            self._made[id(X), key] = make()
        return self._made[id(X), key]


_TABLES: ContextVar[SharedTables | None] = ContextVar("tables", default=None)


@contextmanager
def sharing_tables(tables: SharedTables) -> Iterator[None]:
    """Inside, the fits of a search share the rows in `tables`."""
    token = _TABLES.set(tables)
    try:
        yield
    finally:
        _TABLES.reset(token)


def shared_rows(sources: tuple[Any, ...], take: Callable[[], tuple[Any, Any]]) -> tuple[Any, Any]:
    """`SharedTables.rows` inside `sharing_tables`, otherwise what `take` takes."""
    tables = _TABLES.get()
    return take() if tables is None else tables.rows(sources, take)


def made_once(X: Any, key: Hashable, make: Callable[[], Any]) -> Any:
    """`SharedTables.made` inside `sharing_tables`, otherwise what `make` makes."""
    tables = _TABLES.get()
    return make() if tables is None else tables.made(X, key, make)
