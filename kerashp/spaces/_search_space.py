"""The search spaces that the searches take, with keras-tuner's hyperparameters converted."""

from typing import Any

from kerashp.spaces._checks import is_hyperparameters
from kerashp.spaces._from_hyperparameters import from_hyperparameters


def search_space(space: Any) -> Any:
    """The space with a `HyperParameters` converted to lists and distributions; any other space unchanged."""
    return from_hyperparameters(space) if is_hyperparameters(space) else space


def single_space(owner: str, space: Any) -> Any:
    """Like `search_space`, for searches that take a single dict.

    Raises
    ------
    ValueError
        If some hyperparameters depend on others.
    """
    converted = search_space(space)
    if converted is space or isinstance(converted, dict):
        return converted
    parents = sorted({condition.name for parameter in space.space for condition in parameter.conditions})
    raise ValueError(
        f"{owner}: some of the HyperParameters depend on {', '.join(map(repr, parents))}, which makes "
        "several spaces. Use RandomizedSearchCV or OracleSearchCV, or leave the conditions out"
    )


def grid(owner: str, space: Any) -> Any:
    """Like `search_space`, for searches that take lists of values only.

    Raises
    ------
    ValueError
        If a hyperparameter is a range without a list of values.
    """
    converted = search_space(space)
    if converted is space:
        return space
    if isinstance(converted, dict):
        return _single_grid(owner, converted)
    return [_single_grid(owner, subspace) for subspace in converted]


def _single_grid(owner: str, space: dict[str, Any]) -> dict[str, list[Any]]:
    return {name: _grid_values(owner, name, values) for name, values in space.items()}


def _grid_values(owner: str, name: str, values: Any) -> list[Any]:
    if isinstance(values, list):
        return values
    if getattr(getattr(values, "dist", None), "name", None) == "randint":
        low, high = map(int, values.support())
        return list(range(low, high + 1))
    raise ValueError(
        f"{owner}: {name!r} of the HyperParameters is a range without a step, so a grid cannot list its "
        "values. Give it a step in keras-tuner, or use a search that samples, such as RandomizedSearchCV"
    )
