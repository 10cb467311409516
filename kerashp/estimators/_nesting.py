"""Pipelines and transformed targets around an estimator."""

from collections.abc import Iterator
from typing import Any

from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline


def inner_estimator(estimator: Any) -> Any:
    """The estimator inside a pipeline or a transformed target, fitted if that is; None for any other."""
    if isinstance(estimator, Pipeline):
        return estimator.steps[-1][1]
    if isinstance(estimator, TransformedTargetRegressor):
        return getattr(estimator, "regressor_", estimator.regressor)
    return None


def wrappers_of(estimator: Any) -> Iterator[Any]:
    """The pipelines and transformed targets around the innermost estimator, from outside to inside."""
    while (inner := inner_estimator(estimator)) is not None:
        yield estimator
        estimator = inner


def parameter_path(estimator: Any, name: str) -> str:
    """The name that a parameter of the innermost estimator has in the outermost one."""
    steps = [
        wrapper.steps[-1][0] if isinstance(wrapper, Pipeline) else "regressor"
        for wrapper in wrappers_of(estimator)
    ]
    return "__".join([*steps, name])


def fit_argument(estimator: Any, name: str) -> str:
    """The name that an argument of the innermost estimator's `fit` has in the outermost `fit`.

    A transformed target passes the arguments of `fit` to its regressor under the same names.
    """
    steps = [wrapper.steps[-1][0] for wrapper in wrappers_of(estimator) if isinstance(wrapper, Pipeline)]
    return "__".join([*steps, name])


def innermost(estimator: Any) -> Any:
    """The estimator inside all pipelines and transformed targets."""
    while (inner := inner_estimator(estimator)) is not None:
        estimator = inner
    return estimator
