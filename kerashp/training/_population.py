"""A population of models that train together."""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
import numpy as np
from keras import tree
from keras.callbacks import EarlyStopping
from keras.src.trainers.data_adapters import data_adapter_utils

from kerashp._arguments import Arguments
from kerashp._statistics import normalization_of
from kerashp.training._engine.assembly import Assembly
from kerashp.training._engine.block import Block, Snapshot, stacked
from kerashp.training._engine.engine import Engine
from kerashp.training._keras.learning_rates import initial_rate
from kerashp.training._keras.logs import flat, native, of_validation
from kerashp.training._keras.modes import Mode, mode_of
from kerashp.training._keras.obstacles import of_data, of_error, of_model, too_large
from kerashp.training._members.member import Course, Member, Paused, Trained
from kerashp.training._members.rates import Constant, Rates, Taken
from kerashp.training._members.room import Room, Units, dense_of, units_of
from kerashp.training._runtime.backend import backend
from kerashp.training._runtime.devices import on, pinned
from kerashp.training._runtime.forks import check_fork
from kerashp.training._stacking.finalization import final_state
from kerashp.training._stacking.padding import may_be_padded
from kerashp.training._stacking.portions import Portions
from kerashp.training._stacking.stack import Stack
from kerashp.training._stacking.step import State, variables_of
from kerashp.training._stacking.template import graph_shape

_EPOCHS_BETWEEN = 10  # looks at whether members have diverged
_FEW, _MANY = 16, 1024  # members of one compiled call: on the machine's cores, on an accelerator


_CHECK = Arguments("Population")


