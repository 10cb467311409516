"""What fits need if they train as one group, and the seconds that it takes."""

import math
from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from kerashp.model_selection._planning.plan import Group
from kerashp.model_selection._planning.prepare import PreparedFit
from kerashp.training import Costs, deepened

Units = tuple[int, ...]


class Workload(NamedTuple):
    """What fits need if they train as one group."""

    shapes: np.ndarray  # of the weights of the deepest and widest member
    last_hidden: slice  # which of these weights are of the last hidden layer
    units: Units  # of the Dense layers of the deepest and widest member
    fewest: Units  # of these units, as deep
    shallowest: int  # the least number of Dense layers
    columns: Units  # of the inputs, the most of each kind; empty where all have the same
    fewest_columns: Units
    n_members: int
    n_steps: int  # of all members
    batch_size: int
    n_heads: int
    validates: bool

    @classmethod
    def of(cls, fits: Sequence[PreparedFit]) -> "Workload":
        by_depth: dict[int, list[PreparedFit]] = {}
        for fit in fits:
            by_depth.setdefault(len(fit.units), []).append(fit)
        return reduce(cls.joined, map(cls._of_depth, by_depth.values()))

    @classmethod
    def _of_depth(cls, fits: Sequence[PreparedFit]) -> "Workload":
        widths = list(zip(*[fit.units for fit in fits], strict=True))
        columns = list(zip(*[fit.columns for fit in fits], strict=True))
        return cls(
            np.max([fit.shapes for fit in fits], axis=0),
            fits[0].last_hidden,
            tuple(map(max, widths)),
            tuple(map(min, widths)),
            len(widths),
            tuple(map(max, columns)),
            tuple(map(min, columns)),
            len(fits),
            sum(fit.n_epochs * fit.n_steps for fit in fits),
            max(fit.batch_size for fit in fits),
            fits[0].n_heads,
            any(fit.validation is not None for fit in fits),
        )

    def joined(self, other: "Workload") -> "Workload":
        deepest = max(len(self.units), len(other.units))
        one, two = self._deepened(deepest), other._deepened(deepest)
        return Workload(
            np.maximum(one.shapes, two.shapes),
            one.last_hidden,
            tuple(map(max, one.units, two.units)),
            tuple(map(min, one.fewest, two.fewest)),
            min(one.shallowest, two.shallowest),
            tuple(map(max, one.columns, two.columns)),
            tuple(map(min, one.fewest_columns, two.fewest_columns)),
            one.n_members + two.n_members,
            one.n_steps + two.n_steps,
            max(one.batch_size, two.batch_size),
            one.n_heads,
            one.validates or two.validates,
        )

    def _deepened(self, n_layers: int) -> "Workload":
        """With this number of Dense layers: the further ones are as wide as the last hidden one."""
        n_more = n_layers - len(self.units)
        if not n_more:
            return self
        more = self.shapes[self.last_hidden].copy()
        more[:, 0] = self.units[-2]
        start, stop = self.last_hidden.start, self.last_hidden.stop
        further = len(more) * n_more
        return self._replace(
            shapes=np.insert(self.shapes, stop, np.tile(more, (n_more, 1)), axis=0),
            last_hidden=slice(start + further, stop + further),
            units=deepened(self.units, n_layers),
            fewest=deepened(self.fewest, n_layers),
        )

    @property
    def n_rows(self) -> int:
        """The rows of a step with which kernels are multiplied: each head has its own."""
        return self.batch_size * self.n_heads

    @property
    def n_weights(self) -> int:
        return count_weights(self.shapes)

    @property
    def n_layers(self) -> int:
        return int((np.count_nonzero(self.shapes > 1, axis=1) > 1).sum())

    def seconds(self, costs: Costs, n_weights: int | None = None) -> float:
        """To compile and to train, with `n_weights` a member if that is more than the widest needs."""
        steps, n_weights = self.n_steps / self.n_members, n_weights or self.n_weights
        training = costs.training(self.n_members, self.n_layers, n_weights, self.n_rows, steps)
        return costs.compiling(self.n_layers) + training

    def seconds_by(self, program: Group, costs: Costs) -> float:
        """To train by an earlier group's program, whose blocks are filled up; infinite if it has no room."""
        room = program.room
        narrowest = self.fewest[: self.shallowest - 1] + self.fewest[-1:]
        if not (room.holds(self.units) and room.holds(narrowest)):
            return math.inf
        if not (room.holds_columns(self.columns) and room.holds_columns(self.fewest_columns)):
            return math.inf
        if self.batch_size != program.batch_size or self.validates > room.validates:
            return math.inf
        size, steps = room.n_members, self.n_steps / self.n_members
        n_members = room.n_blocks(self.n_members) * size
        n_layers = self.n_layers + len(room.units) - len(self.units)
        return costs.training(n_members, n_layers, program.n_weights, self.n_rows, steps, size)

    def fastest(self, costs: Costs, programs: Sequence[Group]) -> tuple[float, Group | None]:
        """The seconds by a new program (None), or by that of an earlier group if that takes less."""
        options = [(self.seconds_by(program, costs), program) for program in programs]
        return min([(self.seconds(costs), None), *options], key=lambda option: option[0])


def count_weights(shapes: np.ndarray) -> int:
    return int(shapes.prod(axis=1).sum())
