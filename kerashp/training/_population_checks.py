"""What a `Population` refuses."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras.callbacks import EarlyStopping

from kerashp._arguments import Arguments
from kerashp._compat.keras import assert_compiled
from kerashp._statistics import holder_of, statistics_variables
from kerashp.training._keras.modes import Mode
from kerashp.training._keras.obstacles import of_model
from kerashp.training._members.member import Member, starting_model
from kerashp.training._members.room import Room, dense_of, missing_layers, width_places
from kerashp.training._stacking.columns import columns_by_model
from kerashp.training._stacking.padding import paddable_layers
from kerashp.training._stacking.portions import Portions
from kerashp.training._stacking.step import variables_of
from kerashp.training._stacking.template import graph_shape, n_repeated

CHECK = Arguments("Population")


def refuse(reason: str | None) -> None:
    """Raise an error if there is a reason why training cannot be compiled."""
    if reason:
        raise RuntimeError(f"Population: this training cannot be compiled: {reason}")


def check_members(members: Sequence[Member]) -> None:
    """Refuse members that cannot be trained, or not together."""
    _check_stopping(members)
    _check_models([member.model for member in members])
    _check_starts(members)
    _check_statistics(members)
    _check_variants(members)


def check_room(room: Any, members: Sequence[Member]) -> None:
    """Refuse a room that these members have no place in."""
    if not isinstance(room, Room):
        raise CHECK.wrong_type("room", "a kerashp.training.Room or None", room)
    CHECK.integer("room.n_members", room.n_members, at_least=1)
    CHECK.integer("room.spare_layers", room.spare_layers, at_least=0)
    model = max((member.model for member in members), key=lambda model: len(dense_of(model)))
    layers = [layer for layer, _ in width_places(model)]
    _check_depth(room, model, len(layers))
    layers = [*layers[:-1], *layers[-2:-1] * (len(room.units) - len(layers)), *layers[-1:]]
    padded = paddable_layers(model) if any(room.spare) and graph_shape(model) else []
    for layer, spare in zip(layers, room.spare, strict=True):
        if spare and layer.name not in padded:
            raise ValueError(
                f"Population: room must have no spare units in layer {layer.name!r}, whose outputs "
                f"change where zeros are added; got {room}"
            )
    _check_columns(room, [member.model for member in members])
    for index, member in enumerate(members):
        if not room.holds(member.units):
            raise ValueError(
                f"Population: room must be as wide and deep as all members, or more where it is spare; "
                f"members[{index}].model has Dense layers of {member.units} units, got {room}"
            )


def _check_columns(room: Room, models: Sequence[Any]) -> None:
    """Refuse a room whose columns are not those of the members' inputs."""
    if not room.columns and len(set(map(id, models))) == 1:
        return
    columns = columns_by_model(models)
    for index, own in enumerate(columns):
        is_held = room.holds_columns(own) if room.columns else own == columns[0]
        if not is_held:
            raise ValueError(
                "Population: room.columns must be the most columns of each kind that inputs of members have, "
                f"with spare_columns=True where they differ; members[{index}].model has {own}, got {room}"
            )


def _check_depth(room: Room, model: Any, n_layers: int) -> None:
    """Refuse a room that is less deep than a model, or deeper where models cannot lack hidden layers."""
    n_more, n_missing = len(room.units) - n_layers, room.spare_layers
    least = 0 if n_more == n_missing == 0 else n_layers - n_repeated(model) + 1
    is_deep_enough = n_more == 0 or (n_more > 0 and least <= n_layers)
    if len(room.units) != len(room.spare) or not is_deep_enough:
        raise ValueError(
            f"Population: room must have units and spare for each of {n_layers} Dense layers; got {room}"
        )
    missing = missing_layers(len(room.units), n_missing)
    if len(room.units) - n_missing < least or not all(room.spare[index] for index in missing):
        raise ValueError(
            "Population: room.spare_layers must count hidden layers with spare units that models of this "
            f"graph shape may lack; got {room}"
        )


def check_stackable(room: Room, mode: Mode) -> None:
    """Refuse blocks of several members where only one can train by a call."""
    if room.n_members > 1 and not mode.stackable:
        raise ValueError(f"Population: room.n_members must be 1, since {mode.reason}; got {room.n_members}")


