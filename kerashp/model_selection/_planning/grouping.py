"""Fits of one kind in groups that train together: padding is weighed against compiling."""

import math
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from kerashp._compat.keras import flatten_layers
from kerashp.model_selection._planning.data_pool import DataPool
from kerashp.model_selection._planning.fingerprint import digest
from kerashp.model_selection._planning.plan import Alone, Group, Plan
from kerashp.model_selection._planning.prepare import PreparedFit
from kerashp.model_selection._planning.traits import traits_of
from kerashp.training import Costs, Room, n_cores, roomier, weight_shapes

_MOST_SIZES = 128
_ITEM = 4  # bytes of a number
_FULL = 16  # members that a core trains as fast as it can
_COPIES = 4  # of a member's weights: themselves, gradients, the best so far, and on their way
_ROOMIER = 2  # times the weights has a room of widths that are rounded up, at the most


class Means(NamedTuple):
    """With what a plan is made.

    Attributes
    ----------
    costs : Costs
    max_memory : int
        Bytes that a group may need.
    longest : float
        Seconds of one core that a group may train, unless it has so few members that two groups would not
        train faster.
    earlier : list of Group
        Those whose programs are there.
    hurried : bool
        Whether the search may end before all have trained.
    widths_vary : bool
        Whether candidates of other widths may come later.
    """

    costs: Costs
    max_memory: int
    longest: float
    earlier: Sequence[Group]
    hurried: bool
    widths_vary: bool


def planned(fits: Sequence[PreparedFit], alone: Sequence[Alone], blocks: DataPool, means: Means) -> Plan:
    """The plan. Groups train in the room of earlier ones where that is quicker than to compile."""
    alike: dict[Hashable, list[PreparedFit]] = {}
    for ready in fits:
        alike.setdefault(ready.key, []).append(ready)
    groups: list[tuple[Group, Callable[[], Group] | None]] = []
    for own in alike.values():
        kind = digest(own[0].kind)
        mode = own[0].mode
        one_by_one = mode.one_by_one(sum(ready.n_epochs * ready.n_steps for ready in own))
        apart = one_by_one, mode.stackable
        alike_before = [
            group
            for group in means.earlier
            if not own[0].own_code and (group.kind, group.one_by_one) == (kind, one_by_one)
        ]
        programs = list({group.room: group for group in alike_before}.values())
        for bucket, program in _buckets(own, means.costs, programs):
            for part in _fitting(bucket, program, blocks, means):
                by_itself = partial(_described, part, None, kind, apart, blocks, means) if program else None
                groups.append((_described(part, program, kind, apart, blocks, means), by_itself))
    placed = _on_cores(groups, means.hurried)
    placed.sort(key=lambda group: group.seconds / group.n_candidates if means.hurried else -group.seconds)
    return Plan(tuple(placed), tuple(alone), means.costs)


def _on_cores(groups: Sequence[tuple[Group, Callable[[], Group] | None]], hurried: bool) -> list[Group]:
    """Groups that would be at work when all others are done train on all cores; if hurried, all do.

    One in the room of an earlier group may have fewer blocks than there are cores. Beside it is how it would
    be by a program of its own, and where that ends sooner, it is so.
    """
    share = sum(group.seconds for group, _ in groups) / n_cores()
    everywhere = hurried or len(groups) < n_cores()
    placed = []
    for group, by_itself in groups:
        wide = everywhere or group.seconds > share
        if by_itself is None:
            placed.append(group.on(n_cores() if wide else 1))
        elif wide:
            placed.append(min(group, by_itself().on(n_cores()), key=lambda own: own.wall_seconds))
        else:
            placed.append(group)
    return placed


