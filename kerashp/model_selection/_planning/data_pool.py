"""Rows that fits train on, each kept once however many fits have them."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import keras
import numpy as np
from keras import tree


@dataclass(frozen=True)
class RowSubset:
    """Some rows of a block, and their weights; `weight` of the shape of `rows`, or None: 1 each."""

    block: int
    rows: np.ndarray
    weight: np.ndarray | None


class DataPool:
    """X and y, by number: arrays, or lists or dicts of arrays. Adding what is there gives its number."""

    def __init__(self) -> None:
        self._blocks: list[tuple[Any, Any]] = []
        self._numbers: dict[bytes, int] = {}

    def add(self, X: Any, y: Any) -> int:
        """The number of this block; floats become Keras' float type, as in every training."""
        X, y = tree.map_structure(_as_trained, (X, y))
        digest = blake2b(repr(tree.map_structure(lambda own: str((own.shape, own.dtype)), (X, y))).encode())
        for array in tree.flatten((X, y)):
            digest.update(np.ascontiguousarray(array).data)
        number = self._numbers.setdefault(digest.digest(), len(self._blocks))
        if number == len(self._blocks):
            self._blocks.append((X, y))
        return number

    def row(self, block: int) -> Hashable:
        """Shape and type of a row of X and of y."""
        data = self._blocks[block]
        if not any(isinstance(own, list | tuple | dict) for own in data):
            return tuple(entry for array in data for entry in (array.shape[1:], array.dtype.str))
        return repr(tree.map_structure(lambda own: str((own.shape[1:], own.dtype.str)), data))

    def n_rows(self, block: int) -> int:
        """How many rows there are in a block."""
        return len(tree.flatten(self._blocks[block])[0])

    def n_bytes(self, blocks: Iterable[int]) -> int:
        """The size of some blocks."""
        return sum(array.nbytes for block in set(blocks) for array in tree.flatten(self._blocks[block]))

    def joined(self, blocks: Iterable[int]) -> "Joined":
        """Some blocks, one after the other."""
        numbers = sorted(set(blocks))
        parts = [self._blocks[number] for number in numbers]
        lengths = [self.n_rows(number) for number in numbers]
        X, y = tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)
        return Joined(
            X=X,
            y=y,
            n_rows=sum(lengths),
            starts=dict(zip(numbers, np.cumsum([0, *lengths[:-1]]).tolist(), strict=True)),
        )


@dataclass(frozen=True)
class Joined:
    """Blocks of rows one after the other, and where each starts."""

    X: Any
    y: Any
    n_rows: int
    starts: dict[int, int]

    def rows(self, portion: RowSubset | None) -> np.ndarray | None:
        """Where the rows of a portion are."""
        return None if portion is None else self.starts[portion.block] + portion.rows


def _as_trained(array: np.ndarray) -> np.ndarray:
    return array.astype(keras.config.floatx(), copy=False) if array.dtype.kind == "f" else array
