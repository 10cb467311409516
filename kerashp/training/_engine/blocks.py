"""A population's members in blocks: a block's members train by one compiled call."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import joblib
import numpy as np
from keras import tree

from kerashp.training._engine.assembly import Assembly
from kerashp.training._engine.engine import Engine, select_members
from kerashp.training._members.rates import (
    ConstantFactors,
    ConstantRates,
    Rates,
    ScheduledFactors,
    ScheduledRates,
)
from kerashp.training._runtime.backend import backend
from kerashp.training._runtime.devices import pinned_device, placement
from kerashp.training._stacking.portions import Portions
from kerashp.training._stacking.step import State

_MOST_ON_CORES, _MOST_ON_ACCELERATOR = 16, 1024  # members of a block


class Snapshot(NamedTuple):
    """The state that one member has reached, as NumPy's arrays."""

    state: State
    best: tuple[list[Any], list[Any]] | None  # weights and other variables where they were best, if kept


class Block:
    """Members that train by one compiled call.

    Parameters
    ----------
    engine : Engine
        Its first members are these; any more only fill it up.
    members : int array
        By index in the population.
    best : list of (weights, non_trainable) or None, one a member
        The best weights that other blocks have kept.
    """

    def __init__(self, engine: Engine, members: np.ndarray, best: Sequence[Any]):
        self.engine = engine
        self.members = members
        self._has_best = np.zeros(len(engine.active), bool)
        self._has_best[: len(best)] = [pair is not None for pair in best]
        self._best: Any = None
        if self._has_best.any():
            filler = next(pair for pair in best if pair is not None)
            rows = [filler if pair is None else pair for pair in best]
            rows += [filler] * (len(engine.active) - len(rows))
            self._best = tree.map_structure(backend().put, stack_arrays(rows))

    def keep(self, members: np.ndarray) -> None:
        """Keep the weights of some members, by a bool each, as their best so far."""
        if members.any():
            state = self.engine.carry.state
            current = (state.weights, state.non_trainable)
            self._best = current if self._best is None else select_members(members, current, self._best)
            self._has_best |= members

    def snapshots(self) -> dict[int, Snapshot]:
        """All members' snapshots, by index in the population."""
        states, bests = backend().fetched((self.engine.carry.state, self._best or ()))

        def of_member(arrays: Any, slot: int) -> Any:
            return tree.map_structure(lambda array: array[slot], arrays)

        return {
            member: Snapshot(of_member(states, slot), of_member(bests, slot) if has_best else None)
            for slot, (member, has_best) in enumerate(zip(self.members, self._has_best, strict=False))
        }


