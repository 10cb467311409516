"""Epochs of a population's training, by compiled calls on data that stay on the device."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops, tree

from kerashp.training._engine.draws import Draws
from kerashp.training._engine.feed import Feed, Order
from kerashp.training._engine.program import MOST_EPOCHS, Batches, Carry, Extent, Program
from kerashp.training._keras.logs import Logs
from kerashp.training._members.rates import Rates
from kerashp.training._runtime.backend import backend
from kerashp.training._runtime.prefetch import prefetched
from kerashp.training._stacking.step import State, variables_of

_NO_BATCHES = Batches([], [], [], [], [])


@dataclass(frozen=True)
class _Call:
    """The batches of one compiled call: those of some whole epochs, or of a part of one."""

    batches: Batches
    n_epochs: int
    n_steps: int  # of an epoch
    begins_epoch: bool
    ends_epoch: bool
    last_batch: Batches | None  # where a short one is trained by itself


class Engine:
    """Trains a population whose models share one graph shape, and keeps its state between calls.

    Parameters
    ----------
    model : keras.Model
        Compiled and built; of the members' graph shape.
    program : Program
    carry : Carry
        The members' state.
    constants : list of arrays of shape (n_members, ...)
        Each member's numbers and masks.
    initial_metrics : list of arrays of shape (n_members, ...)
        The values of the metrics' variables at the beginning of an epoch.
    draws : Draws
        The random numbers of dropout.
    rates : Rates or None
        The learning rates, where the steps take theirs from outside.
    factors : Rates or None
        Likewise, the factors of dropout rates and of weight decay.
    train : Feed
    validation : Feed or None

    Attributes
    ----------
    rates, factors : Rates or None
        Those of the next steps.
    active : bool array of shape (n_members,)
        The members that train; the others stay as they are.
    """

    def __init__(
        self,
        model: Any,
        program: Program,
        carry: Carry,
        constants: list[Any],
        initial_metrics: list[Any],
        draws: Draws,
        rates: Rates | None,
        factors: Rates | None,
        train: Feed,
        validation: Feed | None,
    ):
        self.active = np.ones(len(train.rows), bool)
        self._model = model
        self._program = program
        self._constants = constants
        self._initial_metrics = initial_metrics
        self._train = train
        self._validation = validation
        self._draws = draws
        self.rates = rates
        self.factors = factors
        self._tests: list[Order] = []
        self._rest_rows = np.zeros((0, 0), np.int32)  # the rows of a short last batch of validation
        if validation is not None:
            order, self._rest_rows = validation.order(self.active)
            self._tests = order.parts(program.layout.validation.steps)
        self._only_test: Batches | None = None
        self._tested_last = False
        self.carry = carry
        draws.begin(carry.state.non_trainable)

    def prepare(self) -> None:
        """Compile all functions of an epoch, so that an error of compiling comes before any training.

        The functions run once, and their results are dropped.
        """
        carry = self.carry
        self._run(self._batches(self._train.no_order()), None, Extent(0, 0, 0))
        for feed in (self._train, self._validation):
            if feed is not None and feed.n_rest:
                rows = np.stack([member_rows[: feed.n_rest] for member_rows in feed.rows])
                no_members = np.zeros_like(self.active)
                self._last_batch(self._short_batch(feed, rows, no_members), train=feed is self._train)
        self._begin_at(carry)

    @property
    def validates(self) -> bool:
        """Whether there are rows to validate on."""
        return bool(self._tests) or self._rest_rows.size > 0

    @property
    def epochs_a_call(self) -> int:
        """How many epochs one compiled call can train."""
        feeds = [self._train] if self._validation is None else [self._train, self._validation]
        if any(feed.n_rest for feed in feeds) or len(self._tests) > 1:
            return 1
        fitting = self._program.layout.train.steps // max(1, self._train.n_steps)
        return min(MOST_EPOCHS, max(1, fitting))

    def epochs(self, n_epochs: int, *, validate: bool) -> Iterator[tuple[Logs, Logs]]:
        """Train `n_epochs` epochs, each with validation or without, an epoch or more at a time.

        Yields the logs of training and those of validation, which may be none; every array has the shape
        `(epochs, n_members, ...)`.
        """
        self._tested_last = validate
        calls = self._calls(n_epochs)
        are_many = n_epochs > self.epochs_a_call or self._train.n_steps > self._program.layout.train.steps
        for call in prefetched(calls) if are_many else calls:
            logs = self._called(call, validate=validate)
            if logs is not None:
                yield logs

    def validation(self) -> Logs:
        """Validate; logs of shape `(1, n_members, ...)`."""
        self.carry = self.carry._replace(validation_metrics=self._initial_metrics)
        no_batches = self._batches(self._train.no_order())
        logs: Logs = {}
        for test in self._tests:
            _, logs = self._run(no_batches, test, Extent(1, 0, len(test.rows)))
        self._tested_last = True
        return self._rest_of_validation() or logs

    def read(self, model: Any) -> None:
        """Take the state of a population of one from a model's variables."""
        values = State(*map(backend().values, variables_of(model)))
        state = tree.map_structure(backend().with_member_axis, values)
        self._begin_at(self.carry._replace(state=state))

    def write(self, model: Any) -> None:
        """Give a model the state of a population of one."""
        state, validation_metrics = tree.map_structure(backend().without_member_axis, self.carry)
        if self._tested_last:
            state = state._replace(metrics=validation_metrics)
        for variables, values in zip(variables_of(model), state, strict=True):
            backend().assign(variables, values)

    def _begin_at(self, carry: Carry) -> None:
        self.carry = carry
        self._draws.begin(carry.state.non_trainable)

    def _calls(self, n_epochs: int) -> Iterator[_Call]:
        """The compiled calls of `n_epochs` epochs."""
        n_steps = self._train.n_steps
        for first in range(0, n_epochs, self.epochs_a_call):
            n_in_call = min(self.epochs_a_call, n_epochs - first)
            orders, rests = zip(*[self._train.order(self.active) for _ in range(n_in_call)], strict=True)
            parts = Order.joined(orders).parts(self._program.layout.train.steps) or [self._train.no_order()]
            for index, part in enumerate(parts):
                ends_epoch = index == len(parts) - 1
                yield _Call(
                    batches=self._batches(part),
                    n_epochs=n_in_call,
                    n_steps=n_steps if len(parts) == 1 else len(part.rows),
                    begins_epoch=index == 0,
                    ends_epoch=ends_epoch,
                    last_batch=self._short_batch(self._train, rests[0], self.active)
                    if ends_epoch and self._train.n_rest
                    else None,
                )

    def _called(self, call: _Call, *, validate: bool) -> tuple[Logs, Logs] | None:
        """Train by one call; the logs of training and of validation if it ends an epoch."""
        if call.begins_epoch:
            self.carry = Carry(
                self.carry.state._replace(metrics=self._initial_metrics), self._initial_metrics
            )
        validates = validate and call.ends_epoch and len(self._tests) == 1 and call.last_batch is None
        test = self._tests[0] if validates else None
        extent = Extent(call.n_epochs, call.n_steps, 0 if test is None else len(test.rows))
        logs, test_logs = self._run(call.batches, test, extent)
        if not call.ends_epoch:
            return None
        if call.last_batch is not None:
            logs = self._last_batch(call.last_batch, train=True)
        if validates:
            test_logs = self._rest_of_validation() or test_logs
        elif validate:
            test_logs = self.validation()
        return logs, test_logs if validate else {}

    def _run(self, batches: Batches, test: Order | None, extent: Extent) -> tuple[Logs, Logs]:
        self.carry, *logs = self._program.run(
            self._model,
            self.carry,
            self._constants,
            self._initial_metrics,
            batches,
            self._test_batches(test),
            extent,
        )
        logs, test_logs = tree.map_structure(lambda log: log[: extent.n_epochs], backend().fetched(logs))
        return logs, test_logs

    def _batches(self, order: Order) -> Batches:
        steps = self._program.layout.train.steps
        leaves, n_rows = self._train.gathered(order, steps)
        takes_part = order.n_rows > 0
        arrays = self._step_values(takes_part, self._train.batch_size)
        return Batches(
            leaves, n_rows, *[[backend().put_steps(array, steps) for array in group] for group in arrays]
        )

    def _step_values(
        self, takes_part: np.ndarray, n_rows: int
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """The kept units, the learning rates and the factors of the next steps."""
        rates = [] if self.rates is None else [self.rates.next(takes_part)]
        factors = [] if self.factors is None else [self.factors.next(takes_part)]
        of_dropout = factors[0][..., 0] if factors else None
        return self._draws.kept_units(takes_part, n_rows, of_dropout), rates, factors

    def _test_batches(self, test: Order | None) -> Batches:
        """The batches of a part of the validation; if it is the only part, they stay on the device."""
        if self._validation is None:
            return _NO_BATCHES
        steps = self._program.layout.validation.steps
        if len(self._tests) != 1:
            order = self._validation.no_order() if test is None else test
            return Batches(*self._validation.gathered(order, steps), [], [], [])
        if self._only_test is None:
            self._only_test = Batches(*self._validation.gathered(self._tests[0], steps), [], [], [])
        return self._only_test

    def _short_batch(self, feed: Feed, rows: np.ndarray, active: np.ndarray) -> Batches:
        """A last batch of these rows, of shape `(n_members, n_rows)`; units are drawn for active members."""
        leaves = feed.gathered_rows(rows)
        if feed is not self._train:
            return Batches(leaves, [], [], [], [])
        kept_units, rates, factors = self._step_values(active[None], feed.batch_size)
        return Batches(
            leaves,
            [],
            [backend().put(units[0, :, : rows.shape[1]]) for units in kept_units],
            [backend().put(array[0]) for array in rates],
            [backend().put(array[0]) for array in factors],
        )

    def _last_batch(self, batch: Batches, *, train: bool) -> Logs:
        carry = self.carry
        self.carry, logs = self._program.last_batch(self._model, carry, self._constants, batch, train=train)
        if not self.active.all():
            self.carry = select_members(self.active, self.carry, carry)
        return tree.map_structure(lambda log: log[None], backend().fetched(logs))

    def _rest_of_validation(self) -> Logs:
        """Validate on a short last batch; no logs if there is none."""
        if self._validation is None or not self._rest_rows.size:
            return {}
        return self._last_batch(
            self._short_batch(self._validation, self._rest_rows, self.active), train=False
        )


def select_members(members: np.ndarray, when_true: Any, when_false: Any) -> Any:
    """Nested arrays of shape `(n_members, ...)`, by a bool for each member."""

    def choose(a: Any, b: Any) -> Any:
        return ops.where(np.reshape(members, (-1, *[1] * (len(a.shape) - 1))), a, b)

    return tree.map_structure(choose, when_true, when_false)
