"""scikit-learn's own checks of an estimator, on all four in both float types, and on ensembles of them."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.estimator_checks import (
    check_methods_subset_invariance,
    estimator_checks_generator,
    parametrize_with_checks,
)

from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor, KerasRegressor
from kerashp.model_selection import KerasEnsembleClassifier, KerasEnsembleRegressor

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short_training")]  # compiled as it is for a user

# As constructed; but a wrapper trains one epoch, as Keras does, if it is not told otherwise.
FLOAT32 = [
    KerasMLPClassifier(),
    KerasMLPRegressor(),
    KerasClassifier(epochs=100),
    KerasRegressor(epochs=100),
]
FLOAT64 = [
    KerasMLPClassifier(dtype="float64"),
    KerasEnsembleClassifier(KerasMLPClassifier(dtype="float64"), 2),
    KerasMLPRegressor(dtype="float64"),
    KerasEnsembleRegressor(KerasMLPRegressor(dtype="float64"), 2),
]

_PERCEPTRONS = (KerasMLPClassifier, KerasMLPRegressor)
_AT_FLOAT64 = (
    "check_methods_sample_order_invariance",  # holds on processors with AVX-512
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
)


def _excused(estimator: BaseEstimator) -> dict[str, str]:
    if any(estimator is one for one in FLOAT64):
        return {}
    return dict.fromkeys(
        _AT_FLOAT64, "compares predictions at a relative 1e-7, the spacing of float32 itself"
    )


def _name_of(check: Callable[..., Any]) -> str:
    return getattr(check, "func", check).__name__


@parametrize_with_checks(FLOAT32 + FLOAT64, expected_failed_checks=_excused)
def test_common_check(estimator: BaseEstimator, check: Callable[[BaseEstimator], None]) -> None:
    check(estimator)


@pytest.mark.parametrize("estimator", FLOAT32, ids=lambda estimator: type(estimator).__name__)
def test_float32_sample_weights_equal_repeated_rows_to_1e_4(estimator: BaseEstimator) -> None:
    # The excused check's own construction, at the precision that float32 has.
    rng = np.random.RandomState(42)
    X, y, weights = rng.rand(15, 30), rng.randint(0, 3, size=15), rng.randint(0, 5, size=15)
    assert 0 in weights
    weighted = clone(estimator).set_params(random_state=0).fit(X, y, sample_weight=weights)
    repeated = clone(estimator).set_params(random_state=0).fit(X.repeat(weights, 0), y.repeat(weights))
    plain = clone(estimator).set_params(random_state=0).fit(X, y)
    outputs = "predict_proba" if is_classifier(estimator) else "predict"
    got, expected = (getattr(fitted, outputs)(X) for fitted in (weighted, repeated))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
    assert not np.allclose(got, getattr(plain, outputs)(X), rtol=1e-2)


@pytest.mark.parametrize("estimator", FLOAT32, ids=lambda estimator: type(estimator).__name__)
def test_float32_predictions_are_those_of_rows_in_another_order_to_1e_6(estimator: BaseEstimator) -> None:
    rng = np.random.RandomState(0)
    X, y, order = rng.normal(size=(60, 3)), rng.randint(0, 2, size=60), rng.permutation(60)
    fitted = clone(estimator).set_params(random_state=0).fit(X, y)
    outputs = getattr(fitted, "predict_proba" if is_classifier(estimator) else "predict")
    np.testing.assert_allclose(outputs(X[order]), outputs(X)[order], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("estimator", FLOAT32, ids=lambda estimator: type(estimator).__name__)
def test_no_check_of_scikit_learns_mlp_is_missing(estimator: BaseEstimator) -> None:
    peer = MLPClassifier() if is_classifier(estimator) else MLPRegressor()
    ours = [_name_of(check) for _, check in estimator_checks_generator(estimator)]
    theirs = [_name_of(check) for _, check in estimator_checks_generator(peer)]
    # Perceptrons take missing numbers, as HistGradientBoosting does; infinity is refused: test_bad_input.
    takes_missing = {"check_estimators_nan_inf"} if isinstance(estimator, _PERCEPTRONS) else set()
    assert set(theirs) - set(ours) == takes_missing
    assert len(ours) >= len(theirs) - len(takes_missing)


class Centred(keras.layers.Layer):
    """Its rows depend on each other."""

    def call(self, inputs: Any) -> Any:
        return inputs - keras.ops.mean(inputs, axis=0)


@pytest.mark.parametrize("layer", [Centred, lambda: keras.layers.UnitNormalization(axis=0)])
def test_few_rows_that_depend_on_each_other_are_predicted_as_they_are(layer: Callable[[], Any]) -> None:
    model = keras.Sequential([keras.Input((3,)), layer(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    X = np.random.default_rng(0).normal(size=(20, 3))
    regressor = KerasRegressor(model, batch_size=20).fit(X, X[:, 0])
    expected = regressor.model_.predict(X[:3], verbose=0)[:, 0]
    np.testing.assert_allclose(regressor.predict(X[:3]), expected, rtol=1e-5)


def test_float32_predictions_of_single_rows_are_those_of_many() -> None:
    check_methods_subset_invariance("KerasMLPRegressor", KerasMLPRegressor())
