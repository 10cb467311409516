"""A population of models that train together."""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from kerashp.training._engine.assembly import Assembly
from kerashp.training._engine.blocks import Block, Blocks, Snapshot, block_size, n_cores, stack_arrays
from kerashp.training._keras.learning_rates import initial_rate
from kerashp.training._keras.logs import flat_logs, native, validation_logs
from kerashp.training._keras.modes import Mode, mode_of
from kerashp.training._keras.obstacles import of_data, of_error, too_large
from kerashp.training._members.member import Member, Paused, Progress, Trained, starting_model
from kerashp.training._members.rates import (
    ConstantFactors,
    ConstantRates,
    ScheduledFactors,
    ScheduledRates,
    Scheduler,
)
from kerashp.training._members.room import Room
from kerashp.training._population_checks import (
    CHECK,
    check_lengths,
    check_members,
    check_paused,
    check_room,
    check_stackable,
    refuse,
)
from kerashp.training._runtime.backend import backend
from kerashp.training._runtime.devices import pinned_device, placement
from kerashp.training._runtime.forks import check_fork
from kerashp.training._runtime.temporary_values import VALUES_LOCK
from kerashp.training._stacking.columns import columns_by_model
from kerashp.training._stacking.finalization import final_state
from kerashp.training._stacking.portions import Portions
from kerashp.training._stacking.stack import Stack
from kerashp.training._stacking.step import State, variables_of

_EPOCHS_BETWEEN = 10  # looks for members that have diverged


