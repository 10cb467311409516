"""Rows that fits train on, each kept once however many fits have them."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

import keras
import numpy as np


@dataclass(frozen=True)
class Portion:
    """Some rows of a block, and their weights; `weight` of the shape of `rows`, or None: 1 each."""

    block: int
    rows: np.ndarray
    weight: np.ndarray | None


class Blocks:
    """Arrays X and y, by number. Adding what is there gives its number."""

    def __init__(self) -> None:
        self._blocks: list[tuple[np.ndarray, np.ndarray]] = []
        self._numbers: dict[bytes, int] = {}

    def add(self, X: np.ndarray, y: np.ndarray) -> int:
        """The number of this block; floats become Keras' float type, as in every training."""
        X, y = _as_trained(X), _as_trained(y)
        digest = blake2b(repr((X.shape, X.dtype, y.shape, y.dtype)).encode())
        for array in (X, y):
            digest.update(np.ascontiguousarray(array).data)
        number = self._numbers.setdefault(digest.digest(), len(self._blocks))
        if number == len(self._blocks):
            self._blocks.append((X, y))
        return number

    def row(self, block: int) -> tuple[tuple[int, ...], str, tuple[int, ...], str]:
        """Shape and type of a row of X and of y."""
        X, y = self._blocks[block]
        return X.shape[1:], X.dtype.str, y.shape[1:], y.dtype.str

    def rows(self, portion: Portion) -> tuple[np.ndarray, np.ndarray]:
        """X and y of a portion."""
        X, y = self._blocks[portion.block]
        return X[portion.rows], y[portion.rows]

    def n_rows(self, block: int) -> int:
        """How many rows there are in a block."""
        return len(self._blocks[block][0])

    def n_bytes(self, blocks: Iterable[int]) -> int:
        """The size of some blocks."""
        return sum(array.nbytes for block in set(blocks) for array in self._blocks[block])

    def joined(self, blocks: Iterable[int]) -> "Joined":
        """Some blocks, one after the other."""
        numbers = sorted(set(blocks))
        parts = [self._blocks[number] for number in numbers]
        lengths = [len(X) for X, _ in parts]
        return Joined(
            X=np.concatenate([X for X, _ in parts]),
            y=np.concatenate([y for _, y in parts]),
            starts=dict(zip(numbers, np.cumsum([0, *lengths[:-1]]).tolist(), strict=True)),
        )


@dataclass(frozen=True)
class Joined:
    """Blocks one after the other, and where each starts."""

    X: np.ndarray
    y: np.ndarray
    starts: dict[int, int]

    def rows(self, portion: Portion | None) -> np.ndarray | None:
        """Where the rows of a portion are."""
        return None if portion is None else self.starts[portion.block] + portion.rows


def _as_trained(array: np.ndarray) -> np.ndarray:
    return array.astype(keras.config.floatx(), copy=False) if array.dtype.kind == "f" else array
