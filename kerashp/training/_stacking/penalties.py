"""Keras' penalties on weights, by operations that XLA computes faster on a CPU."""

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from keras import ops

from kerashp._compat.keras import place_of_ops_of_regularizers
from kerashp.training._runtime.backend import backend
from kerashp.training._runtime.temporary_values import temporary_values, with_functions


def fast_penalties() -> AbstractContextManager[None]:
    """Inside, in this thread and on a CPU, Keras' regularizers sum by products.

    An accelerator may round those.
    """
    if backend().device_kind() != "cpu":
        return nullcontext()
    own_thread = threading.get_ident()

    def total(x: Any) -> Any:
        return _sum(x) if threading.get_ident() == own_thread else ops.sum(x)

    return temporary_values(with_functions(place_of_ops_of_regularizers(), sum=total))


def _sum(x: Any) -> Any:
    """The sum of all elements. XLA adds those of a matrix one after the other; it vectorizes products."""
    if len(x.shape) < 2:
        return ops.sum(x)
    matrix = ops.reshape(x, (-1, x.shape[-1]))
    return ops.sum(ops.matmul(ops.ones((1, ops.shape(matrix)[0]), dtype=x.dtype), matrix))