class Population:
    """Models of one graph shape that train together, an epoch of many in one compiled call.

    The results of a member are, to rounding, those of a population of one: each member has its own weights,
    learning rate and other numbers, rows, an order of them, random draws, early stopping and best weights.
    How they compare with `Model.fit`, see `kerashp.fit`. Members may differ in numbers (learning rate,
    momentum, betas, weight decay, L1 and L2, dropout, label smoothing; zero or not) and, where layers can be
    padded with zeros, in the columns of their inputs, in the widths of hidden layers and, where these are
    alike, in their number.

    Parameters
    ----------
    members : list of Member
        The models, and what each has of its own.
    x, y : arrays of shape (n_samples, ...), or lists or dicts of them
        Shared by all members; placed on the device once. Where the inputs of members differ in their number
        of columns, x has those of the room, and those that a member lacks are 0, or -1 for codes of
        categories, in its rows.
    sample_weight : array of shape (n_samples,) or (n_members, n_samples), default=None
        Multiplies the loss of each row, for all members or for each.
    batch_size : int, default=32
        Rows a step.
    validation_data : (x, y) or (x, y, sample_weight), default=None
        Rows that members validate on.
    validation_batch_size : int, default=None
        Rows a step of validation; `batch_size` if None.
    shuffle : bool, default=True
        Whether each member takes its rows in a new order in every epoch.
    epochs : int, default=None
        The approximate number of epochs; None: many. On a CPU, a program for few epochs compiles faster.
    blocks_at_a_time : int, default=None
        The members are divided into this number of blocks or a multiple of it; None: one for each core.
    room : kerashp.training.Room, default=None
        The widths and depth of the program and the size of its blocks, whatever `blocks_at_a_time`; the least
        that these members need if None. Another population with the same room is not compiled again, if it
        also has the same graph shape, batch sizes, types of rows, numbers that are zero, and the same use of
        sample weights and schedules.

    Raises
    ------
    ValueError
        If members differ in graph shape or have no place in the room, the room has spare units in a layer
        that cannot be padded, a row is not among the data, or early stopping monitors a name that the logs
        lack.
    RuntimeError
        If training cannot be compiled; see `kerashp.fit` for the causes.

    Notes
    -----
    Members train in blocks (of at most 16, or 1024 on an accelerator), as many at a time as there are cores.
    Each is a block by itself where a layer loops over time steps, or where it convolves on a CPU.
    A member that has stopped is frozen, and so is one whose loss is not finite. This is checked between
    compiled calls, which are of about ten epochs, or shorter so that early stopping decides in time. When
    half have stopped, the others are gathered in fewer blocks. The models must not be compiled again
    meanwhile.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp import build_model
    >>> from kerashp.training import Member, Population
    >>> X = np.random.default_rng(0).normal(size=(200, 8))
    >>> rates = [0.03, 0.01, 0.003]
    >>> members = [Member(build_model(1, 30, rate), random_state=0) for rate in rates]
    >>> trained = Population(members, X, X[:, 0]).train(epochs=5)
    >>> [member.n_epochs for member in trained]
    [5, 5, 5]
    """

    def __init__(
        self,
        members: Sequence[Member],
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        batch_size: int = 32,
        validation_data: Any = None,
        validation_batch_size: int | None = None,
        shuffle: bool = True,
        epochs: int | None = None,
        blocks_at_a_time: int | None = None,
        room: Room | None = None,
    ):
        check_fork()
        batch_size = CHECK.integer("batch_size", batch_size, at_least=1)
        if validation_batch_size is None:
            validation_batch_size = batch_size
        validation_batch_size = CHECK.integer("validation_batch_size", validation_batch_size, at_least=1)
        shuffle = CHECK.flag("shuffle", shuffle)
        epochs = None if epochs is None else CHECK.integer("epochs", epochs, at_least=1)
        at_a_time = n_cores() if blocks_at_a_time is None else blocks_at_a_time
        at_a_time = CHECK.integer("blocks_at_a_time", at_a_time, at_least=1)
        self._members = list(members)
        self._device = pinned_device()
        with VALUES_LOCK:
            check_members(self._members)
            if room is not None:
                check_room(room, self._members)
        refuse(of_data((x, y, sample_weight), validation_data))
        validates = room is not None and room.validates
        self._portions = Portions(
            self._members, x, y, sample_weight, validation_data, shuffle=shuffle, validates=validates
        )
        refuse(too_large(self._portions.n_bytes))
        batch = self._portions.batch(batch_size)
        longest = max(map(len, self._portions.train_rows))
        n_steps = sys.maxsize if epochs is None else epochs * -(-longest // batch_size)
        with VALUES_LOCK:
            room, mode = self._room_and_mode(room, batch, n_steps, at_a_time)
            self._stack = self._make_stack(batch, room)
            check_paused(self._members)
            self._progress = self._first_progress()
            sizes = batch_size, validation_batch_size
            self._assembly = Assembly(self._stack, self._portions.on_device(), sizes, room.n_members, mode)
            if not self._assembly.masked:
                check_lengths(self._portions)
            self._restored = self._stack.restored()
            self._rates = self._learning_rates(batch_size)
            best = list(map(self._best_before, range(len(self._members))))
            factors = self._factors(batch_size)
            self._blocks = Blocks(
                self._assembly, self._portions, self._rates, factors, self._stack.state(), best
            )
        self._prepare()

    def train(self, epochs: int, report: Callable[[int], None] | None = None) -> list[Trained]:
        """Train until every member has trained `epochs` epochs in total, or has stopped.

        Parameters
        ----------
        epochs : int
            The epoch at which training ends, counted from 0: a second call continues the first.
        report : callable, default=None
            Called between compiled calls with the number of epochs, each of one member, since the last
            report: epochs that were trained, or left out by a member that has stopped.

        Returns
        -------
        list of Trained
            The results by member, from the first epoch on.
        """
        epochs = CHECK.integer("epochs", epochs, at_least=0)
        n_left = self._n_left(epochs)
        with ThreadPoolExecutor(n_cores()) as threads:
            while n_epochs := self._n_epochs_together(epochs):
                in_training = {i for i, member in enumerate(self._progress) if member.n_epochs_left(epochs)}
                self._blocks.activate(in_training)
                list(threads.map(lambda block: self._advance(block, n_epochs), self._blocks))
                unstopped = {i for i, member in enumerate(self._progress) if not member.stopped_by}
                self._blocks.compact(unstopped)
                n_left_before, n_left = n_left, self._n_left(epochs)
                if report is not None:
                    report(n_left_before - n_left)
        return [progress.result() for progress in self._progress]

    def state(self, member: int) -> State:
        """A member's values of the template's variables, as in the model that `write` returns.

        They have its best weights, if early stopping restores them; otherwise the weights as its optimizer
        leaves them when training ends, such as their moving averages.

        Parameters
        ----------
        member : int
            The position of the member.

        Returns
        -------
        State
            A named tuple of `weights`, `non_trainable`, `optimizer` and `metrics`.
        """
        state, best = self._snapshot(member)
        watch = self._progress[member].watch
        if watch is None or not watch.restores or best is None:
            with placement(self._device):
                return final_state(self._stack.template, state)
        weights, values = best  # in Keras, too, they replace the optimizer's averages
        choices = zip(self._restored, values, state.non_trainable, strict=True)
        non_trainable = [value if is_restored else last for is_restored, value, last in choices]
        return state._replace(weights=weights, non_trainable=non_trainable)

    def values(self, member: int) -> list[list[np.ndarray]]:
        """The values of the model that `write` returns, without its optimizer's.

        Parameters
        ----------
        member : int
            The position of the member.

        Returns
        -------
        list of list of ndarray
            Of its trainable variables and of the others, in the model's order.
        """
        return self._stack.values_of(member, self.state(member)[:2])

    def paused(self, member: int) -> Paused:
        """The present state of a member's training, from which another population can go on.

        That may have other members, and end at another epoch; the numbers are those of a training without a
        pause.

        Parameters
        ----------
        member : int
            The position of the member.

        Returns
        -------
        Paused
            For `Member(paused=...)`.
        """
        state, best = self._snapshot(member)
        return Paused(
            history=self._progress[member].result().history,
            values=self._stack.values_of(member, state[:3]),
            best=None if best is None else self._stack.values_of(member, best),
            order=self._portions.order(member),
        )

    def predict(self, x: Any, members: Sequence[int]) -> np.ndarray:
        """The predictions of some members, which are those of their models after `write`.

        Parameters
        ----------
        x : array of shape (n_samples, ...)
            The rows, with the columns of those that the population trains on.
        members : list of int
            The positions of the members.

        Returns
        -------
        ndarray of shape (len(members), n_samples, ...)
            The predictions, by member.
        """
        size = self._assembly.n_members
        parts = []
        for first in range(0, len(members), size):
            chosen = np.array(members[first : first + size])
            filled = chosen[np.minimum(np.arange(size), len(chosen) - 1)]
            states = {member: self.state(member) for member in chosen}
            state = stack_arrays([states[member]._replace(optimizer=[], metrics=[]) for member in filled])
            with placement(self._device):
                parts.append(self._assembly.outputs.predict(filled, state, [x])[: len(chosen)])
        return np.concatenate(parts)

    def write(self, member: int, model: Any = None) -> Any:
        """Give a model a member's weights, random seeds and optimizer's state.

        Parameters
        ----------
        member : int
            The position of the member.
        model : keras.Model, default=None
            A model of the member's architecture, compiled and built; the member's `start`, or its model, if
            None.

        Returns
        -------
        keras.Model
            The model.
        """
        state = self.state(member)
        model = starting_model(self._members[member]) if model is None else model
        self._stack.write(member, state, model)
        if self._rates is not None:
            model.optimizer.learning_rate = self._rates[member].initial
        return model

    def _room_and_mode(
        self, room: Room | None, batch: Any, n_steps: int, at_a_time: int
    ) -> tuple[Room, Mode]:
        """The widths of the program and the size of its blocks, and how it is compiled."""
        x, *_ = keras.utils.unpack_x_y_sample_weight(batch)
        mode = mode_of(self._members[0].model, x)
        if room is None:
            one_by_one = mode.one_by_one(n_steps * len(self._members))
            size = block_size(len(self._members), at_a_time, one_by_one)
            models = [member.model for member in self._members]
            columns = columns_by_model(models) if len(set(map(id, models))) > 1 else [()]
            room = Room.of([member.units for member in self._members], size, columns=columns)
        check_stackable(room, mode)
        if room.n_members == 1:
            mode = mode.of_steps(n_steps * len(self._members))
        return room, mode  # many at a time take several times as long without XLA

    def _make_stack(self, batch: Any, room: Room) -> Stack:
        return Stack(
            [member.model for member in self._members],
            batch,
            [member.start for member in self._members],
            [None if member.paused is None else member.paused.values for member in self._members],
            room,
            [member.statistics for member in self._members],
            [member.variant for member in self._members],
        )

    def _first_progress(self) -> list[Progress]:
        template = self._stack.template
        names = list(flat_logs(template.get_metrics_result()))
        for index, member in enumerate(self._members):
            monitor = None if member.early_stopping is None else member.early_stopping.monitor
            log_names = [*names, *[f"val_{name}" for name in names if self._validates(index)]]
            if monitor is not None and monitor not in log_names:
                raise ValueError(
                    f"Population: members[{index}].early_stopping monitors {monitor!r}, but its logs have "
                    f"{', '.join(log_names)}. Give the member validation rows, or monitor one of these"
                )
        return [Progress(member, template.metrics) for member in self._members]

    def _learning_rates(self, batch_size: int) -> list[ScheduledRates | ConstantRates] | None:
        """The members' rates, step by step; None where no member has a schedule."""
        callbacks = [member.schedule for member in self._members]
        if not any(callbacks):
            return None
        first = next(filter(None, callbacks))
        rates = [_initial_rate(member, member.schedule or first) for member in self._members]
        n_steps = self._n_steps(batch_size)
        return [
            ConstantRates(rate) if callback is None else ScheduledRates(callback, rate, steps, past.n_epochs)
            for callback, rate, steps, past in zip(callbacks, rates, n_steps, self._progress, strict=True)
        ]

    def _factors(self, batch_size: int) -> list[ScheduledFactors | ConstantFactors] | None:
        """Those of dropout rates and weight decay; None where no member has a schedule of them."""
        callbacks = [member.regularization for member in self._members]
        if not any(callbacks):
            return None
        n_steps = self._n_steps(batch_size)
        return [
            ConstantFactors() if callback is None else ScheduledFactors(callback, steps, past.n_epochs)
            for callback, steps, past in zip(callbacks, n_steps, self._progress, strict=True)
        ]

    def _n_steps(self, batch_size: int) -> list[int]:
        """The steps of an epoch of each member."""
        return [-(-len(rows) // batch_size) for rows in self._portions.train_rows]

    def _validates(self, member: int) -> bool:
        rows = self._portions.test_rows
        return rows is not None and len(rows[member]) > 0

    def _prepare(self) -> None:
        try:
            self._blocks.prepare()
            template = self._stack.template
            final_state(template, State(*map(backend().values, variables_of(template))))
        except Exception as error:
            raise RuntimeError(
                f"Population: this training cannot be compiled: {of_error(error)}. Train its members by "
                "kerashp.fit"
            ) from error

    def _n_left(self, epochs: int) -> int:
        return sum(progress.n_epochs_left(epochs) for progress in self._progress)

    def _n_epochs_together(self, epochs: int) -> int:
        """How many epochs can be trained before a member may stop; 0: no member has any left."""
        unfinished = [progress for progress in self._progress if progress.n_epochs_left(epochs)]
        if not unfinished:
            return 0
        limits = [max(_EPOCHS_BETWEEN, self._blocks.epochs_a_call)]
        limits += [progress.n_epochs_left(epochs) for progress in unfinished]
        limits += [progress.watch.least_epochs for progress in unfinished if progress.watch is not None]
        return min(limits)

    def _advance(self, block: Block, n_epochs: int) -> None:
        if not block.engine.active.any():
            return
        with placement(self._device):
            for train_logs, test_logs in block.engine.epochs(n_epochs, validate=block.engine.validates):
                logs = train_logs | validation_logs(test_logs)
                for epoch in range(len(train_logs["loss"])):
                    block.keep(self._record(block, {name: list(log[epoch]) for name, log in logs.items()}))

    def _record(self, block: Block, logs: dict[str, list[Any]]) -> np.ndarray:
        """Record an epoch's logs, each a list by member; whose weights are the best so far, a bool each."""
        best = np.zeros(len(block.engine.active), bool)
        for slot, member in enumerate(block.members):
            if block.engine.active[slot] and not self._progress[member].stopped_by:
                names = [name for name in logs if self._validates(member) or not name.startswith("val_")]
                best[slot] = self._progress[member].add_epoch(
                    {name: native(logs[name][slot]) for name in names}
                )
        return best

    def _best_before(self, member: int) -> tuple[list[Any], list[Any]] | None:
        """A member's best weights before a pause, and its other variables then."""
        paused = self._members[member].paused
        if paused is None or paused.best is None:
            return None
        state = self._stack.state_of(member, paused.best)
        return state.weights, state.non_trainable

    def _snapshot(self, member: int) -> Snapshot:
        member = CHECK.integer("member", member, at_least=0)
        if member >= len(self._members):
            raise IndexError(f"Population: member must be below {len(self._members)}; got {member}")
        return self._blocks.snapshot(member)


def _initial_rate(member: Member, callback: Scheduler) -> float:
    rate = initial_rate(starting_model(member), callback)
    return rate if member.variant is None else member.variant.learning_rate
