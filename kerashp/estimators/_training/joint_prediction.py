"""Predictions of many estimators, computed together for networks of equal graph shape."""

import warnings
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from kerashp.estimators._data.models import outputs
from kerashp.estimators._training.handover import (
    PredictionSuspended,
    substituting_outputs,
    suspending_predictions,
)
from kerashp.training import (
    FallbackWarning,
    Predictor,
    isolated,
    predicting_shape,
    without_retracing_warnings,
)

Prediction = Callable[[], np.ndarray]


class JointPredictions:
    """Suspends predictions at their networks, computes the networks together, and resumes the predictions.

    Compiled functions are reused by later calls; they are neither copied nor pickled.
    """

    def __init__(self) -> None:
        self._shapes: dict[int, tuple[Any, Hashable]] = {}  # with the models, so that their ids stay unique
        self._predictors: dict[tuple[int, ...], Predictor | None] = {}

    def __reduce__(self) -> Any:
        return JointPredictions, ()

    def results(self, predictions: Sequence[Prediction]) -> list[np.ndarray]:
        """The results of predictions, each of a Keras estimator or of a meta-estimator around one."""
        results = [_run_to_network(prediction) for prediction in predictions]
        networks = {i: result for i, result in enumerate(results) if isinstance(result, PredictionSuspended)}
        network_outputs: dict[int, np.ndarray] = {}
        for group in self._groups(networks):
            network_outputs |= zip(group, self._outputs([networks[i] for i in group]), strict=True)
        return [
            _resume(prediction, result.model, network_outputs[i])
            if isinstance(result, PredictionSuspended)
            else result
            for i, (prediction, result) in enumerate(zip(predictions, results, strict=True))
        ]

    def _groups(self, networks: dict[int, PredictionSuspended]) -> list[list[int]]:
        """The indices of the networks that compute together."""
        groups: dict[Hashable, list[int]] = {}
        for i, network in networks.items():
            key = self._shape(network), network.floatx, network.X.shape, network.X.dtype
            groups.setdefault(key, []).append(i)
        return list(groups.values())

    def _shape(self, network: PredictionSuspended) -> Hashable:
        key = id(network.model)
        if key not in self._shapes:
            with isolated(dtype=network.floatx):
                self._shapes[key] = network.model, predicting_shape(network.model) or key
        return self._shapes[key][1]

    def _outputs(self, networks: Sequence[PredictionSuspended]) -> Sequence[np.ndarray]:
        models, rows = [network.model for network in networks], [network.X for network in networks]
        key = tuple(map(id, models))
        with isolated(seed=0, dtype=networks[0].floatx), without_retracing_warnings():
            if len(models) > 1 and self._predictors.get(key, True):
                try:
                    predictor = self._predictors.get(key) or Predictor(models)
                    self._predictors[key] = predictor
                    return list(predictor.predict(rows))
                except Exception as error:
                    self._predictors[key] = None
                    message = f"{len(models)} networks predict one by one: {type(error).__name__}: {error}"
                    warnings.warn(message, FallbackWarning, stacklevel=4)
            return list(map(outputs, models, rows))


def _run_to_network(prediction: Prediction) -> PredictionSuspended | np.ndarray:
    """The network at which a prediction is suspended, or its result if it is not suspended."""
    try:
        with suspending_predictions():
            return prediction()
    except PredictionSuspended as suspended:
        return suspended.with_traceback(None)


def _resume(prediction: Prediction, model: Any, network_outputs: np.ndarray) -> np.ndarray:
    with substituting_outputs(model, lambda _: network_outputs):
        return prediction()
