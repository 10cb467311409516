"""What fits of other widths and depths need as one group."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kerashp import build_model
from kerashp.model_selection._planning.data_pool import RowSubset
from kerashp.model_selection._planning.grouping import _buckets
from kerashp.model_selection._planning.prepare import PreparedFit
from kerashp.model_selection._planning.workload import Workload
from kerashp.training import Costs, Mode, Room, weight_shapes


def prepared(*widths: int, **options: Any) -> PreparedFit:
    model = build_model(len(widths), widths or 1, input_shape=6, **options)
    state: Any = SimpleNamespace(architecture=model, network=model)
    arguments: Any = SimpleNamespace(batch_size=16, epochs=5)
    task: Any = SimpleNamespace(paused=None)
    return PreparedFit(
        task=task,
        state=state,
        arguments=arguments,
        seed=0,
        dtype=None,
        has_own_code=False,
        train=RowSubset(0, np.arange(64), None),
        validation=None,
        kind=None,
        group_key=None,
        mode=Mode(),
        seconds=0.0,
        statistics=None,
    )


DEPTHS = [[(9,), (5, 7)], [(3, 4), (9,), (2, 3, 4)], [(8, 4, 2), (5,), (1,)], [(4,), (9,)], [(), ()]]


@pytest.mark.parametrize("options", [{}, {"batch_normalization": True}], ids=["plain", "normalized"])
@pytest.mark.parametrize("sizes", DEPTHS)
def test_a_group_has_the_weights_of_its_template(
    sizes: list[tuple[int, ...]], options: dict[str, Any]
) -> None:
    fits = [prepared(*size, **options) for size in sizes]
    room = Room.of([fit.units for fit in fits], len(fits))
    deepest = max((fit.model for fit in fits), key=lambda model: len(model.layers))
    for workload in (Workload.of(fits), Workload.of(fits[:1]).joined(Workload.of(fits[1:]))):
        shapes = [tuple(size for size in shape if size > 1) for shape in workload.shapes.tolist()]
        expected = [tuple(size for size in shape if size > 1) for shape in weight_shapes(deepest, room)]
        assert shapes == expected
        assert (workload.units, workload.shallowest) == (room.units, min(len(size) for size in sizes) + 1)
        assert (workload.n_members, workload.n_steps) == (len(fits), 20 * len(fits))


@pytest.mark.parametrize(
    ("sizes", "has_room"),
    [
        ([(9,), (5, 7)], True),
        ([(8, 8)], True),
        ([(9,)], True),
        ([(10,)], False),
        ([(9, 9, 9)], False),
        ([(9, 9), (9,)], False),  # the second layer would have to pass on more units than it has
    ],
)
def test_programs_of_earlier_groups_have_room(sizes: list[tuple[int, ...]], has_room: bool) -> None:
    room = Room(2, (9, 9 if (9,) in sizes and (9, 9) not in sizes else 8, 1), (True, True, False), False, 1)
    program: Any = SimpleNamespace(room=room, batch_size=16, n_weights=150)
    costs = Costs(1.0, 1.0, 0.0, 1e-3, 1e9)
    seconds, chosen = Workload.of([prepared(*size) for size in sizes]).fastest(costs, [program])
    assert (chosen is program) == has_room
    if has_room:  # two members, in one block, with all layers of the program
        n_layers = 2  # the output layer has one unit
        assert seconds == pytest.approx(costs.training(2, n_layers, 150, 16, 20, 2))


def test_depths_are_divided_where_that_takes_less_time() -> None:
    fits = [prepared(width, *[width] * depth) for width in (20, 40) for depth in (0, 2)]

    def divided(compiling: float) -> list[list[tuple[int, ...]]]:
        buckets = _buckets(fits, Costs(compiling, 0, 0, 0, 1e6), [])
        return sorted(sorted(fit.units[:-1] for fit in bucket) for bucket, _ in buckets)

    shallow, deep = [(20,), (40,)], [(20, 20, 20), (40, 40, 40)]
    assert divided(0.0) == [[(20,)], [(20, 20, 20)], [(40,)], [(40, 40, 40)]]
    assert divided(1e3) == [sorted(shallow + deep)]
    assert divided(5.0) == [shallow, deep]
