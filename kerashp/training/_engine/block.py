"""Some of a population's members: those that one compiled call trains."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import tree

from kerashp.training._engine.engine import Engine, chosen
from kerashp.training._runtime.backend import backend
from kerashp.training._stacking.step import State


class Snapshot(NamedTuple):
    """What one member has come to, as NumPy's arrays."""

    state: State
    best: tuple[list[Any], list[Any]] | None  # weights and other variables where they were best, if kept


class Block:
    """Members in training.

    Parameters
    ----------
    engine : Engine
        Its first members are these; any more only fill it up.
    members : int array
        By index in the population.
    best : list of (weights, others) or None, one a member
        What was kept in other blocks.
    """

    def __init__(self, engine: Engine, members: np.ndarray, best: Sequence[Any]):
        self.engine = engine
        self.members = members
        self._has_best = np.zeros(len(engine.active), bool)
        self._has_best[: len(best)] = [own is not None for own in best]
        self._best: Any = None
        if self._has_best.any():
            kept = next(own for own in best if own is not None)
            rows = [kept if own is None else own for own in best]
            rows += [kept] * (len(engine.active) - len(rows))
            self._best = tree.map_structure(backend().put, stacked(rows))

    def keep(self, members: np.ndarray) -> None:
        """Keep the weights of some members, by a bool each, as their best so far."""
        if members.any():
            state = self.engine.carry.state
            now = (state.weights, state.others)
            self._best = now if self._best is None else chosen(members, now, self._best)
            self._has_best |= members

    def snapshots(self) -> dict[int, Snapshot]:
        """All members', by index in the population."""
        states, bests = backend().fetched((self.engine.carry.state, self._best or ()))
        return {
            member: Snapshot(_row(states, slot), _row(bests, slot) if self._has_best[slot] else None)
            for slot, member in enumerate(self.members)
        }


def stacked(rows: Sequence[Any]) -> Any:
    """Nested arrays of shape `(len(rows), ...)`."""
    return tree.map_structure(lambda *values: np.stack(values), *rows)


def _row(arrays: Any, slot: int) -> Any:
    return tree.map_structure(lambda array: array[slot], arrays)