def _buckets(
    fits: list[PreparedFit], costs: Costs, programs: Sequence[Group]
) -> list[tuple[list[PreparedFit], Group | None]]:
    """Fits of one graph shape in groups of similar widths: the cheapest division of those sorted by size.

    Each group computes every member as wide as its widest, and costs a compile; or is trained by the program
    of an earlier group that has room for it.
    """
    sizes: dict[bytes, list[PreparedFit]] = {}
    for ready in fits:
        sizes.setdefault(ready.shapes.tobytes(), []).append(ready)
    alike = _coarser(sorted(sizes.values(), key=lambda own: _n_weights(own[0].shapes)))
    works = [_Work.of(own) for own in alike]
    least: list[float] = [0.0]
    chosen: list[tuple[int, Group | None]] = [(0, None)]  # where a group that ends here begins
    for end in range(1, len(alike) + 1):
        options: list[tuple[float, int, Group | None]] = []
        work = works[end - 1]
        for begin in range(end - 1, -1, -1):
            work = work if begin == end - 1 else work.and_(works[begin])
            seconds, program = work.quickest(costs, programs)
            options.append((least[begin] + seconds, begin, program))
        cost, begin, program = min(options, key=lambda option: option[:2])
        least.append(cost)
        chosen.append((begin, program))
    buckets, end = [], len(alike)
    while end:
        begin, program = chosen[end]
        buckets.append(([ready for own in alike[begin:end] for ready in own], program))
        end = begin
    return buckets


