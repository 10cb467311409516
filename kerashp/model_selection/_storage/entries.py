"""Plans, results and states from the records of a journal, whose file may come from elsewhere.

A record is checked before it is used.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from kerashp._arguments import short_repr
from kerashp.model_selection._fits.result import FitId, FitResult
from kerashp.model_selection._planning.plan import Alone, Group, Plan
from kerashp.training import Costs, Paused, Room

# The positions in a generator's state that NumPy does not check, and by which it would read other memory:
# name, least, greatest.
_POSITIONS = (("pos", 0, 624), ("buffer_pos", 0, 4))
_N_KEYS = 624  # of an MT19937


def key_of_fit(fit: FitId) -> str:
    """The key of a fit in the file."""
    return f"{fit[0]}/{fit[1]}"


def fit_of_key(key: str) -> FitId:
    """The inverse of `key_of_fit`."""
    candidate, split = map(int, key.split("/"))
    return candidate, split


def result_of_record(record: Any) -> FitResult:
    """The result of a fit.

    Raises
    ------
    Exception
        Of any type, if the record holds no result; likewise below.
    """
    for name, is_valid in _RESULT.items():
        if name not in _OPTIONAL or name in record:
            _check_entry(name, record[name], is_valid)
    texts = {name: tuple(record[name]) for name in ("score_errors", "unconverged")}
    return FitResult(**record | texts)


def record_of_result(result: FitResult) -> dict[str, Any]:
    """The inverse of `result_of_record`."""
    record = {name: value for name, value in vars(result).items() if name != "estimator"}
    if result.train_scores is None:
        del record["train_scores"]
    return record


def plan_of_record(record: Any, fits: Iterable[FitId]) -> Plan:
    """The plan of these fits."""
    groups = list(map(_group_of_record, record["groups"]))
    alone = [Alone(_fit_of_record(entry["fit"]), str(entry["reason"])) for entry in record["alone"]]
    planned = [fit for group in groups for fit in group.fits] + [entry.fit for entry in alone]
    if sorted(planned) != sorted(fits):
        raise ValueError(f"its fits are {short_repr(planned)}, which are not those of the search")
    costs = None if record["costs"] is None else Costs(**record["costs"])
    return Plan(tuple(groups), tuple(alone), costs)


def state_of_record(record: Any) -> Paused:
    """Where the training of a fit was paused."""
    for name, is_valid in _STATE.items():
        _check_entry(name, record[name], is_valid)
    return Paused(**record)


def _group_of_record(record: dict[str, Any]) -> Group:
    """A group, whose tuples are lists in the record."""
    room = record["room"]
    tuples = {name: tuple(room[name]) for name in ("units", "spare", "columns") if name in room}
    room = Room(**room | tuples)
    group = Group(**record | {"fits": tuple(map(_fit_of_record, record["fits"])), "room": room})
    counts = (
        group.batch_size,
        group.n_weights,
        group.n_cores,
        room.n_members,
        room.spare_layers,
        *room.units,
        *room.columns,
    )
    _check_entry("counts of a group", counts, lambda numbers: all(map(_is_count, numbers)))
    _check_entry("one_by_one", group.one_by_one, lambda reason: reason is None or _is_text(reason))
    _check_entry(
        "traits",
        group.traits,
        lambda traits: isinstance(traits, dict) and all(map(_is_text, traits.values())),
    )
    return group


def _fit_of_record(record: Any) -> FitId:
    _check_entry(
        "fit", record, lambda fit: isinstance(fit, list) and len(fit) == 2 and all(map(_is_count, fit))
    )
    return record[0], record[1]


def _check_entry(name: str, value: Any, is_valid: Callable[[Any], bool]) -> None:
    if not is_valid(value):
        raise ValueError(f"its {name} is {short_repr(value)}")


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_real_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_score(value: Any) -> bool:
    return _is_real_number(value) or (isinstance(value, dict) and all(map(_is_real_number, value.values())))


def _is_history(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(curve, list) for curve in value.values())


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _are_arrays(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(arrays, list) and all(map(_is_array, arrays)) for arrays in value
    )


def _is_generator_state(value: Any) -> bool:
    """Whether NumPy can be given this state of a generator."""
    state = {**value, **value["state"]}
    positions = all(
        name not in state or least <= int(state[name]) <= greatest for name, least, greatest in _POSITIONS
    )
    return positions and ("key" not in state or "pos" not in state or state["key"].shape == (_N_KEYS,))


_OPTIONAL = ("train_scores",)
_RESULT: dict[str, Callable[[Any], bool]] = {
    "fit_error": lambda value: value is None or isinstance(value, str),
    "test_scores": _is_score,
    "train_scores": _is_score,
    "n_test_samples": _is_count,
    "fit_time": _is_real_number,
    "score_time": _is_real_number,
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
    "order": lambda value: value is None or _is_generator_state(value),
}
