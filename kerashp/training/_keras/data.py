"""The data that `Model.fit` takes, as arrays of one type on the device."""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import tree

from kerashp._compat.keras_data import as_one_batch, can_convert_arrays, is_sparse, train_validation_split
from kerashp.training._runtime.backend import backend


class Data(NamedTuple):
    """Arrays, and the structure of (x, y, sample_weight), each leaf an index into the arrays or None."""

    arrays: list[Any]
    structure: Any

    @property
    def x(self) -> Any:
        """The inputs."""
        return tree.map_structure(
            lambda index: None if index is None else self.arrays[index], self.structure[0]
        )


def are_arrays(*data: Any) -> bool:
    """Whether all data are dense arrays, data frames or None."""
    return can_convert_arrays(data) and not any(
        is_sparse(leaf) or _dtype_kind(leaf) in "OSU" for leaf in leaves(data)
    )


def _dtype_kind(leaf: Any) -> str:
    dtype = getattr(leaf, "dtype", None)
    return getattr(dtype, "kind", "f") if isinstance(dtype, np.dtype) else "f"


def standardized(x: Any, y: Any, sample_weight: Any, class_weight: Any = None) -> Any:
    """(x, y, sample_weight) as NumPy arrays of the types that Keras trains on, by Keras' own adapter."""
    return as_one_batch(x, y, sample_weight, class_weight, max(1, n_rows(x)))


def split(x: Any, y: Any, sample_weight: Any, validation_split: float) -> Any:
    """The rows to train on and those to validate on, the last ones, as Keras splits them."""
    return train_validation_split((x, y, sample_weight), validation_split)


def on_device(data: Any) -> Data:
    """The arrays of (x, y, sample_weight) on the device, each once."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    arrays: list[Any] = []

    def place(leaf: Any) -> int | None:
        if leaf is None:
            return None
        arrays.append(backend().put(leaf))
        return len(arrays) - 1

    structure = tree.map_structure(place, (x, y, sample_weight))
    return Data(arrays, structure)


def n_rows(data: Any) -> int:
    """The number of rows."""
    return int(leaves(data)[0].shape[0])


def n_bytes(data: Any) -> int:
    """The size of the arrays in bytes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves(data))


def symbolic(data: Any, rows: int | None) -> Any:
    """A batch of the data as Keras' symbolic tensors, to build a model with."""
    return tree.map_structure(
        lambda leaf: None if leaf is None else keras.KerasTensor((rows, *leaf.shape[1:]), leaf.dtype), data
    )


def leaves(data: Any) -> list[Any]:
    """The arrays of (x, y, sample_weight), without None."""
    return [leaf for leaf in tree.flatten(data) if leaf is not None]
