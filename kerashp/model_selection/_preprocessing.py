"""Each distinct preprocessing is fitted once a fold, and shared by all candidates that have it."""

import copy
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import joblib
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline

from kerashp.model_selection._seeds import drawing_from, seed_of


class Memory:
    """What `joblib.Memory` is to a pipeline, in this process.

    Parameters
    ----------
    seed : int or None, default=None
        From it and from what it is given draws what has no `random_state`; None lets it draw its own.
    """

    location = "memory"

    def __init__(self, seed: int | None = None) -> None:
        self._seed = seed
        self._results: dict[str, Any] = {}

    def __deepcopy__(self, memo: Any) -> "Memory":
        return self  # for sklearn.clone

    def __reduce__(self) -> Any:
        return Memory, (self._seed,)  # a worker has its own

    def cache(self, function: Callable[..., Any], ignore: Sequence[str] = ()) -> Callable[..., Any]:
        """The function, which computes nothing twice; some keywords make no difference to it."""
        return partial(self._call, function, ignore)

    def _call(
        self, function: Callable[..., Any], ignore: Sequence[str], *arguments: Any, **keywords: Any
    ) -> Any:
        told = {name: value for name, value in keywords.items() if name not in ignore}
        try:
            key = joblib.hash((function.__qualname__, arguments, told))
        except (pickle.PicklingError, TypeError, AttributeError):  # a function that has no name, say
            return function(*arguments, **keywords)
        if key in self._results:
            return copy.deepcopy(self._results[key])  # later steps may work in place
        with drawing_from(None if self._seed is None else seed_of(self._seed, int(key, 16))):
            result = function(*arguments, **keywords)
        with suppress(Exception):  # what cannot be copied is computed again
            self._results[key] = copy.deepcopy(result)
        return result


def remember(estimator: Any, memory: Memory) -> None:
    """Give the memory to the pipelines that lead to the last step and have none of their own."""
    for outer in around(estimator):
        if isinstance(outer, Pipeline) and outer.memory is None:
            outer.memory = memory


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


def innermost(estimator: Any) -> Any:
    """What is in the middle of all pipelines and transformed targets."""
    while (inner := within(estimator)) is not None:
        estimator = inner
    return estimator