def _coarser(alike: list[list[PreparedFit]]) -> list[list[PreparedFit]]:
    """Neighbours joined, so that there are not more than can be looked through in a moment."""
    step = -(-len(alike) // _MOST_SIZES)
    return [
        [ready for own in alike[first : first + step] for ready in own]
        for first in range(0, len(alike), step)
    ]


class _Work(NamedTuple):
    """What fits are together."""

    shapes: np.ndarray  # of the weights, as wide as the widest
    units: np.ndarray  # of the Dense layers, likewise
    fewest: np.ndarray  # of these units
    n_members: int
    n_steps: int  # of all members
    batch_size: int
    validates: bool

    @classmethod
    def of(cls, fits: Sequence[PreparedFit]) -> "_Work":
        n_steps = sum(ready.n_epochs * ready.n_steps for ready in fits)
        shapes = np.max([ready.shapes for ready in fits], axis=0)
        units = np.array([ready.units for ready in fits], int)
        batch_size = max(ready.batch_size for ready in fits)
        validates = any(ready.validation is not None for ready in fits)
        ends = units.max(axis=0), units.min(axis=0)
        return cls(shapes, *ends, len(fits), n_steps, batch_size, validates)

    def and_(self, other: "_Work") -> "_Work":
        return _Work(
            np.maximum(self.shapes, other.shapes),
            np.maximum(self.units, other.units),
            np.minimum(self.fewest, other.fewest),
            self.n_members + other.n_members,
            self.n_steps + other.n_steps,
            max(self.batch_size, other.batch_size),
            self.validates or other.validates,
        )

    @property
    def n_weights(self) -> int:
        return _n_weights(self.shapes)

    @property
    def n_layers(self) -> int:
        return int((np.count_nonzero(self.shapes > 1, axis=1) > 1).sum())

    def seconds(self, costs: Costs, n_weights: int | None = None) -> float:
        """To compile and to train; with so many weights each if there are more than the widest needs."""
        steps, n_weights = self.n_steps / self.n_members, n_weights or self.n_weights
        training = costs.training(self.n_members, self.n_layers, n_weights, self.batch_size, steps)
        return costs.compiling(self.n_layers) + training

    def seconds_by(self, program: Group, costs: Costs) -> float:
        """To train by an earlier group's program, whose blocks are filled up; infinite: it has no room."""
        room = program.room
        holds = room.holds(tuple(self.units.tolist())) and room.holds(tuple(self.fewest.tolist()))
        if not holds or self.batch_size != program.batch_size or self.validates > room.validates:
            return math.inf
        size, steps = room.n_members, self.n_steps / self.n_members
        n_members = room.n_blocks(self.n_members) * size
        return costs.training(n_members, self.n_layers, program.n_weights, self.batch_size, steps, size)

    def quickest(self, costs: Costs, programs: Sequence[Group]) -> tuple[float, Group | None]:
        """The seconds by a program of its own (None), or by that of an earlier group if it takes less."""
        options = [(self.seconds_by(program, costs), program) for program in programs]
        return min([(self.seconds(costs), None), *options], key=lambda option: option[0])


def _n_weights(shapes: np.ndarray) -> int:
    return int(shapes.prod(axis=1).sum())


def _fitting(
    fits: list[PreparedFit], program: Group | None, blocks: DataPool, means: Means
) -> list[list[PreparedFit]]:
    """The fits in groups of one size that fit in memory and in time; those of one model stay together."""
    own: dict[int, list[PreparedFit]] = {}
    for ready in fits:
        own.setdefault(id(ready.model), []).append(ready)
    left = max(means.max_memory - blocks.n_bytes(_blocks(fits)), 1)
    work, n_members = _Work.of(fits), len(fits)
    n_weights = work.n_weights * (_ROOMIER if means.widths_vary else 1)
    if program is not None:
        n_weights = program.n_weights
        n_members = program.room.n_blocks(n_members) * program.room.n_members
    by_memory = -(-n_members * _member_bytes(fits, n_weights, blocks) // left)
    by_time = min(int(work.seconds(means.costs) // means.longest), len(fits) // (_FULL * n_cores()))
    n_groups = min(len(own), max(1, by_memory, by_time))
    parts = np.array_split(np.array([*own]), n_groups)
    return [[ready for model in part.tolist() for ready in own[model]] for part in parts]


def _blocks(fits: Sequence[PreparedFit]) -> set[int]:
    return {portion.block for ready in fits for portion in ready.portions}


def _member_bytes(fits: Sequence[PreparedFit], n_weights: int, blocks: DataPool) -> int:
    model = fits[0].model
    slots = len(model.optimizer.variables) / max(1, len(model.trainable_variables))
    work = _Work.of(fits)
    outputs = work.batch_size * int(work.shapes[:, -1].sum())
    weighted = any(portion.weight is not None for ready in fits for portion in ready.portions)
    n_rows = sum(map(blocks.n_rows, _blocks(fits)))
    prediction = int(work.shapes[-1].max())  # as wide as the last weight
    return int(_ITEM * ((_COPIES + slots) * n_weights + outputs + n_rows * (prediction + weighted)))


def _described(
    fits: list[PreparedFit],
    program: Group | None,
    kind: str,
    apart: tuple[str | None, bool],
    blocks: DataPool,
    means: Means,
) -> Group:
    """The group of these fits; in the room of the one whose program trains it, if there is one."""
    work = _Work.of(fits)
    needed = float(np.mean([_n_weights(ready.shapes) for ready in fits]))
    if program is None:
        room, n_weights, seconds = _new_room(fits, work, means)
    else:
        room, n_weights, seconds = program.room, program.n_weights, work.seconds_by(program, means.costs)
    return Group(
        fits=tuple(ready.task.place for ready in fits),
        graph=_graph(max(fits, key=lambda ready: _n_weights(ready.shapes)).model),
        batch_size=work.batch_size,
        n_weights=n_weights,
        padding=1 - needed / n_weights,
        n_bytes=blocks.n_bytes(_blocks(fits)) + len(fits) * _member_bytes(fits, n_weights, blocks),
        seconds=seconds,
        compile_seconds=0.0 if program else means.costs.compiling(work.n_layers),
        room=room,
        kind=kind,
        one_by_one=apart[0],
        stackable=apart[1],
        traits=traits_of(fits[0], tuple(work.units.tolist())),
    )


def _new_room(fits: list[PreparedFit], work: _Work, means: Means) -> tuple[Room, int, float]:
    """The room of a program of their own, the weights of a member in it, and the seconds.

    Where others may come that are a little wider, it is for them as well, unless that costs more than a
    compile.
    """
    exact = Room.of([ready.units for ready in fits], len(fits), work.validates)
    seconds = work.seconds(means.costs)
    if not means.widths_vary or fits[0].own_code:
        return exact, work.n_weights, seconds
    model = max(fits, key=lambda ready: _n_weights(ready.shapes)).model
    room = roomier(model, exact)
    n_weights = sum(map(math.prod, weight_shapes(model, room)))
    wider = work.seconds(means.costs, n_weights)
    if wider - seconds > means.costs.compiling(work.n_layers):
        return exact, work.n_weights, seconds
    return room, n_weights, wider


def _graph(model: Any) -> str:
    layers = [layer for layer in flatten_layers(model) if layer is not model]
    words = [f"{type(layer).__name__} {getattr(layer, 'units', '')}".strip() for layer in layers]
    return ", ".join(word for word in words if word != "InputLayer")
