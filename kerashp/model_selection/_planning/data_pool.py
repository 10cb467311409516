"""The rows that fits train on, each of them once however many fits use it."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import keras
import numpy as np
from keras import tree

from kerashp.training._stacking.columns import rows_with_columns


@dataclass(frozen=True)
class RowSubset:
    """Some rows of a block, and their sample weights: `weight` has the shape of `rows`, or is None."""

    block: int
    rows: np.ndarray
    weight: np.ndarray | None


class DataPool:
    """Blocks of rows by number. A block is X and y: arrays, or lists or dicts of arrays."""

    def __init__(self) -> None:
        self._blocks: list[tuple[Any, Any]] = []
        self._columns: list[tuple[int, ...]] = []
        self._numbers: dict[bytes, int] = {}

    def add(self, X: Any, y: Any, columns: tuple[int, ...] = ()) -> int:
        """The number of this block, which is kept once. Floats become Keras' float type, as in training.

        `columns` are those of X by kind, if it may get more of them; see `columns_of`.
        """
        X, y = tree.map_structure(_in_float_type, (X, y))
        digest = blake2b(
            repr(
                (tree.map_structure(lambda array: str((array.shape, array.dtype)), (X, y)), columns)
            ).encode()
        )
        for array in tree.flatten((X, y)):
            digest.update(np.ascontiguousarray(array).data)
        number = self._numbers.setdefault(digest.digest(), len(self._blocks))
        if number == len(self._blocks):
            self._blocks.append((X, y))
            self._columns.append(columns)
        return number

    def row(self, block: int) -> Hashable:
        """The shape and type of a row of X and of y; any number of columns if X may get more of them."""
        data = self._blocks[block]
        if not any(isinstance(part, list | tuple | dict) for part in data):
            row = tuple(entry for array in data for entry in (array.shape[1:], array.dtype.str))
            return ("any columns", *row[1:]) if self._columns[block] else row
        return repr(tree.map_structure(lambda array: str((array.shape[1:], array.dtype.str)), data))

    def n_rows(self, block: int) -> int:
        """The number of rows of a block."""
        return len(tree.flatten(self._blocks[block])[0])

    def n_bytes(self, blocks: Iterable[int]) -> int:
        """The number of bytes of some blocks."""
        return sum(array.nbytes for block in set(blocks) for array in tree.flatten(self._blocks[block]))

    def joined(self, blocks: Iterable[int], columns: tuple[int, ...] = ()) -> "JoinedBlocks":
        """Some blocks, one after the other; with these columns, if they are not empty."""
        numbers = sorted(set(blocks))
        parts = [self._blocks[number] for number in numbers]
        own_columns = [self._columns[number] for number in numbers]
        pairs = zip(parts, own_columns, strict=True)
        parts = [(rows_with_columns(X, own, columns), y) for (X, y), own in pairs]
        lengths = [self.n_rows(number) for number in numbers]
        X, y = tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)
        return JoinedBlocks(
            X=X,
            y=y,
            n_rows=sum(lengths),
            starts=dict(zip(numbers, np.cumsum([0, *lengths[:-1]]).tolist(), strict=True)),
        )


@dataclass(frozen=True)
class JoinedBlocks:
    """Blocks of rows one after the other, and where each starts."""

    X: Any
    y: Any
    n_rows: int
    starts: dict[int, int]

    def rows(self, subset: RowSubset | None) -> np.ndarray | None:
        """The positions of the rows of a subset."""
        return None if subset is None else self.starts[subset.block] + subset.rows


def _in_float_type(array: np.ndarray) -> np.ndarray:
    return array.astype(keras.config.floatx(), copy=False) if array.dtype.kind == "f" else array
