"""Pipelines and transformed targets around an estimator."""

from collections.abc import Iterator
from typing import Any

from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline


def within(estimator: Any) -> Any:
    """What a pipeline or a transformed target is around; fitted where that is. None: it is neither."""
    if isinstance(estimator, Pipeline):
        return estimator.steps[-1][1]
    if isinstance(estimator, TransformedTargetRegressor):
        return getattr(estimator, "regressor_", estimator.regressor)
    return None


def around(estimator: Any) -> Iterator[Any]:
    """The pipelines and transformed targets around what is in the middle, from the outside in."""
    while (inner := within(estimator)) is not None:
        yield estimator
        estimator = inner


def path_to(estimator: Any, name: str) -> str:
    """What a parameter of what is in the middle is called from outside."""
    steps = [
        outer.steps[-1][0] if isinstance(outer, Pipeline) else "regressor" for outer in around(estimator)
    ]
    return "__".join([*steps, name])


def fit_argument(estimator: Any, name: str) -> str:
    """What an argument of the `fit` of what is in the middle is called from outside.

    A transformed target passes its regressor the arguments of `fit` as they are.
    """
    steps = [outer.steps[-1][0] for outer in around(estimator) if isinstance(outer, Pipeline)]
    return "__".join([*steps, name])


def innermost(estimator: Any) -> Any:
    """What is in the middle of all pipelines and transformed targets."""
    while (inner := within(estimator)) is not None:
        estimator = inner
    return estimator
