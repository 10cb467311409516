"""The numbers of a model that Keras keeps as Python constants, made arguments of what is compiled.

Keras compiles `self.momentum` in; two models that differ in it would need two compiles. Here each such number
is found on the model's own objects, left out of what identifies the compiled function, and put back as a
tensor while the function is traced.
"""

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import numpy as np

from kerashp.training._backend import backend
from kerashp.training._layers import dropouts_of
from kerashp.training._replaced import replaced

_OF_OPTIMIZERS = ("momentum", "beta_1", "beta_2", "rho", "weight_decay")
_OF_REGULARIZERS = ("l1", "l2")
_REGULARIZERS = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)
_STATISTICS = ("mean", "variance")
_PLACEHOLDER = 0.5


@dataclass(frozen=True)
class Number:
    """A constant of a model, a number or the statistics of a normalization, and where Keras looks it up."""

    places: tuple[tuple[MutableMapping[str, Any], str], ...]
    is_array: bool = False

    @property
    def value(self) -> Any:
        mapping, key = self.places[0]
        return keras.ops.convert_to_numpy(mapping[key]) if self.is_array else np.float64(mapping[key])


def numbers_of(model: Any) -> list[Number]:
    """The numbers of a compiled model that are not compiled in, in an order that its architecture fixes.

    Zero is not among them: Keras builds other models and optimizers for it.
    """
    rates = [number for layer in dropouts_of(model) for number in _of(layer, ("rate",))]
    found = [*rates, *_of_layers(model), *_of(model.optimizer, _OF_OPTIMIZERS), *_of_losses(model)]
    return list({tuple((id(m), k) for m, k in number.places): number for number in found}.values())


def lifted(numbers: Sequence[Number], tensors: Sequence[Any]) -> AbstractContextManager[None]:
    """Inside, Keras computes with these tensors in place of the numbers."""
    return replaced(
        *[
            (mapping, key, tensor if number.is_array else _lifted_type()(tensor))
            for number, tensor in zip(numbers, tensors, strict=True)
            for mapping, key in number.places
        ]
    )


def left_out(numbers: Sequence[Number]) -> AbstractContextManager[None]:
    """Inside, the model's config has the same in place of every number."""
    return replaced(*[(mapping, key, _PLACEHOLDER) for number in numbers for mapping, key in number.places])


def _of_layers(model: Any) -> Iterator[Number]:
    for layer in model._flatten_layers():
        if type(layer) is keras.layers.Normalization and layer.input_mean is None:
            yield from (Number(((vars(layer), name),), is_array=True) for name in _STATISTICS)
        for regularizer in vars(layer).values():
            if type(regularizer) in _REGULARIZERS:
                yield from _of(regularizer, _OF_REGULARIZERS)


def _of_losses(model: Any) -> Iterator[Number]:
    for loss in keras.tree.flatten(model.loss):
        if getattr(loss, "label_smoothing", 0) and "label_smoothing" in getattr(loss, "_fn_kwargs", {}):
            yield Number(((vars(loss), "label_smoothing"), (loss._fn_kwargs, "label_smoothing")))


def _of(owner: Any, names: Sequence[str]) -> Iterator[Number]:
    for name in names:
        value = vars(owner).get(name)
        if value is not None and not isinstance(value, bool) and float(value) != 0:
            yield Number(((vars(owner), name),))


class _Lifted:
    """A tensor where Keras expects a Python number that is neither 0 nor 1.

    It computes in double precision, as Python does, until it meets a tensor.
    """

    dtype = float  # to Keras, of the type of what it is combined with

    def __init__(self, tensor: Any):
        self._tensor = tensor

    def __tf_tensor__(self, dtype: Any = None, name: Any = None) -> Any:
        return self._as(dtype or "float32")  # as TensorFlow takes a Python number

    def __jax_array__(self) -> Any:
        return self._as(keras.config.floatx())

    def _as(self, dtype: Any) -> Any:
        return keras.ops.cast(self._tensor, keras.backend.standardize_dtype(dtype))

    def __bool__(self) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return True

    def __gt__(self, other: Any) -> bool:
        return True


@cache
def _lifted_type() -> type:
    """A lifted number that the backend takes for one of Python's."""
    return type("Lifted", (_Lifted, backend().Number), {})


def _operation(name: str) -> Callable[[_Lifted, Any], Any]:
    def operation(self: _Lifted, other: Any) -> Any:
        if keras.ops.is_tensor(other):
            return getattr(self._as(other.dtype), name)(other)
        other = other._tensor if isinstance(other, _Lifted) else other
        return type(self)(getattr(self._tensor, name)(other))

    return operation


for _name in ("add", "sub", "mul", "truediv", "pow"):
    for _form in (f"__{_name}__", f"__r{_name}__"):
        setattr(_Lifted, _form, _operation(_form))
