"""Which rows are in which batch, and the batches themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerashp.training._backend import backend


@dataclass(frozen=True)
class Order:
    """The rows of each batch."""

    rows: np.ndarray  # (n_steps, n_members, batch_size), int32
    n_rows: np.ndarray  # (n_steps, n_members), how many of them are real

    def part(self, first: int, last: int) -> "Order":
        return Order(self.rows[first:last], self.n_rows[first:last])

    def parts(self, n_steps: int) -> list["Order"]:
        """The order in parts of at most `n_steps` steps."""
        return [self.part(first, first + n_steps) for first in range(0, len(self.rows), max(1, n_steps))]

    @classmethod
    def joined(cls, orders: Sequence["Order"]) -> "Order":
        return cls(np.concatenate([o.rows for o in orders]), np.concatenate([o.n_rows for o in orders]))


@dataclass
class Feed:
    """Batches of arrays on the device.

    Parameters
    ----------
    arrays : list of arrays on the device, of shape (n_rows, ...)
        Shared by all members.
    members : list of int32 arrays
        Which rows each member has.
    batch_size : int
    masked : bool
        Whether a short last batch is filled up, or left to be trained by itself.
    generators : list of objects with a `permutation`, as numpy.random's, or None
        One a member, to shuffle by; None: rows come as they are.
    """

    arrays: list[Any]
    members: Sequence[np.ndarray]
    batch_size: int
    masked: bool
    generators: Sequence[Any] | None = None

    @property
    def n_steps(self) -> int:
        """Steps an epoch, without a last batch that is left by itself."""
        longest = max(map(len, self.members))
        return -(-longest // self.batch_size) if self.masked else longest // self.batch_size

    @property
    def n_left(self) -> int:
        """Rows of the last batch that is left by itself."""
        return 0 if self.masked else len(self.members[0]) % self.batch_size

    def no_order(self) -> Order:
        """No batches at all."""
        n_members = len(self.members)
        return Order(np.zeros((0, n_members, self.batch_size), np.int32), np.zeros((0, n_members), np.int32))

    def order(self) -> tuple[Order, np.ndarray]:
        """An epoch's batches, and the rows left by themselves."""
        rows = self.members
        if self.generators is not None:
            rows = [generator.permutation(own) for generator, own in zip(self.generators, rows, strict=True)]
        size = self.n_steps * self.batch_size
        filled = np.zeros((len(rows), size), np.int32)
        for member, own in enumerate(rows):
            filled[member, : len(own)] = own[:size]
        shape = (len(rows), self.n_steps, self.batch_size)
        begun = np.arange(self.n_steps) * self.batch_size
        lengths = np.array([[len(own)] for own in rows])
        n_rows = np.clip(lengths - begun, 0, self.batch_size).astype(np.int32)
        return Order(filled.reshape(shape).swapaxes(0, 1), n_rows.T), rows[0][size:]

    def gathered(self, order: Order, steps: int) -> tuple[list[Any], list[Any]]:
        """The arrays' rows by an order, filled up to so many steps, and the numbers of real rows."""
        rows = backend().put(_filled(order.rows, steps))
        leaves = [backend().gather(array, rows) for array in self.arrays]
        return leaves, [backend().put(_filled(order.n_rows, steps))] if self.masked else []

    def gathered_rows(self, rows: np.ndarray) -> list[Any]:
        """These rows of the arrays as one batch, of shape `(1, n_rows, ...)`."""
        return [backend().gather(array, backend().put(rows[None])) for array in self.arrays]


def _filled(array: np.ndarray, steps: int) -> np.ndarray:
    filled = np.zeros((steps, *array.shape[1:]), array.dtype)
    filled[: len(array)] = array
    return filled
