"""Many models of one graph shape as one: each one's values on the variables of a template."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from kerashp._compat.keras import flatten_layers
from kerashp._statistics import Statistics, normalization_of, take_statistics
from kerashp.training._keras.layers import dropouts_of, is_plain
from kerashp.training._keras.numbers import Number, numbers_of
from kerashp.training._keras.optimizers import build_optimizer, slots_by_weight
from kerashp.training._members.room import Room, units_of
from kerashp.training._runtime.backend import backend
from kerashp.training._runtime.temporary_values import VALUES_LOCK
from kerashp.training._stacking.padding import Padding, Units, padded, unpadded
from kerashp.training._stacking.step import State, variables_of
from kerashp.training._stacking.template import aligned, template_of

# Of a model's variables, in the groups of `variables_of`, or the first of these.
Values = list[list[np.ndarray]]
_Masks = list[np.ndarray | None]  # an axis each


class Stack:
    """Models, and the model that stands for all of them.

    Parameters
    ----------
    models : list of keras.Model, compiled and built
        Of one graph shape (see `graph_shape`); one model may be there more than once.
    starts : list of keras.Model or None, default=None
        Where to take the values from; None, or None for a model: from itself.
    told : list of Values or None, default=None
        Values that go before those of the starts.
    batch : structure of keras.KerasTensor, default=None
        A batch of (x, y, sample_weight), to build metrics and optimizer with where that has not been done.
    room : Room, default=None
        How wide to make the template; as wide as the widest model in each layer if None.
    statistics : list of Statistics or None, default=None
        What the models' Normalization computes with, in place of its own.

    Attributes
    ----------
    template : keras.Model
        Has everything that any of the models has, and is as wide as the room.
    """

    def __init__(
        self,
        models: Sequence[Any],
        batch: Any = None,
        starts: Sequence[Any] | None = None,
        told: Sequence[Values | None] | None = None,
        room: Room | None = None,
        statistics: Sequence[Statistics | None] | None = None,
    ):
        room = Room.of([units_of(model) for model in models], len(models)) if room is None else room
        self.template = template_of(models, room.units)
        if batch is not None:
            self.template._symbolic_build(data_batch=batch)
        self._variables = variables_of(self.template)
        own = zip(models, starts or [None] * len(models), strict=True)
        self._starts = [model if start is None else start for model, start in own]
        distinct = list({id(model): model for model in models}.values())
        layers = {id(model): aligned(self.template, model) for model in distinct}
        self._layers = [layers[id(model)] for model in models]
        self._units = Units(self.template, self._layers, room.spare) if any(room.spare) else None
        self._references = slots_by_weight(self.template)
        self._own = {key: self._mapping(start) for key, start in {id(s): s for s in self._starts}.items()}
        self._told = told or [None] * len(models)
        self._statistics = statistics or [None] * len(models)

    @property
    def numbers(self) -> list[Number]:
        """The template's."""
        return numbers_of(self.template)

    @property
    def padding(self) -> Padding | None:
        """What is padded; None where all widths are the same."""
        return None if self._units is None else self._units.padding

    def constants(self) -> list[np.ndarray]:
        """The members' numbers, then which units they have; arrays of shape `(n_members, ...)`."""
        with VALUES_LOCK:
            members = zip(self._layers, self._statistics, strict=True)
            told = [(own, None if known is None else known._asdict()) for own, known in members]
            numbers = [np.stack([number.value(*one) for one in told]) for number in self.numbers]
        return [*numbers, *([] if self._units is None else self._units.masks)]

    def rates(self) -> list[np.ndarray]:
        """The members' rates of each Dropout layer of the template; arrays of shape `(n_members,)`."""
        rates = [[getattr(own, "rate", 0.0) for own in self._of_members(layer)] for layer in self._dropouts()]
        return list(map(np.array, rates))

    def kept_units(self) -> list[np.ndarray | None]:
        """The units that the members have where each Dropout layer is; `(n_members, width)`, or None: all."""
        return [None if self._units is None else self._units.of_layer(layer) for layer in self._dropouts()]

    def state(self) -> State:
        """The models' values on the template's variables; arrays of shape `(n_members, ...)`."""
        states = [self.placed(member, told) for member, told in enumerate(self._told)]
        return tree.map_structure(lambda *values: np.stack(values), *states)

    def placed(self, member: int, told: Values | None) -> State:
        """A member's values on the template's variables: those told, its statistics, then its model's.

        What a model lacks (a seed, the optimizer's velocities) is as the template has it.
        """
        start = self._starts[member]
        own, given = self._own[id(start)], dict[int, np.ndarray]()
        if told is not None:
            pairs = zip(variables_of(start)[: len(told)], told, strict=True)
            given = {id(v): array for group in pairs for v, array in zip(*group, strict=True)}
        statistics = self._statistics[member]
        if statistics is not None:
            layer = normalization_of(start)
            given |= {id(layer.adapt_mean): statistics.mean, id(layer.adapt_variance): statistics.variance}

        def value(variable: Any) -> np.ndarray:
            mine = own.get(id(variable))
            if mine is None:
                return self._defaults[id(variable)]
            array = given[id(mine)] if id(mine) in given else _value(mine)
            return padded(array, self._masks(member, variable))

        return State(*[list(map(value, variables)) for variables in self._variables])

    def taken(self, member: int, state: Sequence[Sequence[Any]]) -> Values:
        """A member's values on its own model's variables: the inverse of `placed`."""
        start = self._starts[member]
        values = {
            id(own): np.asarray(real) for own, real in self._unplaced(member, state, self._own[id(start)])
        }
        groups = variables_of(start)[: len(state)]
        return [[values[id(own)] if id(own) in values else _value(own) for own in group] for group in groups]

    def restored(self) -> list[bool]:
        """Which of the variables that are not trained Keras counts among the weights: all but seeds."""
        weights = set(map(id, self.template.non_trainable_weights))
        return [id(variable) in weights for variable in self._variables.others]

    def write(self, member: int, state: State, model: Any) -> None:
        """Give a model of a member's widths this state, on the template's variables, but for metrics."""
        for own, real in self._unplaced(member, state[:3], self._mapping(model)):
            backend().assign([own], [backend().put(real)])
        take_statistics(model)

    def _unplaced(
        self, member: int, state: Sequence[Sequence[Any]], mapping: dict[int, Any]
    ) -> Iterator[tuple[Any, np.ndarray]]:
        """The variables of a model of a member's widths, and the state's values for them."""
        for variables, values in zip(self._variables[: len(state)], state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                own = mapping.get(id(variable))
                if own is not None:
                    yield own, unpadded(ops.convert_to_numpy(value), self._masks(member, variable))

    @cached_property
    def _defaults(self) -> dict[int, np.ndarray]:
        return {id(variable): _value(variable) for group in self._variables for variable in group}

    def _dropouts(self) -> list[Any]:
        return list(dropouts_of(self.template))

    def _of_members(self, layer: Any) -> list[Any]:
        """The members' layers that stand where this one of the template does."""
        index = flatten_layers(self.template).index(layer)
        return [own[index] for own in self._layers]

    def _mapping(self, model: Any) -> dict[int, Any]:
        """The model's variables, by the template's."""
        if model is self.template or not is_plain(model):
            build_optimizer(model)
            groups = zip(self._variables[:3], variables_of(model)[:3], strict=True)
            return {id(v): own for group in groups for v, own in zip(*group, strict=True)}
        mapping: dict[int, Any] = {}
        for layer, own in zip(flatten_layers(self.template), aligned(self.template, model), strict=True):
            if own is not None and not isinstance(layer, keras.Model):
                pairs = zip(layer.variables, own.variables, strict=False)  # one of rate 0 has no seed
                mapping |= {id(variable): value for variable, value in pairs}
        slots = slots_by_weight(model)
        of_optimizer = {id(v): slots[key] for key, v in self._references.items() if key in slots}
        return mapping | of_optimizer

    def _masks(self, member: int, variable: Any) -> _Masks:
        if self._units is None:
            return [None] * len(variable.shape)
        slot = next((key for key, own in self._references.items() if own is variable), (None, ""))
        weight = variable if slot[0] is None else self.template.trainable_variables[slot[0]]
        axes = self._units.axes(weight)
        return [None if axis is None else self._units.masks[axis][member] for axis in axes]


def _value(variable: Any) -> np.ndarray:
    return ops.convert_to_numpy(backend().values([variable])[0])
