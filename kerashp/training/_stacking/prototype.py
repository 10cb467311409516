"""A model that is built once for many networks of its graph shape, which are arrays alone."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from kerashp._compat.keras_optimizers import rate_of
from kerashp.training._keras.optimizers import slots_by_weight
from kerashp.training._runtime.backend import backend
from kerashp.training._stacking.step import variables_of


class Prototype:
    """A Sequential model of Dense layers whose initial values are constants, but for kernels and seeds.

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
        kernels = {id(layer.kernel) for layer in self.model.layers if isinstance(layer, keras.layers.Dense)}
        seeds = {id(layer.seed_generator.state) for layer in self.model.layers if _is_dropout(layer)}
        others = [array for key, array in self._values.items() if key not in kernels | seeds]
        weights = self.model.trainable_variables
        slots = [(slot, weights[index]) for (index, _), slot in self._slots.items() if index is not None]
        return all(np.all(array == array.flat[0]) for array in others if array.size) and all(
            slot.shape == weight.shape and not self._values[id(slot)].any() for slot, weight in slots
        )

    def initial_values(self, layers: Sequence[Any], learning_rate: float) -> list[list[np.ndarray]]:
        """The values that a network of these hidden and output layers, not built yet, would have if it were.

        See `Variant.values`.
        """
        arrays = dict(self._initial_arrays({layer.name: layer for layer in layers}))
        weights = self.model.trainable_variables
        for (index, _), slot in self._slots.items():
            if index is not None:
                arrays[id(slot)] = np.zeros_like(arrays[id(weights[index])])
        rate = rate_of(self.model.optimizer)
        arrays[id(rate)] = np.asarray(learning_rate, self._values[id(rate)].dtype)
        return [[arrays.get(id(v), self._values[id(v)]) for v in group] for group in self._groups]

    def _initial_arrays(self, new_layers: Mapping[str, Any]) -> Iterator[tuple[int, np.ndarray]]:
        """The initial values of the variables of these layers, by the ids of the model's."""
        width = 0
        for layer in self.model.layers:
            new = new_layers.get(layer.name)
            if isinstance(new, keras.layers.Dense):
                n_inputs = width or layer.kernel.shape[0]
                width = new.units
                dtype = layer.kernel.dtype
                kernel = new.kernel_initializer((n_inputs, width), dtype=dtype)
                yield id(layer.kernel), ops.convert_to_numpy(kernel)
                if layer.bias is not None:
                    yield id(layer.bias), self._filled(layer.bias, width)
            elif new is not None and _is_dropout(layer):
                state = new.seed_generator.state
                yield id(layer.seed_generator.state), backend().fetched(backend().values([state])[0])
            elif new is not None:
                yield from ((id(v), self._filled(v, width)) for v in layer.variables)

    def _filled(self, variable: Any, width: int) -> np.ndarray:
        """The constant value of a vector of this width."""
        array = self._values[id(variable)]
        return np.full(width, array.flat[0], array.dtype)


def _is_dropout(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Dropout) and layer.rate > 0