class Blocks:
    """All blocks of a population.

    Parameters
    ----------
    assembly : Assembly
    portions : Portions
    rates : list of ScheduledRates or ConstantRates, one a member, or None
        Their learning rates, where the steps take theirs from outside.
    factors : list of ScheduledFactors or ConstantFactors, one a member, or None
        Likewise, the factors of their dropout rates and weight decay.
    state : State
        Where the members begin; arrays of shape `(n_members, ...)`.
    best : list of (weights, non_trainable) or None, one a member
        The best weights before a pause.
    """

    def __init__(
        self,
        assembly: Assembly,
        portions: Portions,
        rates: Sequence[ScheduledRates | ConstantRates] | None,
        factors: Sequence[ScheduledFactors | ConstantFactors] | None,
        state: State,
        best: Sequence[Any],
    ):
        self._assembly = assembly
        self._portions = portions
        self._rates = rates
        self._factors = factors
        self.size = assembly.n_members
        self._device = pinned_device()
        self._ended: dict[int, Snapshot] = {}  # of members that are in no block any more
        self._snapshots: dict[int, Snapshot] = {}  # of other members, where they were asked for
        self._blocks = self._divided(np.arange(len(best)), state, best)

    def __iter__(self) -> Iterator[Block]:
        return iter(self._blocks)

    def __len__(self) -> int:
        return len(self._blocks)

    @property
    def epochs_a_call(self) -> int:
        """How many epochs one compiled call can train."""
        return self._blocks[0].engine.epochs_a_call

    def prepare(self) -> None:
        """Compile what an epoch runs."""
        self._blocks[0].engine.prepare()

    def activate(self, members: Collection[int]) -> None:
        """Let these members train from now on; the others stay as they are."""
        self._snapshots = {}
        for block in self._blocks:
            block.engine.active[:] = False
            block.engine.active[: len(block.members)] = [member in members for member in block.members]

    def compact(self, unfinished: Collection[int]) -> None:
        """Gather the members that are not finished in fewer blocks, when half of those in blocks are."""
        members = [member for block in self._blocks for member in block.members if member in unfinished]
        if not members or -(-len(members) // self.size) > len(self._blocks) / 2:
            return
        snapshots = {member: snapshot for block in self for member, snapshot in block.snapshots().items()}
        for member in snapshots.keys() - set(members):
            self._ended[member] = snapshots[member]
        state = stack_arrays([snapshots[member].state for member in members])
        with placement(self._device):
            best = [snapshots[member].best for member in members]
            self._blocks = self._divided(np.array(members), state, best)

    def snapshot(self, member: int) -> Snapshot:
        """The state that a member has reached."""
        if member in self._ended:
            return self._ended[member]
        if member not in self._snapshots:
            self._snapshots |= next(block for block in self._blocks if member in block.members).snapshots()
        return self._snapshots[member]

    def _divided(self, members: np.ndarray, state: State, best: Sequence[Any]) -> list[Block]:
        """Blocks of these members, which begin in this state; arrays of shape `(len(members), ...)`."""
        blocks = []
        for first in range(0, len(members), self.size):
            n_members = min(self.size, len(members) - first)
            slots = first + np.minimum(np.arange(self.size), n_members - 1)  # the last one fills the block up
            start = tree.map_structure(lambda array, at=slots: array[at], state)
            part = slice(first, first + n_members)
            blocks.append(Block(self._engine(members[slots], start), members[part], best[part]))
        return blocks

    def _engine(self, members: np.ndarray, state: State) -> Engine:
        portions, assembly = self._portions, self._assembly
        generators, starts = portions.generators, portions.starts(members)
        train = assembly.feed(
            0,
            [portions.train_rows[member] for member in members],
            None if generators is None else [generators[member] for member in members],
            starts,
        )
        rates = None if self._rates is None else Rates([self._rates[member] for member in members])
        factors = None if self._factors is None else Rates([self._factors[member] for member in members])
        if portions.test_rows is None:
            return assembly.engine(members, state, train, None, rates, factors)
        test_rows = [portions.test_rows[member] for member in members]
        validation = assembly.feed(1, test_rows, None, starts if portions.validates_on_training_data else {})
        return assembly.engine(members, state, train, validation, rates, factors)


def stack_arrays(rows: Sequence[Any]) -> Any:
    """Nested arrays of shape `(len(rows), ...)`."""
    return tree.map_structure(lambda *values: np.stack(values), *rows)


def n_cores() -> int:
    """How many blocks can train at a time: one for each core of the process, 1 on an accelerator."""
    return joblib.cpu_count() if backend().device_kind() == "cpu" else 1


def n_blocks(n_members: int, at_a_time: int) -> int:
    """The number of blocks in which `n_members` members train: a multiple of those that train at a time."""
    largest = _MOST_ON_CORES if backend().device_kind() == "cpu" else _MOST_ON_ACCELERATOR
    fewest = -(-n_members // largest)
    return min(n_members, -(-fewest // at_a_time) * at_a_time)


def block_size(n_members: int, at_a_time: int, one_by_one: str | None = None) -> int:
    """The number of members in a block, where `n_members` train in `at_a_time` blocks at a time.

    It is 1 if `one_by_one` gives a reason why members train one by one.
    """
    return 1 if one_by_one else -(-n_members // n_blocks(n_members, at_a_time))
