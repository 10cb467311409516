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

_NONE = Batches([], [], [], [])


@dataclass(frozen=True)
class _Call:
    """What one compiled call trains on: some whole epochs, or a part of one."""

    batches: Batches
    n_epochs: int
    n_steps: int  # an epoch
    begins: bool  # an epoch
    ends: bool
    left: Batches | None  # the last batch, where it is left by itself


class Engine:
    """Trains a population whose models share one graph shape, and keeps its state between calls.

    Parameters
    ----------
    model : keras.Model
        Compiled and built; of the members' shape.
    program : Program
    carry : Carry
        The members' state.
    constants : list of arrays of shape (n_members, ...)
        Each member's own numbers and masks.
    fresh : list of arrays of shape (n_members, ...)
        What the metrics' variables hold when an epoch begins.
    draws : Draws
        The random numbers of dropout.
    rates : Rates or None
        The learning rates, where the steps are told theirs.
    train : Feed
    validation : Feed or None

    Attributes
    ----------
    rates : Rates or None
        Those of the steps to come.
    active : bool array of shape (n_members,)
        The members that train; the others stay as they are.
    """

    def __init__(
        self,
        model: Any,
        program: Program,
        carry: Carry,
        constants: list[Any],
        fresh: list[Any],
        draws: Draws,
        rates: Rates | None,
        train: Feed,
        validation: Feed | None,
    ):
        self.active = np.ones(len(train.members), bool)
        self._model = model
        self._program = program
        self._constants = constants
        self._fresh = fresh
        self._train = train
        self._validation = validation
        self._draws = draws
        self.rates = rates
        self._tests: list[Order] = []
        self._rest = np.zeros((0, 0), np.int32)  # the last rows of validation, where left by themselves
        if validation is not None:
            order, self._rest = validation.order(self.active)
            self._tests = order.parts(program.layout.validation.steps)
        self._only_test: Batches | None = None
        self._tested_last = False
        self.carry = carry
        draws.begin(carry.state.non_trainable)

    def prepare(self) -> None:
        """Compile what an epoch runs, so that what cannot be compiled is known before anything is trained.

        The functions have no effect but their results, which are dropped.
        """
        carry = self.carry
        self._run(self._batches(self._train.no_order()), None, Extent(0, 0, 0))
        for feed in (self._train, self._validation):
            if feed is not None and feed.n_left:
                rows = np.stack([own[: feed.n_left] for own in feed.members])
                nobody = np.zeros_like(self.active)
                self._last_batch(self._left(feed, rows, nobody), train=feed is self._train)
        self._begin_at(carry)

    @property
    def validates(self) -> bool:
        """Whether there is something to validate on."""
        return bool(self._tests) or self._rest.size > 0

    @property
    def epochs_a_call(self) -> int:
        """How many epochs one compiled call can train."""
        feeds = [self._train] if self._validation is None else [self._train, self._validation]
        if any(feed.n_left for feed in feeds) or len(self._tests) > 1:
            return 1
        fitting = self._program.layout.train.steps // max(1, self._train.n_steps)
        return min(MOST_EPOCHS, max(1, fitting))

    def epochs(self, times: int, *, validate: bool) -> Iterator[tuple[Logs, Logs]]:
        """Train `times` epochs, each validated or not, an epoch or more at a time.

        The logs of training and, if asked for, of validation; every array has the shape
        `(n_epochs, n_members, ...)`.
        """
        self._tested_last = validate
        calls = self._calls(times)
        several = times > self.epochs_a_call or self._train.n_steps > self._program.layout.train.steps
        for call in prefetched(calls) if several else calls:
            logs = self._called(call, validate=validate)
            if logs is not None:
                yield logs

    def validation(self) -> Logs:
        """Validate; logs of shape `(1, n_members, ...)`."""
        self.carry = self.carry._replace(validation_metrics=self._fresh)
        none = self._batches(self._train.no_order())
        tested: Logs = {}
        for test in self._tests:
            _, tested = self._run(none, test, Extent(1, 0, len(test.rows)))
        self._tested_last = True
        return self._rest_of_validation() or tested

    def read(self, model: Any) -> None:
        """Take the state of a population of one from a model's variables."""
        state = tree.map_structure(
            lambda array: array[None], State(*map(backend().values, variables_of(model)))
        )
        self._begin_at(self.carry._replace(state=state))

    def write(self, model: Any) -> None:
        """Give a model the state of a population of one."""
        state, validation_metrics = tree.map_structure(lambda array: array[0], self.carry)
        if self._tested_last:
            state = state._replace(metrics=validation_metrics)
        for variables, values in zip(variables_of(model), state, strict=True):
            backend().assign(variables, values)

    def _begin_at(self, carry: Carry) -> None:
        self.carry = carry
        self._draws.begin(carry.state.non_trainable)

    def _calls(self, times: int) -> Iterator[_Call]:
        """What the compiled calls of so many epochs train on."""
        n_steps = self._train.n_steps
        for first in range(0, times, self.epochs_a_call):
            n_epochs = min(self.epochs_a_call, times - first)
            orders, lefts = zip(*[self._train.order(self.active) for _ in range(n_epochs)], strict=True)
            parts = Order.joined(orders).parts(self._program.layout.train.steps) or [self._train.no_order()]
            for index, part in enumerate(parts):
                ends = index == len(parts) - 1
                yield _Call(
                    batches=self._batches(part),
                    n_epochs=n_epochs,
                    n_steps=n_steps if len(parts) == 1 else len(part.rows),
                    begins=index == 0,
                    ends=ends,
                    left=self._left(self._train, lefts[0], self.active)
                    if ends and self._train.n_left
                    else None,
                )

    def _called(self, call: _Call, *, validate: bool) -> tuple[Logs, Logs] | None:
        """Train by one call; the logs where it ends an epoch."""
        if call.begins:
            self.carry = Carry(self.carry.state._replace(metrics=self._fresh), self._fresh)
        together = validate and call.ends and len(self._tests) == 1 and call.left is None
        test = self._tests[0] if together else None
        extent = Extent(call.n_epochs, call.n_steps, 0 if test is None else len(test.rows))
        trained, tested = self._run(call.batches, test, extent)
        if not call.ends:
            return None
        if call.left is not None:
            trained = self._last_batch(call.left, train=True)
        if together:
            tested = self._rest_of_validation() or tested
        elif validate:
            tested = self.validation()
        return trained, tested if validate else {}

    def _run(self, batches: Batches, test: Order | None, extent: Extent) -> tuple[Logs, Logs]:
        self.carry, *logs = self._program.run(
            self._model,
            self.carry,
            self._constants,
            self._fresh,
            batches,
            self._test_batches(test),
            extent,
        )
        trained, tested = tree.map_structure(lambda log: log[: extent.n_epochs], backend().fetched(logs))
        return trained, tested

    def _batches(self, order: Order) -> Batches:
        steps = self._program.layout.train.steps
        leaves, n_rows = self._train.gathered(order, steps)
        taken = order.n_rows > 0
        told = self._draws.kept(taken, self._train.batch_size), self._told_rates(taken)
        return Batches(leaves, n_rows, *[[backend().put_steps(array, steps) for array in of] for of in told])

    def _told_rates(self, taken: np.ndarray) -> list[np.ndarray]:
        return [] if self.rates is None else [self.rates.next(taken)]

    def _test_batches(self, test: Order | None) -> Batches:
        """The batches of a part of the validation; kept on the device where there is but one part."""
        if self._validation is None:
            return _NONE
        steps = self._program.layout.validation.steps
        if len(self._tests) != 1:
            order = self._validation.no_order() if test is None else test
            return Batches(*self._validation.gathered(order, steps), [], [])
        if self._only_test is None:
            self._only_test = Batches(*self._validation.gathered(self._tests[0], steps), [], [])
        return self._only_test

    def _left(self, feed: Feed, rows: np.ndarray, active: np.ndarray) -> Batches:
        """A last batch of these rows, of shape `(n_members, n_rows)`, and what is drawn for the active."""
        if feed is not self._train:
            return Batches(feed.gathered_rows(rows), [], [], [])
        taken = active[None]
        kept = [units[0, :, : rows.shape[1]] for units in self._draws.kept(taken, feed.batch_size)]
        told = kept, [rates[0] for rates in self._told_rates(taken)]
        return Batches(feed.gathered_rows(rows), [], *[list(map(backend().put, of)) for of in told])

    def _last_batch(self, batch: Batches, *, train: bool) -> Logs:
        before = self.carry
        self.carry, logs = self._program.last_batch(self._model, before, self._constants, batch, train=train)
        if not self.active.all():
            self.carry = chosen(self.active, self.carry, before)
        return tree.map_structure(lambda log: log[None], backend().fetched(logs))

    def _rest_of_validation(self) -> Logs:
        """Validate on a last batch that is left by itself; no logs if there is none."""
        if self._validation is None or not self._rest.size:
            return {}
        return self._last_batch(self._left(self._validation, self._rest, self.active), train=False)


def chosen(members: np.ndarray, when_true: Any, when_false: Any) -> Any:
    """Nested arrays of shape `(n_members, ...)`: these members' from one, the others' from the other."""

    def one(a: Any, b: Any) -> Any:
        return ops.where(np.reshape(members, (-1, *[1] * (len(a.shape) - 1))), a, b)

    return tree.map_structure(one, when_true, when_false)
