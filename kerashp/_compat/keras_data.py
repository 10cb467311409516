"""Private names of Keras: how `Model.fit` takes data."""

from typing import Any

from keras.src.trainers.data_adapters import array_data_adapter, array_slicing, data_adapter_utils


def can_convert_arrays(data: Any) -> bool:
    """Whether all of nested data is arrays, tensors or data frames, or None: `can_convert_arrays`."""
    return bool(array_data_adapter.can_convert_arrays(data))


def is_sparse(array: Any) -> bool:
    """Whether an array is sparse, of SciPy's, TensorFlow's or JAX' kind, or ragged."""
    return bool(
        data_adapter_utils.is_scipy_sparse(array)
        or data_adapter_utils.is_tensorflow_sparse(array)
        or data_adapter_utils.is_tensorflow_ragged(array)
        or data_adapter_utils.is_jax_sparse(array)
    )


def as_one_batch(x: Any, y: Any, sample_weight: Any, class_weight: Any, n_rows: int) -> tuple[Any, ...]:
    """(x, y, sample_weight) as NumPy arrays of the types that Keras trains on: `ArrayDataAdapter`."""
    adapter = array_data_adapter.ArrayDataAdapter(
        x, y, sample_weight=sample_weight, class_weight=class_weight, batch_size=n_rows, shuffle=False
    )
    batch: tuple[Any, ...] = next(iter(adapter.get_numpy_iterator()))
    return batch


def train_validation_split(arrays: tuple[Any, ...], validation_split: float) -> tuple[Any, Any]:
    """The arrays to train with and those to validate with, the last rows: `train_validation_split`.

    Raises
    ------
    ValueError
        If there are too few rows, or something cannot be split.
    """
    train, valid = array_slicing.train_validation_split(arrays, validation_split=validation_split)
    return train, valid
