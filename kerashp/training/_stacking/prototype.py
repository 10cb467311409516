"""A model that is built once for many networks of its graph shape, which are arrays alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from kerashp._compat.keras_optimizers import rate_of
from kerashp.layers import FRONT_LAYERS, FanInScaling, HeadScale
from kerashp.layers._parametrization import fan_in_factor
from kerashp.training._keras.optimizers import slots_by_weight
from kerashp.training._members.room import DENSE, Units
from kerashp.training._runtime.backend import backend
from kerashp.training._stacking.step import variables_of

_RANDOM = (*FRONT_LAYERS, HeadScale)  # layers whose weights may be random


class Prototype:
    """A Sequential model of Dense layers whose initial values are constants, but for kernels and seeds.

    The weights of `kerashp.layers` before them, and scales of heads, may be random, too.

    Parameters
    ----------
    model : keras.Sequential
        Compiled and built; it is not trained.
    """

    def __init__(self, model: Any):
        self.model = model
        self._slots = slots_by_weight(model)
        self._groups = variables_of(model)[:3]
        values = [array for group in map(backend().values, self._groups) for array in group]
        variables = [variable for group in self._groups for variable in group]
        self._values = {id(v): array for v, array in zip(variables, backend().fetched(values), strict=True)}

    @cached_property
    def is_suitable(self) -> bool:
        """Whether the initial values of all networks of the graph shape are known."""
        if not self.slots_begin_at_zero:
            return False
        kernels = {id(layer.kernel) for layer in self.model.layers if isinstance(layer, DENSE)}
        seeds = {id(layer.seed_generator.state) for layer in self.model.layers if _is_dropout(layer)}
        random = {id(v) for layer in self.model.layers if type(layer) in _RANDOM for v in layer.weights}
        others = [array for key, array in self._values.items() if key not in kernels | seeds | random]
        return all(np.all(array == array.flat[0]) for array in others if array.size)

    @cached_property
    def slots_begin_at_zero(self) -> bool:
        """Whether each variable that the optimizer has for a weight is of its shape, and zero at first."""
        weights = self.model.trainable_variables
        slots = [(slot, weights[index]) for (index, _), slot in self._slots.items() if index is not None]
        return all(slot.shape == weight.shape and not self._values[id(slot)].any() for slot, weight in slots)

    def learning_rate(self, rate: float) -> np.ndarray:
        """A learning rate in the type of the model's."""
        return np.asarray(rate, self._values[id(rate_of(self.model.optimizer))].dtype)

    def initial_values(
        self,
        units: Units,
        initializers: Sequence[tuple[Any, Any]],
        learning_rate: np.ndarray,
        random: Mapping[str, Sequence[tuple[Callable[..., Any], Any]]],
        n_inputs: int,
    ) -> list[list[np.ndarray]]:
        """The values that a network, not built, would have if it were; see `Variant.values`.

        Parameters
        ----------
        units : tuple of int
            The units of its Dense layers alone.
        initializers : list of (keras.Initializer, keras.random.SeedGenerator or None)
            Of the kernels of these layers, and of the Dropout layers after them.
        learning_rate : array of shape ()
            In the type of the variable.
        random : dict of str to list of (callable, tuple of int or None)
            Of the weights of layers before the first Dense, and of random scales of heads, by the layers'
            names, with their shapes; None for that of the model's.
        n_inputs : int
            The inputs of the first Dense layer.
        """
        arrays = dict(self._initial_arrays(units, initializers, n_inputs))
        for name, own_initializers in random.items():
            weights = self.model.get_layer(name).weights
            for variable, (initializer, shape) in zip(weights, own_initializers, strict=True):
                drawn = initializer(variable.shape if shape is None else shape, dtype=variable.dtype)
                arrays[id(variable)] = ops.convert_to_numpy(drawn)
        return self._completed(arrays, learning_rate)

    def values_of(self, model: Any) -> list[list[np.ndarray]]:
        """The values of a model of the same layers, whose optimizer is not built; see `Variant.values`."""
        pairs = zip(self._groups[:2], variables_of(model)[:2], strict=True)
        variables = [pair for groups in pairs for pair in zip(*groups, strict=True)]
        rate, *values = backend().fetched(
            backend().values([rate_of(model.optimizer), *[variable for _, variable in variables]])
        )
        return self._completed({id(v): value for (v, _), value in zip(variables, values, strict=True)}, rate)

    def _completed(self, arrays: dict[int, np.ndarray], learning_rate: np.ndarray) -> list[list[np.ndarray]]:
        """These arrays, by the ids of the model's variables, with the optimizer's as they begin."""
        weights = self.model.trainable_variables
        for (index, _), slot in self._slots.items():
            if index is not None:
                arrays[id(slot)] = np.zeros_like(arrays[id(weights[index])])
        arrays[id(rate_of(self.model.optimizer))] = learning_rate
        return [[arrays.get(id(v), self._values[id(v)]) for v in group] for group in self._groups]

    def _initial_arrays(
        self, units: Units, initializers: Sequence[tuple[Any, Any]], n_inputs: int
    ) -> Iterator[tuple[int, np.ndarray]]:
        """The initial values of variables from the first Dense layer on, by the ids of the model's."""
        parts = iter(zip(units, initializers, strict=True))
        width, seeds = 0, None
        for layer in self.model.layers:
            if type(layer) is FanInScaling:
                dtype = self._values[id(layer.factor)].dtype
                yield id(layer.factor), np.asarray(fan_in_factor(width or n_inputs), dtype)
            elif isinstance(layer, DENSE):
                n_before = width or n_inputs
                width, (initializer, seeds) = next(parts)
                shape = (*layer.kernel.shape[:-2], n_before, width)
                with backend().draws_of_any_shape():
                    kernel = initializer(shape, dtype=layer.kernel.dtype)
                yield id(layer.kernel), ops.convert_to_numpy(kernel)
                if layer.bias is not None:
                    yield id(layer.bias), self._filled(layer.bias, width)
            elif seeds is not None and _is_dropout(layer):
                yield id(layer.seed_generator.state), backend().fetched(backend().values([seeds.state])[0])
            elif width:
                yield from ((id(v), self._filled(v, width)) for v in layer.variables)

    def _filled(self, variable: Any, width: int) -> np.ndarray:
        """The constant value of a vector of this width, or of one for each head."""
        array = self._values[id(variable)]
        return np.full((*array.shape[:-1], width), array.flat[0], array.dtype)


def _is_dropout(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Dropout) and layer.rate > 0
