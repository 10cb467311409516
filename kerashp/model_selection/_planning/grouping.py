"""Fits of one kind in groups that train together: padding is weighed against compiling."""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from kerashp._compat.keras import flatten_layers
from kerashp.model_selection._planning.data_pool import DataPool
from kerashp.model_selection._planning.fingerprint import fingerprint
from kerashp.model_selection._planning.plan import Alone, Group, Plan
from kerashp.model_selection._planning.prepare import PreparedFit
from kerashp.model_selection._planning.traits import traits_of
from kerashp.model_selection._planning.workload import Workload, count_weights
from kerashp.training import Costs, Room, n_cores, roomier, weight_shapes
from kerashp.training._members.room import WIDTHS

_MOST_SIZES = 128
_ITEM = 4  # bytes of a number
_FULL = 16  # members that a core trains as fast as it can
_COPIES = 4  # of a member's weights: themselves, gradients, the best so far, and those in transfer
_ROOMIER = 2  # a room of widths that are rounded up has at most so many times the weights

_Bucket = tuple[list[PreparedFit], Group | None]  # fits, and the earlier group whose program trains them


@dataclass(frozen=True)
class PlanningOptions:
    """The conditions under which a plan is made.

    Attributes
    ----------
    costs : Costs
    max_memory : int
        Bytes that a group may need.
    longest : float
        Seconds of one core that a group may train, unless it has so few members that two groups would not
        train faster.
    earlier : list of Group
        Groups whose programs are compiled.
    has_deadline : bool
        Whether the search may end before all fits have trained.
    widths_vary : bool
        Whether candidates of other widths may come later.
    n_uses : int, default=1
        How often a program will be used, in this process and in others: what compiling it may cost.
    """

    costs: Costs
    max_memory: int
    longest: float
    earlier: Sequence[Group]
    has_deadline: bool
    widths_vary: bool
    n_uses: int = 1


def planned(
    fits: Sequence[PreparedFit], alone: Sequence[Alone], pool: DataPool, options: PlanningOptions
) -> Plan:
    """The plan of these fits. A group uses the program of an earlier one where that is faster."""
    by_key: dict[Hashable, list[PreparedFit]] = {}
    for fit in fits:
        by_key.setdefault(fit.group_key, []).append(fit)
    groups: list[tuple[Group, Callable[[], Group] | None]] = []
    for alike in by_key.values():
        description = _GroupDescription.of(alike, pool, options)
        programs = description.programs(options.earlier)
        costs = options.costs if programs else options.costs.shared_by(options.n_uses)
        for bucket, program in _buckets(alike, costs, programs):
            for part in _parts_that_fit(bucket, program, pool, options):
                group = description.group(part, program)
                groups.append((group, partial(description.group, part, None) if program else None))
    placed = _on_cores(groups, options.has_deadline)
    placed.sort(
        key=lambda group: group.seconds / group.n_candidates if options.has_deadline else -group.seconds
    )
    return Plan(tuple(placed), tuple(alone), options.costs)


def program_for(fit: PreparedFit, groups: Sequence[Group], costs: Costs) -> Group | None:
    """The group whose program trains a fit soonest; None where one of its own takes less time."""
    kind = fingerprint(fit.kind)
    alike = [group for group in groups if group.kind == kind and group.one_by_one is None]
    return None if fit.has_own_code else Workload.of([fit]).fastest(costs, alike)[1]


def _on_cores(groups: Sequence[tuple[Group, Callable[[], Group] | None]], has_deadline: bool) -> list[Group]:
    """Let the groups train on all cores that would be at work when all others are done; with a deadline, all.

    A group that uses the program of an earlier one may have fewer blocks than there are cores. The function
    beside it gives the group with a new program, which replaces it if that ends sooner.
    """
    share = sum(group.seconds for group, _ in groups) / n_cores()
    all_are_wide = has_deadline or len(groups) < n_cores()
    placed = []
    for group, with_new_program in groups:
        is_wide = all_are_wide or group.seconds > share
        if with_new_program is None:
            placed.append(group.on(n_cores() if is_wide else 1))
        elif is_wide:
            alternatives = group, with_new_program().on(n_cores())
            placed.append(min(alternatives, key=lambda alternative: alternative.wall_seconds))
        else:
            placed.append(group)
    return placed


