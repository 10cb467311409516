"""Many models of one graph shape as one template, whose variables take each model's values."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from keras import ops, tree

from kerashp._compat.keras import flatten_layers
from kerashp._statistics import InputStatistics, statistics_variables, update_normalization
from kerashp.training._keras.layers import dropouts_of
from kerashp.training._keras.numbers import Number, numbers_of
from kerashp.training._members.room import Room, units_of
from kerashp.training._members.variant import Variant
from kerashp.training._runtime.backend import backend
from kerashp.training._runtime.temporary_values import VALUES_LOCK
from kerashp.training._stacking.columns import column_masks, columns_by_model
from kerashp.training._stacking.padding import Padding, UnitMasks, pad, unpad
from kerashp.training._stacking.shared_template import Template, numpy_value, shared_template
from kerashp.training._stacking.step import State, variables_of

# The values of a model's variables, in the groups of `variables_of`, or in the first of these.
Values = list[list[np.ndarray]]
_Masks = list[np.ndarray | None]  # for each axis


class Stack:
    """Models of one graph shape, and the template for all of them.

    Parameters
    ----------
    models : list of keras.Model, compiled and built
        Of one graph shape (see `graph_shape`); one model may be there more than once.
    starts : list of keras.Model or None, default=None
        The models whose values are taken; None, or None for a model: the model itself.
    values : list of Values or None, default=None
        Values in place of those of the starts.
    batch : structure of keras.KerasTensor, default=None
        A batch of (x, y, sample_weight), to build the metrics and the optimizer if they are not built.
    room : Room, default=None
        The widths of the template; those of the deepest and, in each layer, widest model if None.
    statistics : list of InputStatistics or None, default=None
        Statistics in place of those of the models' first layers.
    variants : list of Variant or None, default=None
        Networks that differ from the models.

    Attributes
    ----------
    template : keras.Model
        It has every number that any of the models has, and the widths and the depth of the room.
    """

    def __init__(
        self,
        models: Sequence[Any],
        batch: Any = None,
        starts: Sequence[Any] | None = None,
        values: Sequence[Values | None] | None = None,
        room: Room | None = None,
        statistics: Sequence[InputStatistics | None] | None = None,
        variants: Sequence[Variant | None] | None = None,
    ):
        room = Room.of([units_of(model) for model in models], len(models)) if room is None else room
        self._variants = variants or [None] * len(models)
        are_prototypes = all(variant is not None for variant in self._variants)
        self._template = (shared_template if are_prototypes else Template)(
            models, room.units, room.columns, batch
        )
        self.template = self._template.model
        self._variables = self._template.variables
        pairs = zip(models, starts or [None] * len(models), strict=True)
        self._starts = [model if start is None else start for model, start in pairs]
        layers = zip(map(self._template.layers, models), self._variants, strict=True)
        self._layers = [
            aligned if variant is None else variant.of_layers(aligned) for aligned, variant in layers
        ]
        self._unit_masks = self._new_unit_masks(models, room)
        distinct_starts = {id(start): start for start in self._starts}
        self._mappings = {key: self._template.mapping(start) for key, start in distinct_starts.items()}
        self._values = values or [None] * len(models)
        self._statistics = statistics or [None] * len(models)

    def _new_unit_masks(self, models: Sequence[Any], room: Room) -> UnitMasks | None:
        if not any(room.spare) and not room.spare_columns:
            return None
        columns = column_masks(columns_by_model(models), room.columns) if room.spare_columns else None
        return UnitMasks(self.template, self._layers, room, columns)

    @property
    def numbers(self) -> list[Number]:
        """The template's numbers."""
        with VALUES_LOCK:
            return numbers_of(self.template)

    @property
    def padding(self) -> Padding | None:
        """The padding of the template; None where all widths are the same."""
        return None if self._unit_masks is None else self._unit_masks.padding

    def constants(self) -> list[np.ndarray]:
        """The members' numbers, then the masks of their units; arrays of shape `(n_members, ...)`."""
        with VALUES_LOCK:
            members = range(len(self._layers))
            numbers = [np.stack([self._value(number, i) for i in members]) for number in self.numbers]
        return [*numbers, *([] if self._unit_masks is None else self._unit_masks.masks)]

    def _value(self, number: Number, member: int) -> Any:
        """The value of a number for a member; inputs that it lacks have mean 0 and variance 1."""
        statistics = self._statistics[member]
        value = number.value(self._layers[member], None if statistics is None else statistics._asdict())
        masks = self._unit_masks
        if masks is None or number.layer is None or not number.is_array:
            return value
        mask = masks.of_layer(flatten_layers(self.template)[number.layer])
        axes = [*[None] * (value.ndim - 1), None if mask is None else mask[member]]
        return pad(value, axes, fill=number.path[-1] == "variance")

    def rates(self) -> list[np.ndarray]:
        """The members' rates of each Dropout layer of the template; arrays of shape `(n_members,)`."""
        layers = flatten_layers(self.template)
        indices = [layers.index(layer) for layer in dropouts_of(self.template)]
        return [np.array([getattr(member[i], "rate", 0.0) for member in self._layers]) for i in indices]

    def unit_masks(self) -> list[np.ndarray | None]:
        """The masks of the members' units at each Dropout layer, `(n_members, width)`; None: all units."""
        masks = self._unit_masks
        return [None if masks is None else masks.of_layer(layer) for layer in dropouts_of(self.template)]

    def state(self) -> State:
        """The models' values on the template's variables; arrays of shape `(n_members, ...)`."""
        states = [self.state_of(member, values) for member, values in enumerate(self._values)]
        return tree.map_structure(lambda *values: np.stack(values), *states)

    def state_of(self, member: int, values: Values | None) -> State:
        """The template's state with a member's values: these, its statistics, otherwise its model's.

        What a model lacks (a seed, the optimizer's velocities) is as in the template, but for the weights of
        missing layers, which are zeros.
        """
        start = self._starts[member]
        mapping, replacements = self._mappings[id(start)], dict[int, np.ndarray]()
        variant = self._variants[member]
        for arrays in (None if variant is None else variant.values, values):
            pairs = zip(variables_of(start)[: len(arrays or ())], arrays or (), strict=True)
            replacements |= {id(v): array for group in pairs for v, array in zip(*group, strict=True)}
        statistics = self._statistics[member]
        if statistics is not None:
            replacements |= {id(v): array for v, array in statistics_variables(start, statistics)}

        def value(variable: Any) -> np.ndarray:
            source, masks = mapping.get(id(variable)), self._masks(member, variable)
            if source is None:
                array = unpad(self._template.values[id(variable)], masks)
            else:
                array = replacements[id(source)] if id(source) in replacements else numpy_value(source)
            return pad(array, masks)

        return State(*[list(map(value, variables)) for variables in self._variables])

    def values_of(self, member: int, state: Sequence[Sequence[Any]]) -> Values:
        """The values of a member's model in this state of the template: the inverse of `state_of`."""
        start = self._starts[member]
        pairs = self._unpadded(member, state, self._mappings[id(start)])
        values = {id(variable): np.asarray(value) for variable, value in pairs}
        groups = variables_of(start)[: len(state)]
        return [[values[id(v)] if id(v) in values else numpy_value(v) for v in group] for group in groups]

    def restored(self) -> list[bool]:
        """Which of the non-trainable variables early stopping restores: Keras' weights, all but seeds."""
        weights = set(map(id, self.template.non_trainable_weights))
        return [id(variable) in weights for variable in self._variables.non_trainable]

    def write(self, member: int, state: State, model: Any) -> None:
        """Give a model of a member's widths this state of the template, except for the metrics."""
        for variable, value in self._unpadded(member, state[:3], self._template.mapping(model)):
            backend().assign([variable], [backend().put(value)])
        update_normalization(model)

    def _unpadded(
        self, member: int, state: Sequence[Sequence[Any]], mapping: dict[int, Any]
    ) -> Iterator[tuple[Any, np.ndarray]]:
        """The variables of a model of a member's widths, and their values in the state."""
        for variables, values in zip(self._variables[: len(state)], state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                target = mapping.get(id(variable))
                if target is not None:
                    yield target, unpad(ops.convert_to_numpy(value), self._masks(member, variable))

    def _masks(self, member: int, variable: Any) -> _Masks:
        if self._unit_masks is None:
            return [None] * len(variable.shape)
        axes = self._unit_masks.axes(self._template.weight_of(variable))
        return [None if axis is None else self._unit_masks.masks[axis][member] for axis in axes]
