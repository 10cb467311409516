"""A model's epochs as one compiled function, whatever the number of rows.

The function takes the batches of up to `steps` steps, gathered beforehand, and the numbers of steps and
epochs that they make up. Its shape depends neither on how many rows there are nor on how many epochs.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops, tree

from kerashp.training._engine.compiled import Compiled, prepared
from kerashp.training._engine.program_files import program_file
from kerashp.training._keras.layers import dropouts_of
from kerashp.training._keras.logs import Logs
from kerashp.training._keras.numbers import numbers_of
from kerashp.training._runtime.backend import backend
from kerashp.training._runtime.forks import check_fork
from kerashp.training._stacking.padding import Padding
from kerashp.training._stacking.step import Batch, State, Step

MOST_EPOCHS = 16  # of one call, which returns logs of this length even if it trains fewer


@dataclass(frozen=True)
class Side:
    """The sizes of training, or of validation.

    `steps` is the most batches that one call takes; 0: there is no validation. `row` are shape and type of a
    row of each array. Where `rows_vary`, the model is traced with an unknown number of rows. `turn` is the
    number of steps in a loop of constant length: see `Epochs._steps`.
    """

    steps: int
    batch_size: int
    row: tuple[tuple[tuple[int, ...], str], ...]
    rows_vary: bool
    turn: int = 1


NO_SIDE = Side(steps=0, batch_size=0, row=(), rows_vary=False)


@dataclass(frozen=True)
class Layout:
    """The sizes and options that a program is compiled for.

    Where `masked`, only the first `n_rows` rows of a batch are real; otherwise all are. Where `scheduled`,
    every step of training takes its learning rate from outside; where `has_factors`, those of dropout rates
    and weight decay. For `xla`, see `Mode`.
    """

    n_members: int
    train: Side
    validation: Side
    masked: bool
    padding: Padding | None
    scheduled: bool = False
    has_factors: bool = False
    xla: bool = True


class Batches(NamedTuple):
    """Batches for several steps; every array has the shape `(steps, n_members, batch_size, ...)`."""

    leaves: list[Any]
    n_rows: list[Any]  # one array `(steps, n_members)`, 0 for a member that takes no part; or empty
    kept_units: list[Any]
    rates: list[Any]  # one array `(steps, n_members)`, or empty
    factors: list[Any]  # of dropout rates and of weight decay: one array `(steps, n_members, 2)`, or empty

    def at(self, step: Any, *, xla: bool) -> "Batches":
        """The batches of one step."""
        flat = [backend().at(array, step) for array in tree.flatten(self)]
        return tree.pack_sequence_as(self, backend().materialized(flat) if xla else flat)


class Extent(NamedTuple):
    """The part of an epoch, or the number of epochs, that the batches of one call make up."""

    n_epochs: int
    n_steps: int
    n_validation_steps: int


class Carry(NamedTuple):
    """The values that one call hands on to the next; every array has the shape `(n_members, ...)`."""

    state: State
    validation_metrics: list[Any]


class Epochs:
    """The functions that are compiled, on a model of the graph shape.

    `structures` are those of (x, y, sample_weight) in training and in validation, with an index into a
    batch's leaves, or None, in each place.
    """

    def __init__(self, model: Any, layout: Layout, structures: tuple[Any, Any]):
        self._layout = layout
        self._structures = structures
        self._step = Step(model, numbers_of(model), list(dropouts_of(model)), layout.padding)

    def run(
        self,
        carry: Carry,
        constants: list[Any],
        initial_metrics: list[Any],
        train: Batches,
        validation: Batches,
        extent: Any,
    ) -> tuple[Carry, Logs, Logs]:
        """See `Program.run`."""
        n_epochs, n_steps, n_validation_steps = [extent[i] for i in range(3)]
        logs = self._buffers(initial_metrics)

        def epoch(e: Any, carry: Carry, logs: Logs, validation_logs: Logs) -> tuple[Carry, Logs, Logs]:
            first = ops.equal(e, 0)
            state, metrics = carry
            state = state._replace(metrics=_choose(first, state.metrics, initial_metrics))
            state = self._steps(
                self._layout.train,
                n_steps,
                lambda i, state, takes_place: self._train(
                    state, constants, train.at(e * n_steps + i, xla=self._layout.xla), takes_place
                ),
                state,
            )
            logs = _with(logs, e, self._results(state.metrics))
            if self._layout.validation.steps:
                test_state = state._replace(metrics=_choose(first, metrics, initial_metrics))
                test_state = self._steps(
                    self._layout.validation,
                    n_validation_steps,
                    lambda i, state, takes_place: self._test(
                        state, constants, validation.at(i, xla=self._layout.xla), takes_place
                    ),
                    test_state,
                )
                state, metrics = test_state._replace(metrics=state.metrics), test_state.metrics
                validation_logs = _with(validation_logs, e, self._results(metrics))
            return Carry(state, metrics), logs, validation_logs

        return backend().repeat(n_epochs, epoch, (carry, logs, logs))

    def last_batch(
        self, train: bool, carry: Carry, constants: list[Any], batch: Batches
    ) -> tuple[Carry, Logs]:
        """A last batch, of any number of rows, that ends an epoch's training or validation."""
        state, metrics = carry
        if train:
            state = self._train(state, constants, batch)
            return Carry(state, metrics), self._results(state.metrics)
        test_state = self._test(state._replace(metrics=metrics), constants, batch)
        carry = Carry(test_state._replace(metrics=state.metrics), test_state.metrics)
        return carry, self._results(test_state.metrics)

    def outputs(self, state: State, constants: list[Any], x: Any) -> Any:
        """See `Program.outputs`."""
        if x.shape[0] == self._layout.n_members:
            return self._each(self._step.outputs, state, constants, x)
        return self._each(
            lambda state, constants: self._step.outputs(state, constants, x[0]), state, constants
        )

    def _steps(
        self, side: Side, n_steps: Any, step: Callable[[Any, State, Any], State], state: State
    ) -> State:
        """`step(i, state, takes_place)` for i below `n_steps`, in turns of a constant number of steps.

        An accelerator asks the host before every step of a loop whose length is an argument, and before none
        of a loop of constant length. The steps of the last turn that are too many do not take place; without
        turns, all do, which None says.
        """
        if side.turn == 1:
            (state,) = backend().repeat(n_steps, lambda i, state: (step(i, state, None),), (state,))
            return state

        def turn(number: Any, state: State) -> tuple[State]:
            def one(i: Any, state: State) -> tuple[State]:
                number_of_step = number * side.turn + i
                return (step(number_of_step, state, ops.less(number_of_step, n_steps)),)

            (state,) = backend().repeat(side.turn, one, (state,))
            return (state,)

        (state,) = backend().repeat((n_steps + side.turn - 1) // side.turn, turn, (state,))
        return state

    def _train(self, state: State, constants: list[Any], batch: Batches, takes_place: Any = None) -> State:
        side = self._layout.train
        step = partial(self._member_step, self._step.train, self._structures[0], side, takes_place)
        return self._each(step, state, constants, batch)

    def _test(self, state: State, constants: list[Any], batch: Batches, takes_place: Any = None) -> State:
        side = self._layout.validation
        step = partial(self._member_step, self._step.test, self._structures[1], side, takes_place)
        return self._each(step, state, constants, batch)

    def _results(self, metrics: list[Any]) -> Logs:
        return self._each(self._step.results, metrics)

    def _each(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The function of each member, over the first axis of all arrays."""
        if self._layout.n_members > 1:
            return backend().mapped(function, *arguments)
        arguments = tree.map_structure(lambda array: array[0], arguments)
        return tree.map_structure(lambda array: ops.expand_dims(array, 0), function(*arguments))

    def _member_step(
        self,
        step: Callable[..., State],
        structure: Any,
        side: Side,
        takes_place: Any,
        state: State,
        constants: list[Any],
        batch: Batches,
    ) -> State:
        leaves = batch.leaves
        if side.rows_vary:
            leaves = [backend().without_rows(leaf) for leaf in leaves]
        data = tree.map_structure(lambda index: None if index is None else leaves[index], structure)
        n_rows = batch.n_rows[0] if batch.n_rows else None
        takes_part = None if n_rows is None or self._layout.n_members == 1 else n_rows > 0
        if takes_place is not None:
            takes_part = takes_place if takes_part is None else ops.logical_and(takes_place, takes_part)
        n_real_rows = n_rows if self._layout.masked else None
        rate = batch.rates[0] if batch.rates else None
        factors = batch.factors[0] if batch.factors else None
        return step(state, constants, Batch(data, n_real_rows, batch.kept_units, rate, factors, takes_part))

    def _buffers(self, metrics: list[Any]) -> Logs:
        def zeros(log: Any) -> Any:
            # By no operation: TensorFlow would fold it, and name the constant at random; see `SavedGraph`
            dtype = keras.backend.standardize_dtype(log.dtype)
            return ops.convert_to_tensor(np.zeros((MOST_EPOCHS, *log.shape), dtype))

        return tree.map_structure(zeros, self._results(metrics))


def _choose(condition: Any, when_true: list[Any], when_false: list[Any]) -> list[Any]:
    return [ops.where(condition, a, b) for a, b in zip(when_true, when_false, strict=True)]


def _with(logs: Logs, epoch: Any, results: Logs) -> Logs:
    def written(log: Any, result: Any) -> Any:
        is_epoch = ops.reshape(
            ops.equal(ops.arange(log.shape[0], dtype="int32"), epoch), (-1, *[1] * (len(log.shape) - 1))
        )
        return ops.where(is_epoch, ops.expand_dims(result, 0), log)

    return tree.map_structure(written, logs, results)


class Program:
    """The compiled functions of one graph shape. A model of that shape is needed to compile, and not kept."""

    def __init__(self, layout: Layout, structures: tuple[Any, Any], identity: str | None = None):
        self.layout = layout
        self._structures = structures
        self._identity = identity  # by which other processes know the program
        self._compiled: dict[Any, Compiled] = {}
        self._lock = threading.Lock()

    def run(
        self,
        model: Any,
        carry: Carry,
        constants: list[Any],
        initial_metrics: list[Any],
        train: Batches,
        validation: Batches,
        extent: Extent,
    ) -> tuple[Carry, Logs, Logs]:
        """Train and validate on these batches; every log has the shape
        `(MOST_EPOCHS, n_members, ...)`, of which the epochs trained come first.

        `initial_metrics` are the values of the metrics' variables at the beginning of the second and later
        epochs; `carry` has those of the first.
        """
        arguments = (carry, constants, initial_metrics, train, validation, np.asarray(extent, np.int32))
        compiler = partial(backend().compiled, xla=self.layout.xla)
        no_epoch = (*arguments[:-1], np.zeros_like(arguments[-1]))
        return self._call("epochs", model, lambda epochs: epochs.run, compiler, arguments, no_epoch)

    def last_batch(
        self, model: Any, carry: Carry, constants: list[Any], batch: Batches, *, train: bool
    ) -> tuple[Carry, Logs]:
        """The short batch that ends an epoch, of any number of rows."""
        return self._call(
            ("last", train, None if backend().ANY_ROWS else batch.leaves[0].shape[1]),
            model,
            lambda epochs: partial(epochs.last_batch, train),
            partial(backend().for_any_rows, n_batch=len(tree.flatten(batch))),
            (carry, constants, batch),
        )

    def outputs(self, model: Any, state: State, constants: list[Any], x: Any) -> Any:
        """The outputs `(n_members, n_rows, ...)` for rows x of that shape, or `(1, n_rows, ...)` for all.

        Only the weights and the non-trainable variables of the state are used.
        """
        return self._call(
            ("outputs", len(x), str(x.dtype), None if backend().ANY_ROWS else x.shape[1]),
            model,
            lambda epochs: epochs.outputs,
            partial(backend().for_any_rows, n_batch=1),
            (state, constants, x),
        )

    def _call(
        self, key: Any, model: Any, chosen: Callable, compiler: Callable, arguments: tuple, idle: tuple = ()
    ) -> Any:
        """Call the function `chosen` from the model's `Epochs`; for `idle`, see `prepared`."""
        check_fork()
        if key not in self._compiled:
            with self._lock:  # one thread compiles for all
                if key not in self._compiled:
                    file = program_file(self._identity, key, tree.flatten(arguments), (Carry, State))
                    self._compiled[key] = prepared(
                        lambda: chosen(Epochs(model, self.layout, self._structures)),
                        compiler,
                        arguments,
                        idle or arguments,
                        file,
                    )
        return self._compiled[key](arguments)