def _buckets(fits: list[PreparedFit], costs: Costs, programs: Sequence[Group]) -> list[_Bucket]:
    """Fits of one graph shape in buckets of similar sizes: the cheapest division.

    A bucket computes every member as wide and as deep as its widest and deepest, and costs a compile; or it
    is trained by the program of an earlier group that has room for it.
    """
    by_shapes: dict[bytes, list[PreparedFit]] = {}
    for fit in fits:
        by_shapes.setdefault(fit.shapes.tobytes(), []).append(fit)
    by_size = sorted(by_shapes.values(), key=lambda alike: count_weights(alike[0].shapes))
    by_depth = sorted(by_size, key=lambda alike: len(alike[0].units))
    orders = [by_size] if by_depth == by_size else [by_size, by_depth]
    divisions = [_cheapest_division(order, costs, programs) for order in orders]
    return min(divisions, key=lambda division: division[0])[1]


def _cheapest_division(
    sizes: list[list[PreparedFit]], costs: Costs, programs: Sequence[Group]
) -> tuple[float, list[_Bucket]]:
    """The seconds of the cheapest division of fits in this order, and its buckets."""
    sizes = _merged_sizes(sizes)
    workloads = [Workload.of(alike) for alike in sizes]
    lowest: list[float] = [0.0]  # seconds of the sizes before
    choices: list[tuple[int, Group | None]] = [(0, None)]  # where the bucket that ends here begins
    for end in range(1, len(sizes) + 1):
        options: list[tuple[float, int, Group | None]] = []
        workload = workloads[end - 1]
        for begin in range(end - 1, -1, -1):
            workload = workload if begin == end - 1 else workload.joined(workloads[begin])
            seconds, program = workload.fastest(costs, programs)
            options.append((lowest[begin] + seconds, begin, program))
        seconds, begin, program = min(options, key=lambda option: option[:2])
        lowest.append(seconds)
        choices.append((begin, program))
    buckets, end = [], len(sizes)
    while end:
        begin, program = choices[end]
        buckets.append(([fit for alike in sizes[begin:end] for fit in alike], program))
        end = begin
    return lowest[-1], buckets


