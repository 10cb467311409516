"""The records of a journal as plans, results and states; the file may have been written by somebody else."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from kerashp._arguments import shown
from kerashp.model_selection._fits.result import FitId, FitResult
from kerashp.model_selection._planning.plan import Alone, Group, Plan
from kerashp.training import Costs, Paused, Room

# The places of generators that NumPy does not check, and would read other memory by: name, least, greatest.
_PLACES = (("pos", 0, 624), ("buffer_pos", 0, 4))
_N_KEYS = 624  # of an MT19937


def key_of(fit: FitId) -> str:
    """A fit's key."""
    return f"{fit[0]}/{fit[1]}"


def fit_of(key: str) -> FitId:
    """The fit of a key."""
    candidate, split = map(int, key.split("/"))
    return candidate, split


def result_of(kept: Any) -> FitResult:
    """A fit's result.

    Raises
    ------
    Exception
        If it is none, as for the others below.
    """
    for name, fits in _RESULT.items():
        if name not in _OPTIONAL or name in kept:
            _check(name, kept[name], fits)
    texts = {name: tuple(kept[name]) for name in ("score_errors", "unconverged")}
    return FitResult(**kept | texts)


def record_of_result(result: FitResult) -> dict[str, Any]:
    """The record of a fit's result."""
    fields = {name: value for name, value in vars(result).items() if name != "estimator"}
    if result.train_scores is None:
        del fields["train_scores"]
    return fields


def plan_of(kept: Any, fits: Iterable[FitId]) -> Plan:
    """A plan of these fits."""
    groups = list(map(_group, kept["groups"]))
    alone = [Alone(_fit(one["fit"]), str(one["reason"])) for one in kept["alone"]]
    planned = [fit for group in groups for fit in group.fits] + [one.fit for one in alone]
    if sorted(planned) != sorted(fits):
        raise ValueError(f"it plans the fits {shown(planned)}, which are not those of the search")
    return Plan(tuple(groups), tuple(alone), None if kept["costs"] is None else Costs(**kept["costs"]))


def state_of(kept: Any) -> Paused:
    """Where a fit's training was paused."""
    for name, fits in _STATE.items():
        _check(name, kept[name], fits)
    return Paused(**kept)


def _group(kept: dict[str, Any]) -> Group:
    """A group from its dict, in which tuples are lists."""
    room = kept["room"]
    room = Room(room["n_members"], tuple(room["units"]), tuple(room["spare"]), room["validates"])
    group = Group(**kept | {"fits": tuple(map(_fit, kept["fits"])), "room": room})
    counts = (group.batch_size, group.n_weights, group.n_cores, room.n_members, *room.units)
    _check("counts of a group", counts, lambda numbers: all(_is_count(number) for number in numbers))
    _check("one_by_one", group.one_by_one, lambda reason: reason is None or isinstance(reason, str))
    _check(
        "traits",
        group.traits,
        lambda traits: isinstance(traits, dict) and all(map(_is_text, traits.values())),
    )
    return group


def _fit(kept: Any) -> FitId:
    _check("fit", kept, lambda fit: isinstance(fit, list) and len(fit) == 2 and all(map(_is_count, fit)))
    return kept[0], kept[1]


def _check(name: str, value: Any, fits: Callable[[Any], bool]) -> None:
    if not fits(value):
        raise ValueError(f"its {name} is {shown(value)}")


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_score(value: Any) -> bool:
    return _is_number(value) or (isinstance(value, dict) and all(map(_is_number, value.values())))


def _is_history(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(curve, list) for curve in value.values())


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _are_arrays(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(own, list) and all(map(_is_array, own)) for own in value
    )


def _is_order(value: Any) -> bool:
    """Whether a generator's state is one that NumPy can be given."""
    own = {**value, **value["state"]}
    places = all(name not in own or least <= int(own[name]) <= most for name, least, most in _PLACES)
    return places and ("key" not in own or "pos" not in own or own["key"].shape == (_N_KEYS,))


_OPTIONAL = ("train_scores",)
_RESULT: dict[str, Callable[[Any], bool]] = {
    "fit_error": lambda value: value is None or isinstance(value, str),
    "test_scores": _is_score,
    "train_scores": _is_score,
    "n_test_samples": _is_count,
    "fit_time": _is_number,
    "score_time": _is_number,
    "predictions": lambda value: value is None or _is_array(value),
    "test_rows": lambda value: _is_array(value) and value.ndim == 1 and value.dtype.kind in "biu",
    "unconverged": _are_texts,
    "score_errors": _are_texts,
    "history": lambda value: value is None or _is_history(value),
    "best_epoch": lambda value: value is None or type(value) is int,
    "stopped_early": lambda value: value is None or isinstance(value, bool),
}
_STATE: dict[str, Callable[[Any], bool]] = {
    "history": _is_history,
    "values": _are_arrays,
    "best": lambda value: value is None or _are_arrays(value),
    "order": lambda value: value is None or _is_order(value),
}
