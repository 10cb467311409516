"""Each distinct preprocessing is fitted once a fold, and shared by all candidates that have it."""

import copy
import pickle
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import joblib
from sklearn.pipeline import Pipeline

from kerashp.estimators._nesting import around
from kerashp.model_selection._fits.seeds import drawing_from, seed_of


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
