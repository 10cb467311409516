"""Engines, put together from models and data."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import tree

from kerashp.training._engine.draws import Draws
from kerashp.training._engine.engine import Engine
from kerashp.training._engine.feed import Feed
from kerashp.training._engine.outputs import Outputs
from kerashp.training._engine.program import NO_SIDE, Carry, Layout, Program, Side
from kerashp.training._engine.program_cache import program_for
from kerashp.training._keras.data import Data
from kerashp.training._keras.layers import dropouts_of
from kerashp.training._keras.modes import Mode, mode_of
from kerashp.training._keras.rowwise import is_rowwise
from kerashp.training._members.rates import Rates
from kerashp.training._runtime.backend import backend
from kerashp.training._stacking.stack import Stack
from kerashp.training._stacking.step import State

_MAX_STEPS = 1024
_BYTES_ON_CORES, _BYTES_ON_ACCELERATOR = 16 * 2**20, 256 * 2**20  # of the batches of one call
_TURN = 4  # steps on an accelerator between two questions to the host; more may compute too many in vain


class Assembly:
    """Makes engines that each train some members of a stack.

    Parameters
    ----------
    stack : Stack
    data : (Data, Data or None)
        The data to train on and to validate on.
    batch_sizes : (int, int)
        Rows a step, in training and in validation.
    n_members : int
        Members of an engine.
    mode : Mode
    """

    def __init__(
        self,
        stack: Stack,
        data: tuple[Data, Data | None],
        batch_sizes: tuple[int, int],
        n_members: int,
        mode: Mode,
    ):
        self._stack = stack
        self._data = data
        self._batch_sizes = batch_sizes
        self.n_members = n_members
        self._mode = mode
        self._numbers = stack.numbers
        self._constants = stack.constants()
        self._rates = stack.rates()
        self._unit_masks = stack.unit_masks()
        self._initial_metrics = _initial_metrics(stack.template)
        self._programs: dict[Layout, Program] = {}
        self.masked = is_rowwise(stack.template)

    def feed(
        self,
        side: int,
        rows: Sequence[np.ndarray],
        generators: Sequence[Any] | None = None,
        starts: dict[int, np.ndarray] | None = None,
    ) -> Feed:
        """Batches for training (side 0) or validation (side 1) of members with these rows."""
        data = self._data[side]
        assert data is not None
        return Feed(data.arrays, rows, self._batch_sizes[side], self.masked, generators, starts or {})

    def engine(
        self,
        members: np.ndarray,
        state: State,
        train: Feed,
        validation: Feed | None,
        rates: Rates | None = None,
        factors: Rates | None = None,
    ) -> Engine:
        """The engine of these members, by index in the stack, which begin in this state."""
        metrics = [backend().put(np.stack([value] * len(members))) for value in self._initial_metrics]
        layout = self._layout(train, validation, rates, factors)
        train_on, test_on = self._data
        structures = (train_on.structure, None if test_on is None else test_on.structure)
        return Engine(
            model=self._stack.template,
            program=self._program(layout, structures),
            carry=Carry(tree.map_structure(backend().put, state), metrics),
            constants=[backend().put(constant[members]) for constant in self._constants],
            initial_metrics=metrics,
            draws=Draws(
                self._stack.template,
                [rates[members] for rates in self._rates],
                [None if masks is None else masks[members] for masks in self._unit_masks],
            ),
            rates=rates,
            factors=factors,
            train=train,
            validation=validation,
        )

    @cached_property
    def outputs(self) -> Outputs:
        """The predictions of `n_members` members of the stack at a time."""
        return Outputs(self._stack, self.n_members)

    def _program(self, layout: Layout, structures: tuple[Any, Any]) -> Program:
        if layout not in self._programs:
            self._programs[layout] = program_for(self._stack.template, self._numbers, layout, structures)
        return self._programs[layout]

    def _layout(
        self, train: Feed, validation: Feed | None, rates: Rates | None, factors: Rates | None
    ) -> Layout:
        return Layout(
            n_members=self.n_members,
            train=self._side(train, _n_dropout_units(self._stack.template)),
            validation=NO_SIDE if validation is None else self._side(validation, 0),
            masked=self.masked,
            padding=self._stack.padding,
            scheduled=rates is not None,
            has_factors=factors is not None,
            xla=self._mode.xla,
        )

    def _side(self, feed: Feed, n_dropout_units: int) -> Side:
        outputs = getattr(self._stack.template, "outputs", None)  # None: a class of the user's own
        may_have_several = outputs is None or len(tree.flatten(outputs)) > 1
        return Side(
            steps=_steps_a_call(feed.arrays, feed.batch_size * self.n_members, n_dropout_units),
            batch_size=feed.batch_size,
            row=_row_types(feed.arrays),
            rows_vary=may_have_several and feed.n_rest > 0,
            turn=_TURN if self._mode.xla and backend().device_kind() != "cpu" else 1,
        )


def single(
    model: Any,
    train: Data,
    validation: Data | None,
    batch_sizes: tuple[int, int],
    *,
    shuffle: bool,
    rates: Rates | None,
    factors: Rates | None,
    epochs: int,
) -> Engine:
    """The engine that trains a compiled and built model for some epochs of all rows: a population of one."""
    stack = Stack([model])
    n_steps = epochs * -(-train.arrays[0].shape[0] // batch_sizes[0])
    mode = mode_of(model, train.x).of_steps(n_steps)
    assembly = Assembly(stack, (train, validation), batch_sizes, 1, mode)
    tests = None if validation is None else assembly.feed(1, [_all_rows(validation)])
    feed = assembly.feed(0, [_all_rows(train)], [np.random] if shuffle else None)
    return assembly.engine(np.arange(1), stack.state(), feed, tests, rates, factors)


def _all_rows(data: Data) -> np.ndarray:
    return np.arange(data.arrays[0].shape[0], dtype=np.int32)


def _row_types(arrays: list[Any]) -> tuple[tuple[tuple[int, ...], str], ...]:
    return tuple((tuple(array.shape[1:]), _dtype(array)) for array in arrays)


def _steps_a_call(arrays: list[Any], n_rows: int, n_dropout_units: int) -> int:
    """The most steps, of `n_rows` rows each, that one call takes: a power of two, whatever the data."""
    row = sum(int(np.prod(array.shape[1:])) * np.dtype(_dtype(array)).itemsize for array in arrays)
    most = _BYTES_ON_CORES if backend().device_kind() == "cpu" else _BYTES_ON_ACCELERATOR
    fitting = max(1, most // max(1, n_rows * (row + n_dropout_units)))
    return min(_MAX_STEPS, 1 << (fitting.bit_length() - 1))


def _dtype(array: Any) -> str:
    return keras.backend.standardize_dtype(array.dtype)


def _n_dropout_units(model: Any) -> int:
    return sum(int(np.prod(shape)) for shape in dropouts_of(model).values())


def _initial_metrics(model: Any) -> list[np.ndarray]:
    """The values of the metrics' variables at the beginning of an epoch."""
    variables = model.metrics_variables
    with keras.StatelessScope() as scope:
        model.reset_metrics()
    values = [scope.get_current_value(variable) for variable in variables]
    return [
        keras.ops.convert_to_numpy(
            backend().values([variable])[0] if value is None else keras.ops.cast(value, variable.dtype)
        )
        for variable, value in zip(variables, values, strict=True)
    ]
