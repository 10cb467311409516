"""Epochs of a model's training, by compiled calls on data that stay on the device."""

from typing import Any

import numpy as np
from keras import ops, tree

from kerashp.training._backend import backend
from kerashp.training._draws import Draws
from kerashp.training._feed import Feed, Order
from kerashp.training._program import Batches, Carry, Extent, Logs, Program
from kerashp.training._step import State, variables_of


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
        Each member's own numbers.
    fresh : list of arrays of shape (n_members, ...)
        What the metrics' variables hold when an epoch begins.
    draws : Draws
        The random numbers of dropout.
    train : Feed
    validation : Feed or None
    """

    def __init__(
        self,
        model: Any,
        program: Program,
        carry: Carry,
        constants: list[Any],
        fresh: list[Any],
        draws: Draws,
        train: Feed,
        validation: Feed | None,
    ):
        self.carry = carry
        self._model = model
        self._program = program
        self._constants = constants
        self._fresh = fresh
        self._train = train
        self._validation = validation
        self._draws = draws
        self._tests: list[Order] = []
        self._rest = np.zeros(0, np.int32)  # rows of the last batch of validation, where it is left by itself
        if validation is not None:
            order, self._rest = validation.order()
            self._tests = order.parts(program.layout.validation_steps)
        self._only_test: Batches | None = None
        self._none = train.no_order()
        self._tested_last = False

    def prepare(self) -> None:
        """Compile what an epoch runs, so that what cannot be compiled is known before anything is trained.

        The functions have no effect but their results, which are dropped.
        """
        carry = self.carry
        self._run(self._none, None, 0)
        for feed in (self._train, self._validation):
            if feed is not None and feed.n_left:
                self._last_batch(feed, feed.members[0][: feed.n_left])
        self.carry = carry

    @property
    def epochs_a_call(self) -> int:
        """How many epochs one call can train."""
        feeds = [self._train] if self._validation is None else [self._train, self._validation]
        if any(feed.n_left for feed in feeds) or len(self._tests) > 1:
            return 1
        return max(1, self._program.layout.steps // max(1, self._train.n_steps))

    @property
    def validates(self) -> bool:
        """Whether there is something to validate on."""
        return self._validation is not None

    def epochs(self, times: int, *, validate: bool) -> tuple[Logs, Logs]:
        """Train `times` epochs, at most `epochs_a_call`.

        The logs of training and, if asked for, of validation; every array has the shape
        `(times, n_members, ...)`.
        """
        self.carry = Carry(self.carry.state._replace(metrics=self._fresh), self._fresh)
        orders, left = zip(*[self._train.order() for _ in range(times)], strict=True)
        parts = Order.joined(orders).parts(self._program.layout.steps)
        together = validate and len(parts) > 0 and len(self._tests) == 1 and not self._train.n_left
        logs: Logs = {}
        tested: Logs = {}
        for part in parts:
            test = self._tests[0] if together and part is parts[-1] else None
            logs, tested = self._run(part, test, times)
        if self._train.n_left:
            logs = self._last_batch(self._train, left[0])
        if together:
            tested = self._rest_of_validation() or tested
        elif validate:
            tested = self.validation()
        self._tested_last = validate
        return logs, tested if validate else {}

    def validation(self) -> Logs:
        """Validate; logs of shape `(1, n_members, ...)`."""
        self.carry = self.carry._replace(validation_metrics=self._fresh)
        tested: Logs = {}
        for test in self._tests:
            _, tested = self._run(self._none, test, 1)
        self._tested_last = True
        return self._rest_of_validation() or tested

    def _rest_of_validation(self) -> Logs:
        """Validate on a last batch that is left by itself; no logs if there is none."""
        if self._validation is None or not len(self._rest):
            return {}
        return self._last_batch(self._validation, self._rest)

    def read(self, model: Any) -> None:
        """Take the state of a population of one from a model's variables."""
        state = tree.map_structure(
            lambda array: array[None], State(*map(backend().values, variables_of(model)))
        )
        self.carry = self.carry._replace(state=state)

    def write(self, model: Any) -> None:
        """Give a model the state of a population of one."""
        state, validation_metrics = tree.map_structure(lambda array: array[0], self.carry)
        if self._tested_last:
            state = state._replace(metrics=validation_metrics)
        for variables, values in zip(variables_of(model), state, strict=True):
            backend().assign(variables, values)

    def _run(self, order: Order, test: Order | None, times: int) -> tuple[Logs, Logs]:
        n_steps = len(order.rows)
        extent = Extent(times, n_steps // max(1, times), 0 if test is None else len(test.rows))
        self.carry, *logs = self._program.run(
            self._model,
            self.carry,
            self._constants,
            self._fresh,
            self._batches(order),
            self._test_batches(test),
            extent,
        )
        trained, tested = tree.map_structure(lambda log: ops.convert_to_numpy(log)[:times], logs)
        return trained, tested

    def _batches(self, order: Order) -> Batches:
        steps = self._program.layout.steps
        leaves, n_rows = self._train.gathered(order, steps)
        kept = self._draws.kept(self.carry.state.others, len(order.rows), self._train.batch_size, steps)
        return Batches(leaves, n_rows, list(map(backend().put, kept)))

    def _test_batches(self, test: Order | None) -> Batches:
        """The batches of a part of the validation; kept on the device where there is but one part."""
        if self._validation is None:
            return Batches([], [], [])
        steps = self._program.layout.validation_steps
        if len(self._tests) != 1:
            order = self._validation.no_order() if test is None else test
            return Batches(*self._validation.gathered(order, steps), [])
        if self._only_test is None:
            self._only_test = Batches(*self._validation.gathered(self._tests[0], steps), [])
        return self._only_test

    def _last_batch(self, feed: Feed, rows: np.ndarray) -> Logs:
        train = feed is self._train
        kept = self._draws.kept(self.carry.state.others, 1, len(rows), 1) if train else []
        batch = Batches(feed.gathered_rows(rows), [], [backend().put(units[0]) for units in kept])
        self.carry, logs = self._program.last_batch(
            self._model, self.carry, self._constants, batch, train=train
        )
        return tree.map_structure(lambda log: ops.convert_to_numpy(log)[None], logs)
