"""One model as a population of one."""

from typing import Any

import keras
import numpy as np
from keras import tree

from kerashp.training._backend import backend
from kerashp.training._data import Data
from kerashp.training._draws import Draws
from kerashp.training._engine import Engine
from kerashp.training._feed import Feed
from kerashp.training._layers import dropouts_of
from kerashp.training._numbers import numbers_of
from kerashp.training._program import Carry, Layout
from kerashp.training._programs import program_for
from kerashp.training._rowwise import is_rowwise
from kerashp.training._step import State, variables_of

_MOST_STEPS = 256
_BYTES_IN_FLIGHT = 64 * 2**20


def single(
    model: Any,
    train: Data,
    validation: Data | None,
    batch_size: int,
    validation_batch_size: int,
    *,
    shuffle: bool,
) -> Engine:
    """The engine that trains a compiled and built model on all rows of `train`."""
    masked = is_rowwise(model)
    feed = _feed(train, batch_size, masked, shuffle=shuffle)
    tests = None if validation is None else _feed(validation, validation_batch_size, masked, shuffle=False)
    outputs = getattr(model, "outputs", None)  # a model of the user's own class has none
    several = outputs is None or len(tree.flatten(outputs)) > 1
    layout = Layout(
        n_members=1,
        steps=_steps(train.arrays, batch_size, _units(model)),
        batch_size=batch_size,
        validation_steps=0 if validation is None else _steps(validation.arrays, validation_batch_size, 0),
        validation_batch_size=0 if validation is None else validation_batch_size,
        masked=masked,
        row=_row(train),
        validation_row=() if validation is None else _row(validation),
        rows_vary=several and feed.n_left > 0,
        validation_rows_vary=several and tests is not None and tests.n_left > 0,
    )
    structures = (train.structure, None if validation is None else validation.structure)
    state = State(*map(backend().values, variables_of(model)))
    fresh = [array[None] for array in _fresh(model)]
    carry = Carry(tree.map_structure(lambda array: array[None], state), fresh)
    numbers = numbers_of(model)
    constants = [backend().put(number.value[None]) for number in numbers]
    program = program_for(model, numbers, layout, structures)
    draws = Draws(model, numbers, constants)
    return Engine(model, program, carry, constants, fresh, draws, feed, tests)


def _feed(data: Data, batch_size: int, masked: bool, *, shuffle: bool) -> Feed:
    members = [np.arange(data.arrays[0].shape[0], dtype=np.int32)]
    return Feed(data.arrays, members, batch_size, masked, [np.random] if shuffle else None)


def _row(data: Data) -> tuple[tuple[tuple[int, ...], str], ...]:
    return tuple((tuple(array.shape[1:]), _dtype(array)) for array in data.arrays)


def _steps(arrays: list[Any], batch_size: int, units: int) -> int:
    """How many steps one call takes: a power of two, whatever the number of rows."""
    row = sum(int(np.prod(array.shape[1:])) * np.dtype(_dtype(array)).itemsize for array in arrays) + units
    fitting = max(1, _BYTES_IN_FLIGHT // max(1, batch_size * row))
    return min(_MOST_STEPS, 1 << (fitting.bit_length() - 1))


def _dtype(array: Any) -> str:
    return keras.backend.standardize_dtype(array.dtype)


def _units(model: Any) -> int:
    return sum(int(np.prod(shape)) for shape in dropouts_of(model).values())


def _fresh(model: Any) -> list[Any]:
    """What the metrics' variables hold when an epoch begins."""
    variables = model.metrics_variables
    with keras.StatelessScope() as scope:
        model.reset_metrics()
    given = [scope.get_current_value(variable) for variable in variables]
    return [
        backend().values([variable])[0]
        if value is None
        else backend().put(keras.ops.cast(value, variable.dtype))
        for variable, value in zip(variables, given, strict=True)
    ]
