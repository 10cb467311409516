"""The numbers of a model that Keras keeps as Python constants, as arguments of the compiled function.

Keras compiles `self.momentum` in; two models that differ in it would need two compiles. Here each such number
is found on the model's own objects, left out of what identifies the compiled function, and put back as a
tensor while the function is traced.
"""

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import numpy as np

from kerashp._compat.keras import flatten_layers, function_arguments
from kerashp.layers import LearnedScale
from kerashp.training._keras.layers import dropouts_of
from kerashp.training._keras.optimizers import HYPERPARAMETERS
from kerashp.training._runtime.backend import backend
from kerashp.training._runtime.temporary_values import temporary_values

OF_REGULARIZERS = ("l1", "l2")
REGULARIZERS = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)
_STATISTICS = ("mean", "variance")
PLACEHOLDER = 0.5


@dataclass(frozen=True)
class Number:
    """A constant of a model: a number, or the statistics of a normalization.

    `layer` is the index of its layer among all of the model's, or None for a number of the optimizer or of a
    loss; `path` are the attributes, and indices of losses, that lead from there to it.
    """

    layer: int | None
    path: tuple[str | int, ...]
    is_array: bool = False

    def value(self, layers: Sequence[Any], statistics: Mapping[str, np.ndarray] | None = None) -> Any:
        """Its value on a model with these layers; 0 where the model, or the layer, does not have it.

        `statistics` of a normalization, by name, replace the layer's.
        """
        value = layers[self.layer or 0]
        for step in self.path:
            value = _losses(value)[step] if isinstance(step, int) else getattr(value, step, None)
        if not self.is_array:
            return np.float64(value or 0)
        array = keras.ops.convert_to_numpy(value)
        if statistics is None:
            return array
        return statistics[str(self.path[-1])].astype(array.dtype).reshape(array.shape)

    def places(self, layers: Sequence[Any]) -> list[tuple[MutableMapping[str, Any], str]]:
        """The mappings, and the keys in them, where Keras looks it up."""
        owner = layers[self.layer or 0]
        *steps, name = self.path
        for step in steps:
            owner = _losses(owner)[step] if isinstance(step, int) else getattr(owner, str(step))
        mappings = [vars(owner), function_arguments(owner)]
        return [(mapping, str(name)) for mapping in mappings if name in mapping]


def numbers_of(model: Any) -> list[Number]:
    """The numbers of a model that become arguments of the compiled function, in the order of its layers.

    Zero is not among them: Keras builds other models and optimizers for it.
    """
    layers = flatten_layers(model)
    rates = [Number(layers.index(layer), ("rate",)) for layer in dropouts_of(model)]
    candidates = [*_of_layers(layers), *_of_compiling(model)]
    return [*rates, *[number for number in candidates if number.is_array or number.value(layers)]]


def lifted(model: Any, numbers: Sequence[Number], tensors: Sequence[Any]) -> AbstractContextManager[None]:
    """Inside, Keras computes with these tensors in place of the model's numbers."""
    layers = flatten_layers(model)
    return temporary_values(
        *[
            (mapping, key, tensor if number.is_array else lifted_number(tensor))
            for number, tensor in zip(numbers, tensors, strict=True)
            for mapping, key in number.places(layers)
        ]
    )


def lifted_number(tensor: Any) -> Any:
    """A number that is neither 0 nor 1 and has the value of a tensor or variable, for code of Keras."""
    return _lifted_type()(tensor)


def left_out(model: Any, numbers: Sequence[Number]) -> AbstractContextManager[None]:
    """Inside, the model's config has one placeholder in place of every number."""
    layers = flatten_layers(model)
    places = [place for number in numbers for place in number.places(layers)]
    return temporary_values(*[(mapping, key, PLACEHOLDER) for mapping, key in places])


def shared_places(model: Any, numbers: Sequence[Number]) -> list[int]:
    """For each number the index of the first that has its places: layers may share a regularizer."""
    layers = flatten_layers(model)
    places = [[(id(mapping), key) for mapping, key in number.places(layers)] for number in numbers]
    return list(map(places.index, places))


def _losses(model: Any) -> list[Any]:
    return keras.tree.flatten(model.loss)


def _of_layers(layers: Sequence[Any]) -> Iterator[Number]:
    for index, layer in enumerate(layers):
        if type(layer) is keras.layers.Normalization and layer.input_mean is None:
            yield from (Number(index, (name,), is_array=True) for name in _STATISTICS)
        if type(layer) is LearnedScale:
            yield Number(index, ("rate_factor",))
        for name, regularizer in vars(layer).items():
            if type(regularizer) in REGULARIZERS:
                yield from (Number(index, (name, number)) for number in OF_REGULARIZERS)


def _of_compiling(model: Any) -> Iterator[Number]:
    yield from (Number(None, ("optimizer", name)) for name in HYPERPARAMETERS)
    for index, loss in enumerate(_losses(model)):
        if "label_smoothing" in function_arguments(loss):
            yield Number(None, (index, "label_smoothing"))


class _Lifted:
    """A tensor where Keras expects a Python number that is neither 0 nor 1.

    It computes in double precision, as Python does, until it meets a tensor.
    """

    dtype = float  # so that Keras takes the type of the other operand

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
    return type("Lifted", (_Lifted, backend().NumberBase), {})


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
