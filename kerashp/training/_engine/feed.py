"""Which rows are in which batch, and the batches themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerashp.training._runtime.backend import backend


@dataclass(frozen=True)
class Order:
    """The rows of each batch."""

    rows: np.ndarray  # (n_steps, n_members, batch_size), int32
    n_rows: np.ndarray  # (n_steps, n_members), how many of them are real

    def parts(self, n_steps: int) -> list["Order"]:
        """The order in parts of at most `n_steps` steps."""
        return [
            Order(self.rows[first : first + n_steps], self.n_rows[first : first + n_steps])
            for first in range(0, len(self.rows), max(1, n_steps))
        ]

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
        Whether a short last batch is filled up, or left to be trained by itself; then all members have as
        many rows.
    generators : list of objects with a `permutation`, as numpy.random's, or None
        One a member, to shuffle by; None: rows come as they are.
    starts : dict from int to int32 array of shape (n_members,)
        By index of an array, that has rows of each member's own: where these start.
    """

    arrays: list[Any]
    members: Sequence[np.ndarray]
    batch_size: int
    masked: bool
    generators: Sequence[Any] | None
    starts: dict[int, np.ndarray]

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

    def order(self, active: np.ndarray) -> tuple[Order, np.ndarray]:
        """An epoch's batches of the members that are active, and everyone's rows left by themselves."""
        n_members, size = len(self.members), self.n_steps * self.batch_size
        filled = np.zeros((n_members, size + self.n_left), np.int32)
        lengths = np.zeros((n_members, 1), np.int32)
        for member, own in enumerate(self.members):
            if not active[member]:
                continue
            lengths[member] = len(own)
            filled[member, : len(own)] = (
                own if self.generators is None else self.generators[member].permutation(own)
            )
        begun = np.arange(self.n_steps, dtype=np.int32) * self.batch_size
        n_rows = np.clip(lengths - begun, 0, self.batch_size)
        rows = filled[:, :size].reshape(n_members, self.n_steps, self.batch_size)
        return Order(rows.swapaxes(0, 1), n_rows.T), filled[:, size:]

    def gathered(self, order: Order, steps: int) -> tuple[list[Any], list[Any]]:
        """The arrays' rows by an order, with room for so many steps, and the numbers of real rows."""
        leaves = [
            backend().gather_steps(array, rows, steps)
            for array, rows in zip(self.arrays, self._rows(order.rows, members=1), strict=True)
        ]
        told = self.masked or len(self.members) > 1
        return leaves, [backend().put_steps(order.n_rows, steps)] if told else []

    def gathered_rows(self, rows: np.ndarray) -> list[Any]:
        """These rows of the arrays as one batch, of shape `(n_members, n_rows, ...)`."""
        own = zip(self.arrays, self._rows(rows, members=0), strict=True)
        return [backend().gather(array, rows) for array, rows in own]

    def _rows(self, rows: np.ndarray, members: int) -> list[np.ndarray]:
        """The rows to take of each array; `members` is their axis."""
        shape = [-1 if axis == members else 1 for axis in range(rows.ndim)]
        starts = [self.starts.get(index) for index in range(len(self.arrays))]
        return [rows if start is None else rows + start.reshape(shape) for start in starts]
