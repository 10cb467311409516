"""What the searches make of a space: keras-tuner's hyperparameters are translated."""

from typing import Any

from kerashp.spaces._checks import is_hyperparameters
from kerashp.spaces._hyperparameters import from_hyperparameters


def search_space(space: Any) -> Any:
    """Lists and distributions in place of a `HyperParameters`; any other space as it is."""
    return from_hyperparameters(space) if is_hyperparameters(space) else space


def single_space(owner: str, space: Any) -> Any:
    """As `search_space`, where one dict is wanted.

    Raises
    ------
    ValueError
        If some hyperparameters depend on others.
    """
    translated = search_space(space)
    if translated is space or isinstance(translated, dict):
        return translated
    parents = sorted({condition.name for one in space.space for condition in one.conditions})
    raise ValueError(
        f"{owner}: some of the HyperParameters depend on {', '.join(map(repr, parents))}, which makes "
        "several spaces. Use RandomizedSearchCV or OracleSearchCV, or leave the conditions out"
    )


def grid(owner: str, space: Any) -> Any:
    """As `search_space`, with all values listed.

    Raises
    ------
    ValueError
        If a hyperparameter is a range of which no values are listed.
    """
    translated = search_space(space)
    if translated is space:
        return space
    if isinstance(translated, dict):
        return _grid(owner, translated)
    return [_grid(owner, one) for one in translated]


def _grid(owner: str, space: dict[str, Any]) -> dict[str, list[Any]]:
    return {name: _values(owner, name, values) for name, values in space.items()}


def _values(owner: str, name: str, values: Any) -> list[Any]:
    if isinstance(values, list):
        return values
    if getattr(getattr(values, "dist", None), "name", None) == "randint":
        low, high = map(int, values.support())
        return list(range(low, high + 1))
    raise ValueError(
        f"{owner}: {name!r} of the HyperParameters is a range without a step, of which a grid has no values. "
        "Give it a step in keras-tuner, or use a search that draws, such as RandomizedSearchCV"
    )