class Population:
    """Models of one graph shape that train together, an epoch of many in one compiled call.

    Each member ends, to rounding, with what it ends with in a population of one: it has weights, learning
    rate and other numbers, rows, an order of them, random draws, early stopping and best weights of its own.
    What that is beside `Model.fit`, see `kerashp.fit`. What differs may be numbers (learning rate, momentum,
    betas, weight decay, L1 and L2, dropout, label smoothing; zero or not) and, where zeros can stand in for
    the units that are not there, the widths of hidden layers.

    Parameters
    ----------
    members : list of Member
    x, y : arrays of shape (n_samples, ...), or lists or dicts of them
        Shared by all members; placed on the device once.
    sample_weight : array of shape (n_samples,) or (n_members, n_samples), default=None
        Multiplies the loss of each row, for all members or for each.
    batch_size : int, default=32
        Rows a step.
    validation_data : (x, y) or (x, y, sample_weight), default=None
        What members validate on.
    validation_batch_size : int, default=None
        Rows a step of validation; `batch_size` if None.
    shuffle : bool, default=True
        Whether each member takes its rows in a new order in every epoch.
    epochs : int, default=None
        How many it will train, roughly; None: many. Few are compiled in less time, on a CPU.
    blocks_at_a_time : int, default=None
        Into how many blocks, or a multiple, the members are divided at the least: one for each core if None.
    room : kerashp.training.Room, default=None
        How wide the program is, and how large its blocks are, whatever `blocks_at_a_time`; as these members
        need it if None. Another population of one room is not compiled again, if graph shape, batch sizes and
        the types of the rows are the same, and so is which numbers are zero and who has weights or schedules.

    Raises
    ------
    ValueError
        If members have not one graph shape or are wider than the room, the room has spare units where zeros
        cannot stand in for them, a row is not among the data, or early stopping monitors what no epoch's logs
        have.
    RuntimeError
        If training cannot be compiled; see `kerashp.fit` for what cannot.

    Notes
    -----
    Members train in blocks (of at most 16, or 1024 on an accelerator), as many at a time as there are cores.
    Each is a block by itself where a layer loops over time steps, or where it convolves on a CPU.
    A member that has stopped is frozen, and so is one whose loss is not finite, which is looked for between
    calls (each so short that no early stopping decides within it, otherwise of ten epochs or so). When half
    have stopped, the others are gathered in fewer blocks. The models must not be compiled anew meanwhile.

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
        self._members = list(members)
        self._device = pinned()
        batch_size = _CHECK.integer("batch_size", batch_size, at_least=1)
        if validation_batch_size is not None:
            validation_batch_size = _CHECK.integer("validation_batch_size", validation_batch_size, at_least=1)
        shuffle = _CHECK.flag("shuffle", shuffle)
        _check_ends(self._members)
        _check_models([member.model for member in self._members])
        _check_starts(self._members)
        _check_statistics(self._members)
        if epochs is not None:
            epochs = _CHECK.integer("epochs", epochs, at_least=1)
        at_a_time = n_cores() if blocks_at_a_time is None else blocks_at_a_time
        at_a_time = _CHECK.integer("blocks_at_a_time", at_a_time, at_least=1)
        widths = [units_of(member.model) for member in self._members]
        if room is not None:
            _check_room(room, self._members[0].model, widths)
        _refuse(of_data((x, y, sample_weight), validation_data))
        validates = room is not None and room.validates
        portions = Portions(
            self._members, x, y, sample_weight, validation_data, shuffle=shuffle, validates=validates
        )
        _refuse(too_large(portions.n_bytes))
        self._portions = portions
        batch = portions.batch(batch_size)
        mode = mode_of(self._members[0].model, data_adapter_utils.unpack_x_y_sample_weight(batch)[0])
        n_steps = (
            sys.maxsize if epochs is None else epochs * -(-max(map(len, portions.train_rows)) // batch_size)
        )
        if room is None:
            one_by_one = mode.one_by_one(n_steps * len(widths))
            room = Room.of(widths, block_size(len(widths), at_a_time, one_by_one))
        _check_stackable(room, mode)
        mode = mode.of_steps(n_steps * room.n_blocks(len(widths)))
        self._size = room.n_members
        self._stack = Stack(
            [member.model for member in self._members],
            batch,
            [member.start for member in self._members],
            [None if member.paused is None else member.paused.values for member in self._members],
            room,
            [member.statistics for member in self._members],
        )
        _check_paused(self._members)
        self._courses = self._begun()
        sizes = batch_size, validation_batch_size or batch_size
        self._assembly = Assembly(self._stack, portions.on_device(), sizes, self._size, mode)
        self._check_rows()
        self._restored = self._stack.restored()
        self._rates = self._scheduled(batch_size)
        self._ended: dict[int, Snapshot] = {}  # of members that are in no block any more
        self._snapshots: dict[int, Snapshot] = {}  # of the others, where anybody has asked
        bests = [self._best(member) for member in range(len(self._members))]
        self._blocks = self._packed(np.arange(len(self._members)), self._stack.state(), bests)
        self._prepare()

    def train(self, epochs: int, report: Callable[[int], None] | None = None) -> list[Trained]:
        """Train on, until every member has trained so many epochs in all, or has stopped.

        Parameters
        ----------
        epochs : int
            The epoch at which training ends, counted from 0: a second call goes on from the first.
        report : callable, default=None
            Called now and then with the number of epochs, each of one member, that have passed since last:
            trained, or left out by a member that has stopped.

        Returns
        -------
        list of Trained
            How it went, by member, from the first epoch on.
        """
        epochs = _CHECK.integer("epochs", epochs, at_least=0)
        left = self._left(epochs)
        with ThreadPoolExecutor(n_cores()) as threads:
            while times := self._times(epochs):
                self._snapshots = {}
                for block in self._blocks:
                    block.engine.active[:] = False
                    trains = [self._courses[member].left(epochs) > 0 for member in block.members]
                    block.engine.active[: len(trains)] = trains
                list(threads.map(lambda block: self._advance(block, times), self._blocks))
                self._compact()
                left, before = self._left(epochs), left
                if report is not None:
                    report(before - left)
        return [course.trained() for course in self._courses]

    def state(self, member: int) -> State:
        """A member's values on the template's variables, as in the model that `write` gives.

        With its best weights, if early stopping restores them; otherwise as its optimizer leaves them when
        training ends, such as their moving averages.
        """
        state, best = self._snapshot(member)
        watch = self._courses[member].watch
        if watch is None or not watch.restores or best is None:
            with on(self._device):
                return final_state(self._stack.template, state)
        weights, others = best  # in Keras, too, they come after the optimizer's averages
        choices = zip(self._restored, others, state.others, strict=True)
        kept = [then if is_restored else last for is_restored, then, last in choices]
        return state._replace(weights=weights, others=kept)

    def paused(self, member: int) -> Paused:
        """Where a member's training is now, for a population that goes on from there.

        It may have other members, and end at another epoch; the numbers are those of a training without a
        pause.
        """
        state, best = self._snapshot(member)
        return Paused(
            history=self._courses[member].trained().history,
            values=self._stack.taken(member, state[:3]),
            best=None if best is None else self._stack.taken(member, best),
            order=self._portions.order(member),
        )

    def predict(self, x: Any, members: Sequence[int]) -> np.ndarray:
        """What some members predict, as their models would if they had been written.

        Parameters
        ----------
        x : array of shape (n_samples, ...)
        members : list of int

        Returns
        -------
        ndarray of shape (len(members), n_samples, ...)
        """
        parts = []
        for first in range(0, len(members), self._size):
            own = np.array(members[first : first + self._size])
            filled = own[np.minimum(np.arange(self._size), len(own) - 1)]
            states = {member: self.state(member) for member in own}
            state = stacked([states[member]._replace(optimizer=[], metrics=[]) for member in filled])
            with on(self._device):
                parts.append(self._assembly.outputs.of(filled, state, [x])[: len(own)])
        return np.concatenate(parts)

    def write(self, member: int, model: Any = None) -> Any:
        """Give a model a member's weights, random seeds and optimizer's state.

        Parameters
        ----------
        member : int
        model : keras.Model, default=None
            Of the member's own architecture, compiled and built; the member's `start`, or its model, if None.

        Returns
        -------
        keras.Model
            The model.
        """
        state = self.state(member)
        model = _starts_with(self._members[member]) if model is None else model
        self._stack.write(member, state, model)
        if self._rates is not None:
            model.optimizer.learning_rate = self._rates[member].initial
        return model

    def _begun(self) -> list[Course]:
        template = self._stack.template
        names = list(flat(template.get_metrics_result()))
        for index, member in enumerate(self._members):
            monitor = None if member.early_stopping is None else member.early_stopping.monitor
            known = [*names, *[f"val_{name}" for name in names if self._validates(index)]]
            if monitor is not None and monitor not in known:
                raise ValueError(
                    f"Population: members[{index}].early_stopping monitors {monitor!r}, but its logs have "
                    f"{', '.join(known)}. Give it validation rows, or monitor one of these"
                )
        return [Course(member, template.metrics) for member in self._members]

    def _scheduled(self, batch_size: int) -> list[Taken | Constant] | None:
        """The members' rates, step by step; None where no member has a schedule."""
        callbacks = [member.schedule for member in self._members]
        if not any(callbacks):
            return None
        one = next(filter(None, callbacks))
        rates = [initial_rate(_starts_with(member), member.schedule or one) for member in self._members]
        sizes = [-(-len(rows) // batch_size) for rows in self._portions.train_rows]
        return [
            Constant(rate) if callback is None else Taken(callback, rate, n_steps, course.n_epochs)
            for callback, rate, n_steps, course in zip(callbacks, rates, sizes, self._courses, strict=True)
        ]

    def _validates(self, member: int) -> bool:
        rows = self._portions.test_rows
        return rows is not None and len(rows[member]) > 0

    def _check_rows(self) -> None:
        """Where a short batch cannot be filled up, members must have as many rows."""
        if self._assembly.masked:
            return
        for rows in (self._portions.train_rows, self._portions.test_rows or []):
            numbers = sorted({len(own) for own in rows})
            if len(numbers) > 1:
                raise ValueError(
                    "Population: members must have as many rows each, since this model, its loss or its "
                    f"metrics do not treat a batch's rows one by one; got {numbers}. Make a population of "
                    "each number"
                )

    def _prepare(self) -> None:
        try:
            self._blocks[0].engine.prepare()
            template = self._stack.template
            final_state(template, State(*map(backend().values, variables_of(template))))
        except Exception as error:
            raise RuntimeError(
                f"Population: this training cannot be compiled: {of_error(error)}. Train its members by "
                "kerashp.fit"
            ) from error

    def _left(self, epochs: int) -> int:
        return sum(course.left(epochs) for course in self._courses)

    def _times(self, epochs: int) -> int:
        """How many epochs to train before anything is decided; 0: no member has any left."""
        courses = [course for course in self._courses if course.left(epochs)]
        if not courses:
            return 0
        at_most = max(_EPOCHS_BETWEEN, self._blocks[0].engine.epochs_a_call)
        before_stop = [course.watch.least_epochs for course in courses if course.watch is not None]
        return min(at_most, *before_stop, *[course.left(epochs) for course in courses])

    def _advance(self, block: Block, times: int) -> None:
        if not block.engine.active.any():
            return
        with on(self._device):
            for trained, tested in block.engine.epochs(times, validate=block.engine.validates):
                logs = trained | of_validation(tested)
                for epoch in range(len(trained["loss"])):
                    block.keep(self._seen(block, {name: list(log[epoch]) for name, log in logs.items()}))

    def _seen(self, block: Block, logs: dict[str, list[Any]]) -> np.ndarray:
        """Take the logs of an epoch, each a list by member; whose weights are the best so far."""
        best = np.zeros(self._size, bool)
        for slot, member in enumerate(block.members):
            if block.engine.active[slot] and not self._courses[member].stopped_by:
                own = [name for name in logs if self._validates(member) or not name.startswith("val_")]
                best[slot] = self._courses[member].saw({name: native(logs[name][slot]) for name in own})
        return best

    def _compact(self) -> None:
        """Gather the members that still train in fewer blocks, when half of all in blocks have stopped."""
        members = [member for block in self._blocks for member in block.members]
        left = [member for member in members if self._courses[member].stopped_by is None]
        if not left or -(-len(left) // self._size) > len(self._blocks) / 2:
            return
        snapshots = {member: own for block in self._blocks for member, own in block.snapshots().items()}
        for member in snapshots.keys() - set(left):
            self._ended[member] = snapshots[member]
        state = stacked([snapshots[member].state for member in left])
        with on(self._device):
            self._blocks = self._packed(np.array(left), state, [snapshots[member].best for member in left])

    def _packed(self, members: np.ndarray, state: State, best: list[Any]) -> list[Block]:
        """Blocks of these members, which begin in this state; arrays of shape `(len(members), ...)`."""
        blocks = []
        for first in range(0, len(members), self._size):
            n_real = min(self._size, len(members) - first)
            slots = first + np.minimum(np.arange(self._size), n_real - 1)  # the last one fills the block up
            own = tree.map_structure(lambda array, at=slots: array[at], state)
            real = slice(first, first + n_real)
            blocks.append(Block(self._engine(members[slots], own), members[real], best[real]))
        return blocks

    def _engine(self, members: np.ndarray, state: State) -> Engine:
        portions, assembly = self._portions, self._assembly
        own = [portions.train_rows[member] for member in members]
        rates = None if self._rates is None else Rates([self._rates[member] for member in members])
        generators = portions.generators
        train = assembly.feed(
            0,
            own,
            None if generators is None else [generators[member] for member in members],
            portions.starts(members),
        )
        if portions.test_rows is None:
            return assembly.engine(members, state, train, None, rates)
        starts = portions.starts(members) if portions.validates_on_training_data else {}
        tested = [portions.test_rows[member] for member in members]
        return assembly.engine(members, state, train, assembly.feed(1, tested, None, starts), rates)

    def _best(self, member: int) -> tuple[list[Any], list[Any]] | None:
        """What a member had where it was best before a pause."""
        paused = self._members[member].paused
        if paused is None or paused.best is None:
            return None
        state = self._stack.placed(member, paused.best)
        return state.weights, state.others

    def _snapshot(self, member: int) -> Snapshot:
        member = _CHECK.integer("member", member, at_least=0)
        if member >= len(self._members):
            raise IndexError(f"Population: member must be below {len(self._members)}; got {member}")
        if member in self._ended:
            return self._ended[member]
        if member not in self._snapshots:
            self._snapshots |= next(block for block in self._blocks if member in block.members).snapshots()
        return self._snapshots[member]


def n_cores() -> int:
    """How many blocks can train at a time: as many as the process has cores, 1 on an accelerator."""
    return 1 if backend().device_memory() is not None else joblib.cpu_count()


def n_blocks(n_members: int, at_a_time: int) -> int:
    """In how many blocks so many members train: a multiple of those that train at a time."""
    needed = -(-n_members // (_FEW if backend().device_memory() is None else _MANY))
    return min(n_members, -(-needed // at_a_time) * at_a_time)


def block_size(n_members: int, at_a_time: int, one_by_one: str | None = None) -> int:
    """How many members a block has where so many train, in so many blocks at a time.

    `one_by_one` may say why each has a block of its own.
    """
    return 1 if one_by_one else -(-n_members // n_blocks(n_members, at_a_time))


def _check_room(room: Any, model: Any, widths: Sequence[Units]) -> None:
    if not isinstance(room, Room):
        raise _CHECK.wrong_type("room", "a kerashp.training.Room or None", room)
    _CHECK.integer("room.n_members", room.n_members, at_least=1)
    n_layers = len(dense_of(model))
    if not len(room.units) == len(room.spare) == n_layers:
        raise ValueError(
            f"Population: room must have units and spare for each of {n_layers} Dense layers; got {room}"
        )
    padded = may_be_padded(model) if any(room.spare) and graph_shape(model) else []
    for layer, spare in zip(dense_of(model), room.spare, strict=True):
        if spare and layer.name not in padded:
            raise ValueError(
                f"Population: room must have no spare units in layer {layer.name!r}, whose outputs would be "
                f"others with zeros added; got {room}"
            )
    for index, units in enumerate(widths):
        if not room.holds(units):
            raise ValueError(
                f"Population: room must be as wide as all members, or wider where it has spare units; "
                f"members[{index}].model has Dense layers of {units} units, got {room}"
            )


def _check_stackable(room: Room, mode: Mode) -> None:
    if room.n_members > 1 and not mode.stackable:
        raise ValueError(f"Population: room.n_members must be 1, since {mode.reason}; got {room.n_members}")


def _check_ends(members: Sequence[Member]) -> None:
    for index, member in enumerate(members):
        if member.epochs is not None:
            _CHECK.integer(f"members[{index}].epochs", member.epochs, at_least=1)
        stopping = member.early_stopping
        if stopping is not None and not isinstance(stopping, EarlyStopping):
            expected = "a keras.callbacks.EarlyStopping or None"
            raise _CHECK.wrong_type(f"members[{index}].early_stopping", expected, stopping)


def _check_models(models: Sequence[Any]) -> None:
    if not models:
        raise ValueError("Population: members must be one or more; got none")
    distinct = {id(model): (index, model) for index, model in reversed(list(enumerate(models)))}
    for index, model in distinct.values():
        model._assert_compile_called("fit")
        if not model.built:
            raise ValueError(
                f"Population: members[{index}].model must be built; got one that is not. Give it an Input"
            )
        _refuse(of_model(model))
    first = graph_shape(models[0]) if len(distinct) > 1 else None
    for index, model in distinct.values():
        if model is not models[0] and (first is None or graph_shape(model) != first):
            raise ValueError(
                f"Population: members must have one graph shape; members[0].model and members[{index}].model "
                "differ in more than numbers and widths, or have code of your own in them. Make a population "
                "of each shape"
            )


def _starts_with(member: Member) -> Any:
    """The model that a member's training begins with."""
    return member.model if member.start is None else member.start


def _check_starts(members: Sequence[Member]) -> None:
    for index, member in enumerate(members):
        if member.start is None or member.start is member.model:
            continue
        wanted, got = ([tuple(w.shape) for w in model.weights] for model in (member.model, member.start))
        if got != wanted or type(member.start.optimizer) is not type(member.model.optimizer):
            raise ValueError(
                f"Population: members[{index}].start must be made as its model is, with weights of shapes "
                f"{wanted} and {type(member.model.optimizer).__name__}; got {got} and "
                f"{type(member.start.optimizer).__name__}"
            )


def _check_statistics(members: Sequence[Member]) -> None:
    for index, member in enumerate(members):
        if member.statistics is None:
            continue
        layer = normalization_of(_starts_with(member))
        if layer is None:
            raise ValueError(
                f"Population: members[{index}].statistics must be None, since its model has no Normalization "
                "layer whose mean and variance are weights"
            )
        wanted = tuple(layer.adapt_mean.shape)
        got = [np.shape(array) for array in member.statistics]
        if got != [wanted, wanted]:
            raise ValueError(
                f"Population: members[{index}].statistics must be a mean and a variance of shape {wanted}, "
                f"as its model's Normalization has them; got {got}"
            )


def _check_paused(members: Sequence[Member]) -> None:
    for index, member in enumerate(members):
        if member.paused is None:
            continue
        wanted = [[tuple(v.shape) for v in group] for group in variables_of(_starts_with(member))[:3]]
        got = [[array.shape for array in group] for group in member.paused.values]
        if got != wanted:
            raise ValueError(
                f"Population: members[{index}].paused must be of a model that was made as this one is, with "
                f"variables of shapes {wanted}; got {got}"
            )


def _refuse(reason: str | None) -> None:
    if reason:
        raise RuntimeError(f"Population: this training cannot be compiled: {reason}")
