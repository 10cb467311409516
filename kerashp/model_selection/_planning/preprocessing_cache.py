"""Each distinct preprocessing is fitted once a split, and shared by all candidates that have it."""

import copy
import pickle
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import joblib
from sklearn.pipeline import Pipeline

from kerashp.estimators._nesting import wrappers_of
from kerashp.model_selection._fits.seeds import drawing_from, seed_of


class PreprocessingCache:
    """The `memory` of pipelines, which keeps transformers in this process as `joblib.Memory` does on disk.

    Parameters
    ----------
    seed : int or None, default=None
        Transformers without a `random_state` draw from it and from their arguments; None lets them draw
        their own.
    """

    location = "memory"

    def __init__(self, seed: int | None = None) -> None:
        self._seed = seed
        self._results: dict[str, Any] = {}

    def __deepcopy__(self, memo: Any) -> "PreprocessingCache":
        return self  # for sklearn.clone

    def __reduce__(self) -> Any:
        return PreprocessingCache, (self._seed,)  # a worker has its own

    def cache(self, function: Callable[..., Any], ignore: Sequence[str] = ()) -> Callable[..., Any]:
        """The function, whose results are computed once; keywords in `ignore` do not affect them."""
        return partial(self._call, function, ignore)

    def _call(
        self, function: Callable[..., Any], ignore: Sequence[str], *arguments: Any, **keywords: Any
    ) -> Any:
        relevant = {name: value for name, value in keywords.items() if name not in ignore}
        try:
            key = joblib.hash((function.__qualname__, arguments, relevant))
        except (pickle.PicklingError, TypeError, AttributeError):  # such as a function without a name
            return function(*arguments, **keywords)
        if key in self._results:
            return copy.deepcopy(self._results[key])  # later steps may work in place
        with drawing_from(None if self._seed is None else seed_of(self._seed, int(key, 16))):
            result = function(*arguments, **keywords)
        with suppress(Exception):  # a result that cannot be copied is computed again
            self._results[key] = copy.deepcopy(result)
        return result


def use_cache(estimator: Any, cache: PreprocessingCache) -> None:
    """Let the pipelines around the innermost estimator use the cache, except those with a memory."""
    for outer in wrappers_of(estimator):
        if isinstance(outer, Pipeline) and outer.memory is None:
            outer.memory = cache


def remove_cache(estimator: Any) -> None:
    """The inverse of `use_cache`."""
    for outer in wrappers_of(estimator):
        if isinstance(getattr(outer, "memory", None), PreprocessingCache):
            outer.memory = None
