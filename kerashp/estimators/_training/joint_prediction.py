"""Predictions of many estimators, in which all networks of one graph shape compute together."""

import warnings
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from kerashp.estimators._data.models import outputs
from kerashp.estimators._training.handover import Asked, asking, giving
from kerashp.training import (
    FallbackWarning,
    Predictor,
    isolated,
    predicting_shape,
    without_retracing_warnings,
)

Prediction = Callable[[], np.ndarray]


class Jointly:
    """Runs predictions up to their networks, computes those together, and lets the predictions go on.

    What it has compiled serves the next time, and is neither copied nor pickled.
    """

    def __init__(self) -> None:
        self._shapes: dict[int, tuple[Any, Hashable]] = {}  # with the models, whose ids nobody else gets then
        self._predictors: dict[tuple[int, ...], Predictor | None] = {}

    def __reduce__(self) -> Any:
        return Jointly, ()

    def results(self, predictions: Sequence[Prediction]) -> list[np.ndarray]:
        """What the predictions give, each of one Keras estimator or of what is around it."""
        first = [_asked(prediction) for prediction in predictions]
        networks = {place: one for place, one in enumerate(first) if isinstance(one, Asked)}
        found: dict[int, np.ndarray] = {}
        for places in self._alike(networks):
            found |= zip(places, self._outputs([networks[place] for place in places]), strict=True)
        return [
            _given(prediction, one.model, found[place]) if isinstance(one, Asked) else one
            for place, (prediction, one) in enumerate(zip(predictions, first, strict=True))
        ]

    def _alike(self, networks: dict[int, Asked]) -> list[list[int]]:
        """The places of those that compute together."""
        groups: dict[Hashable, list[int]] = {}
        for place, one in networks.items():
            key = self._shape(one), one.floatx, one.X.shape, one.X.dtype
            groups.setdefault(key, []).append(place)
        return list(groups.values())

    def _shape(self, one: Asked) -> Hashable:
        number = id(one.model)
        if number not in self._shapes:
            with isolated(dtype=one.floatx):
                self._shapes[number] = one.model, predicting_shape(one.model) or number
        return self._shapes[number][1]

    def _outputs(self, networks: Sequence[Asked]) -> Sequence[np.ndarray]:
        models, rows = [one.model for one in networks], [one.X for one in networks]
        key = tuple(map(id, models))
        with isolated(seed=0, dtype=networks[0].floatx), without_retracing_warnings():
            if len(models) > 1 and self._predictors.get(key, True):
                try:
                    predictor = self._predictors.get(key) or Predictor(models)
                    self._predictors[key] = predictor
                    return list(predictor.predict(rows))
                except Exception as error:
                    self._predictors[key] = None
                    words = f"{len(models)} networks predict one by one: {type(error).__name__}: {error}"
                    warnings.warn(words, FallbackWarning, stacklevel=4)
            return list(map(outputs, models, rows))


def _asked(prediction: Prediction) -> Asked | np.ndarray:
    """What a prediction waits for, or its result where it computes by itself."""
    try:
        with asking():
            return prediction()
    except Asked as asked:
        return asked.with_traceback(None)


def _given(prediction: Prediction, model: Any, found: np.ndarray) -> np.ndarray:
    with giving(model, lambda _: found):
        return prediction()