def check_lengths(portions: Portions) -> None:
    """Refuse different numbers of rows, where a short batch cannot be filled up."""
    for member_rows in (portions.train_rows, portions.test_rows or []):
        lengths = sorted(set(map(len, member_rows)))
        if len(lengths) > 1:
            raise ValueError(
                "Population: all members must have the same number of rows, since this model, its loss or "
                f"its metrics do not treat a batch's rows one by one; got {lengths} rows. Make one "
                "population for each number"
            )


def check_paused(members: Sequence[Member]) -> None:
    """Refuse values of an earlier training that are not of these models, which are built."""
    for index, member in enumerate(members):
        if member.paused is None:
            continue
        start = starting_model(member)
        shapes = [[tuple(v.shape) for v in group] for group in variables_of(start)[:3]]
        if member.variant is not None:
            shapes = [[array.shape for array in group] for group in member.variant.values]
        received = [[array.shape for array in group] for group in member.paused.values]
        if received != shapes:
            raise ValueError(
                f"Population: members[{index}].paused must come from a model of the same architecture, with "
                f"variables of shapes {shapes}; got {received}"
            )


def _check_stopping(members: Sequence[Member]) -> None:
    for index, member in enumerate(members):
        if member.epochs is not None:
            CHECK.integer(f"members[{index}].epochs", member.epochs, at_least=1)
        stopping = member.early_stopping
        if stopping is not None and not isinstance(stopping, EarlyStopping):
            expected = "a keras.callbacks.EarlyStopping or None"
            raise CHECK.wrong_type(f"members[{index}].early_stopping", expected, stopping)


def _check_models(models: Sequence[Any]) -> None:
    if not models:
        raise ValueError("Population: members must have at least one Member; got none")
    distinct = {id(model): (index, model) for index, model in reversed(list(enumerate(models)))}
    for index, model in distinct.values():
        assert_compiled(model, "fit")
        if not model.built:
            raise ValueError(
                f"Population: members[{index}].model must be built; got one that is not: add a keras.Input"
            )
        refuse(of_model(model))
    first = graph_shape(models[0]) if len(distinct) > 1 else None
    for index, model in distinct.values():
        if model is not models[0] and (first is None or graph_shape(model) != first):
            raise ValueError(
                f"Population: members must have one graph shape; members[0].model and members[{index}].model "
                "differ in more than numbers, widths and the number of hidden layers that are alike, or have "
                "code of your own in them. Make a population of each shape"
            )


def _check_starts(members: Sequence[Member]) -> None:
    for index, member in enumerate(members):
        if member.start is None or member.start is member.model:
            continue
        shapes, received = ([tuple(w.shape) for w in model.weights] for model in (member.model, member.start))
        if received != shapes or type(member.start.optimizer) is not type(member.model.optimizer):
            raise ValueError(
                f"Population: members[{index}].start must have the architecture of its model, weights of "
                f"shapes {shapes} and {type(member.model.optimizer).__name__}; got {received} and "
                f"{type(member.start.optimizer).__name__}"
            )


def _check_variants(members: Sequence[Member]) -> None:
    for index, member in enumerate(members):
        if member.variant is None:
            continue
        groups = variables_of(member.model)
        expected = [(len(v.shape), keras.backend.standardize_dtype(v.dtype)) for v in groups.weights]
        received = [(array.ndim, str(array.dtype)) for array in member.variant.values[0]]
        n_dense = len(width_places(member.model))
        if received != expected or len(member.variant.units) != n_dense:
            raise ValueError(
                f"Population: members[{index}].variant must have the units of {n_dense} Dense layers, and "
                f"weights of these numbers of axes and types: {expected}; got the units "
                f"{member.variant.units} and {received}"
            )


def _check_statistics(members: Sequence[Member]) -> None:
    for index, member in enumerate(members):
        if member.statistics is None:
            continue
        variables = [v for v, _ in statistics_variables(starting_model(member), member.statistics)]
        names = " and ".join(member.statistics._fields)
        layer = holder_of(member.statistics)
        if not variables:
            raise ValueError(
                f"Population: members[{index}].statistics must be None, since its model has no {layer} layer "
                f"whose {names} are weights"
            )
        expected = [tuple(variable.shape) for variable in variables]
        shapes = [np.shape(array) for array in member.statistics]
        if shapes != expected:
            raise ValueError(
                f"Population: members[{index}].statistics must be {names} of shape {expected[0]}, "
                f"as in its model's {layer}; got {shapes}"
            )
