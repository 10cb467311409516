"""The order of rows in batches, and the batches themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerashp.training._runtime.backend import backend


@dataclass(frozen=True)
class Order:
    """The rows of each batch."""

    rows: np.ndarray  # (n_steps, n_members, batch_size), int32
    n_rows: np.ndarray  # (n_steps, n_members), the numbers of real rows

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
    rows : list of int32 arrays
        The rows of each member.
    batch_size : int
    masked : bool
        Whether a short last batch is filled up; otherwise it is trained by itself, and all members have the
        same number of rows.
    generators : list of objects with a `permutation`, as numpy.random's, or None
        One for each member, to shuffle its rows; None: they keep their order.
    starts : dict from int to int32 array of shape (n_members,)
        For an array with different rows for each member, by its index: where a member's rows start.
    """

    arrays: list[Any]
    rows: Sequence[np.ndarray]
    batch_size: int
    masked: bool
    generators: Sequence[Any] | None
    starts: dict[int, np.ndarray]

    @property
    def n_steps(self) -> int:
        """Steps an epoch, without a last batch that is trained by itself."""
        longest = max(map(len, self.rows))
        return -(-longest // self.batch_size) if self.masked else longest // self.batch_size

    @property
    def n_rest(self) -> int:
        """Rows of a last batch that is trained by itself."""
        return 0 if self.masked else len(self.rows[0]) % self.batch_size

    def no_order(self) -> Order:
        """An order of no batches."""
        n_members = len(self.rows)
        return Order(np.zeros((0, n_members, self.batch_size), np.int32), np.zeros((0, n_members), np.int32))

    def order(self, active: np.ndarray) -> tuple[Order, np.ndarray]:
        """An epoch's batches for active members, and the rows of a last batch that is trained by itself."""
        n_members, size = len(self.rows), self.n_steps * self.batch_size
        filled = np.zeros((n_members, size + self.n_rest), np.int32)
        lengths = np.zeros((n_members, 1), np.int32)
        for member, rows in enumerate(self.rows):
            if active[member]:
                lengths[member] = len(rows)
                filled[member, : len(rows)] = (
                    rows if self.generators is None else self.generators[member].permutation(rows)
                )
        starts = np.arange(self.n_steps, dtype=np.int32) * self.batch_size
        n_rows = np.clip(lengths - starts, 0, self.batch_size)
        rows = filled[:, :size].reshape(n_members, self.n_steps, self.batch_size)
        return Order(rows.swapaxes(0, 1), n_rows.T), filled[:, size:]

    def gathered(self, order: Order, steps: int) -> tuple[list[Any], list[Any]]:
        """The arrays' rows in an order, with room for `steps` steps, and the numbers of real rows."""
        leaves = [
            backend().gather_steps(array, rows, steps)
            for array, rows in zip(self.arrays, self._rows_by_array(order.rows, members_axis=1), strict=True)
        ]
        counted = self.masked or len(self.rows) > 1
        return leaves, [backend().put_steps(order.n_rows, steps)] if counted else []

    def gathered_rows(self, rows: np.ndarray) -> list[Any]:
        """These rows of the arrays as one batch, of shape `(n_members, n_rows, ...)`."""
        pairs = zip(self.arrays, self._rows_by_array(rows, members_axis=0), strict=True)
        return [backend().gather(array, array_rows) for array, array_rows in pairs]

    def _rows_by_array(self, rows: np.ndarray, members_axis: int) -> list[np.ndarray]:
        """The rows to take of each array."""
        shape = [-1 if axis == members_axis else 1 for axis in range(rows.ndim)]
        starts = [self.starts.get(index) for index in range(len(self.arrays))]
        return [rows if start is None else rows + start.reshape(shape) for start in starts]
