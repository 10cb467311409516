"""The template of some models, and where it has their layers and variables."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from kerashp._compat.keras import build_for, flatten_layers
from kerashp.training._keras.layers import is_plain
from kerashp.training._keras.optimizers import build_optimizer, slots_by_weight
from kerashp.training._members.room import Units
from kerashp.training._runtime.backend import backend
from kerashp.training._runtime.temporary_values import VALUES_LOCK
from kerashp.training._stacking.step import variables_of
from kerashp.training._stacking.template import align_layers, template_of

_MOST = 32


class Template:
    """The template of models of one graph shape.

    Parameters
    ----------
    models : list of keras.Model, compiled and built
    units : tuple of int
        The units of the template's Dense layers.
    columns : tuple of int
        The columns of its input; empty where it is that of all models.
    batch : structure of keras.KerasTensor or None
        A batch of (x, y, sample_weight), to build the metrics and the optimizer if they are not built.

    Attributes
    ----------
    model : keras.Model
    variables : State
        Its variables.
    """

    def __init__(self, models: Sequence[Any], units: Units, columns: Units, batch: Any):
        self.model = template_of(models, units, columns)
        if batch is not None:
            build_for(self.model, batch)
        self.variables = variables_of(self.model)
        self._slots = slots_by_weight(self.model)
        self._weights = {id(v): index for (index, _), v in self._slots.items() if index is not None}
        self._models = {id(model): model for model in models}
        self._layers = {key: align_layers(self.model, model) for key, model in self._models.items()}

    def layers(self, model: Any) -> list[Any]:
        """The layers of one of the models in the order of the template's; see `align_layers`."""
        return self._layers[id(model)]

    def mapping(self, model: Any) -> dict[int, Any]:
        """The variables of a model of the graph shape, by the ids of the template's."""
        return self._mappings[id(model)] if id(model) in self._models else self._new_mapping(model)

    def weight_of(self, variable: Any) -> Any:
        """The weight that a variable of the optimizer belongs to; otherwise the variable itself."""
        index = self._weights.get(id(variable))
        return variable if index is None else self.variables.weights[index]

    @cached_property
    def values(self) -> dict[int, np.ndarray]:
        """The values of its variables, by their ids."""
        return {id(variable): numpy_value(variable) for group in self.variables for variable in group}

    @cached_property
    def _mappings(self) -> dict[int, dict[int, Any]]:
        return {key: self._new_mapping(model) for key, model in self._models.items()}

    def _new_mapping(self, model: Any) -> dict[int, Any]:
        if model is self.model or not is_plain(model):
            build_optimizer(model)
            groups = zip(self.variables[:3], variables_of(model)[:3], strict=True)
            return {id(v): variable for group in groups for v, variable in zip(*group, strict=True)}
        mapping: dict[int, Any] = {}
        layers = zip(flatten_layers(self.model), align_layers(self.model, model), strict=True)
        for template_layer, layer in layers:
            if layer is not None and not isinstance(template_layer, keras.Model):
                pairs = zip(template_layer.variables, layer.variables, strict=False)  # rate 0 has no seed
                mapping |= {id(v): variable for v, variable in pairs}
        return mapping | self._mapping_of_slots(model, mapping)

    def _mapping_of_slots(self, model: Any, mapping: dict[int, Any]) -> dict[int, Any]:
        """The variables of the model's optimizer, by the ids of the template's."""
        slots, weights = slots_by_weight(model), self.variables.weights
        indices = {id(weight): index for index, weight in enumerate(model.trainable_variables)}
        of_optimizer: dict[int, Any] = {}
        for (weight, name), variable in self._slots.items():
            index = None if weight is None else indices.get(id(mapping.get(id(weights[weight]))))
            if (weight is None or index is not None) and (index, name) in slots:
                of_optimizer[id(variable)] = slots[index, name]
        return of_optimizer


_SHARED: OrderedDict[Hashable, Template] = OrderedDict()


def shared_template(models: Sequence[Any], units: Units, columns: Units, batch: Any) -> Template:
    """The template of prototypes, which do not change: one for all populations."""
    tensors = [tensor for tensor in tree.flatten(batch) if tensor is not None]
    types = tuple((tuple(tensor.shape), str(tensor.dtype)) for tensor in tensors)
    key = tuple(dict.fromkeys(map(id, models))), units, columns, types, keras.config.floatx()
    with VALUES_LOCK:
        if key not in _SHARED:
            # It holds the models, so that their ids stay theirs.
            _SHARED[key] = Template(models, units, columns, batch)
        _SHARED.move_to_end(key)
        while len(_SHARED) > _MOST:
            _SHARED.popitem(last=False)
        return _SHARED[key]


def numpy_value(variable: Any) -> np.ndarray:
    """The value of a Keras variable."""
    return ops.convert_to_numpy(backend().values([variable])[0])