def _merged_sizes(sizes: list[list[PreparedFit]]) -> list[list[PreparedFit]]:
    """Neighbouring sizes merged, so that all divisions of them can be compared in a moment."""
    step = -(-len(sizes) // _MOST_SIZES)
    return [
        [fit for alike in sizes[first : first + step] for fit in alike]
        for first in range(0, len(sizes), step)
    ]


def _parts_that_fit(
    fits: list[PreparedFit], program: Group | None, pool: DataPool, options: PlanningOptions
) -> list[list[PreparedFit]]:
    """The fits in parts of one size that fit in memory and in time; fits of one model stay together."""
    by_model: dict[int, list[PreparedFit]] = {}
    for fit in fits:
        by_model.setdefault(id(fit.network), []).append(fit)
    memory = max(options.max_memory - pool.n_bytes(_data_blocks(fits)), 1)
    workload, n_members = Workload.of(fits), len(fits)
    n_weights = workload.n_weights * (_ROOMIER if options.widths_vary else 1)
    if program is not None:
        n_weights = program.n_weights
        n_members = program.room.n_blocks(n_members) * program.room.n_members
    by_memory = -(-n_members * _member_bytes(fits, n_weights, pool) // memory)
    by_time = min(int(workload.seconds(options.costs) // options.longest), len(fits) // (_FULL * n_cores()))
    n_parts = min(len(by_model), max(1, by_memory, by_time))
    parts = np.array_split(np.array([*by_model]), n_parts)
    return [[fit for model in part.tolist() for fit in by_model[model]] for part in parts]


def _data_blocks(fits: Sequence[PreparedFit]) -> set[int]:
    return {subset.block for fit in fits for subset in fit.row_subsets}


def _member_bytes(fits: Sequence[PreparedFit], n_weights: int, pool: DataPool) -> int:
    model = fits[0].model
    slots = len(model.optimizer.variables) / max(1, len(model.trainable_variables))
    workload = Workload.of(fits)
    outputs = workload.n_rows * int(workload.shapes[:, -1].sum())
    is_weighted = any(subset.weight is not None for fit in fits for subset in fit.row_subsets)
    n_rows = sum(map(pool.n_rows, _data_blocks(fits)))
    prediction = int(workload.shapes[-1].max())  # as wide as the last weight
    return int(_ITEM * ((_COPIES + slots) * n_weights + outputs + n_rows * (prediction + is_weighted)))


@dataclass(frozen=True)
class _GroupDescription:
    """What all groups of fits with one key have in common."""

    kind: str
    one_by_one: str | None
    stackable: bool
    has_own_code: bool
    pool: DataPool
    options: PlanningOptions

    @classmethod
    def of(cls, fits: Sequence[PreparedFit], pool: DataPool, options: PlanningOptions) -> "_GroupDescription":
        first = fits[0]
        one_by_one = first.mode.one_by_one(sum(fit.n_epochs * fit.n_steps for fit in fits))
        return cls(
            fingerprint(first.kind), one_by_one, first.mode.stackable, first.has_own_code, pool, options
        )

    def programs(self, earlier: Sequence[Group]) -> list[Group]:
        """The earlier groups whose programs can train such fits, one for each room."""
        if self.has_own_code:
            return []
        alike = [group for group in earlier if (group.kind, group.one_by_one) == (self.kind, self.one_by_one)]
        return list({group.room: group for group in alike}.values())

    def group(self, fits: list[PreparedFit], program: Group | None) -> Group:
        """The group of these fits; it has the room of the earlier group whose program trains it, if any."""
        workload = Workload.of(fits)
        needed = float(np.mean([count_weights(fit.shapes) for fit in fits]))
        costs = self.options.costs
        if program is None:
            room, n_weights, seconds = _new_room(fits, workload, self.options)
        else:
            room, n_weights, seconds = program.room, program.n_weights, workload.seconds_by(program, costs)
        data_bytes = self.pool.n_bytes(_data_blocks(fits))
        return Group(
            fits=tuple(fit.task.fit_id for fit in fits),
            graph=_graph_summary(fits, workload),
            batch_size=workload.batch_size,
            n_weights=n_weights,
            padding=1 - needed / n_weights,
            n_bytes=data_bytes + len(fits) * _member_bytes(fits, n_weights, self.pool),
            seconds=seconds,
            compile_seconds=0.0 if program else costs.compiling(workload.n_layers),
            room=room,
            kind=self.kind,
            one_by_one=self.one_by_one,
            stackable=self.stackable,
            traits=traits_of(fits[0], workload.units),
        )


def _new_room(
    fits: list[PreparedFit], workload: Workload, options: PlanningOptions
) -> tuple[Room, int, float]:
    """The room of a new program, the weights of a member in it, and the seconds to compile and to train.

    Where wider candidates may come later, it has room for them, unless that costs more than compiling.
    """
    columns = [fit.columns for fit in fits]
    exact = Room.of([fit.units for fit in fits], len(fits), workload.validates, columns)
    seconds = workload.seconds(options.costs)
    if not options.widths_vary or fits[0].has_own_code:
        return exact, workload.n_weights, seconds
    model = _deepest_model(fits)
    room = roomier(model, exact)
    n_weights = sum(map(math.prod, weight_shapes(model, room)))
    seconds_of_wider = workload.seconds(options.costs, n_weights)
    if seconds_of_wider - seconds > options.costs.compiling(workload.n_layers):
        return exact, workload.n_weights, seconds
    return room, n_weights, seconds_of_wider


def _deepest_model(fits: Sequence[PreparedFit]) -> Any:
    """The model with most layers, of those the one with most weights."""
    return max(fits, key=lambda fit: (len(fit.units), count_weights(fit.shapes))).model


def _graph_summary(fits: Sequence[PreparedFit], workload: Workload) -> str:
    """The layers of the deepest model, with the units of the widest in each."""
    model, widths = _deepest_model(fits), iter(workload.units)
    layers = [layer for layer in flatten_layers(model) if layer is not model]
    words = [" ".join([type(layer).__name__, *_widths_in_words(layer, widths)]) for layer in layers]
    text = ", ".join(word for word in words if word != "InputLayer")
    deepest = len(workload.units)
    return text if workload.shallowest == deepest else f"{text} ({workload.shallowest} to {deepest} Dense)"


def _widths_in_words(layer: Any, widths: Iterator[int]) -> list[str]:
    """The widths of a layer, the next of these where members may differ in them."""
    if type(layer) in WIDTHS:
        return [str(next(widths)) for _ in WIDTHS[type(layer)]]
    return [str(layer.units)] if hasattr(layer, "units") else []
