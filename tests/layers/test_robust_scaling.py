"""Scaling by medians and quartiles: the formula, weights, networks, and estimators that search over it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import sklearn.model_selection

from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor, build_model
from kerashp.layers import RobustScaling
from kerashp.layers._quantiles import quantiles
from kerashp.model_selection import GridSearchCV

SEARCHES = (GridSearchCV, sklearn.model_selection.GridSearchCV)
OPTIONS: dict[str, Any] = {"n_neurons": 4, "epochs": 2, "tol": None, "random_state": 0}


def rows(n: int = 101) -> np.ndarray:
    """Heavy tails, a constant column, and one whose quartiles are equal."""
    X = np.random.default_rng(0).standard_t(2, size=(n, 5))
    X[:, 3], X[:, 4] = 7.0, np.arange(n) % 10 == 0
    return X


def scaled(X: np.ndarray, train: np.ndarray) -> np.ndarray:
    """The formula, for numbers of rows by which all definitions of quartiles agree."""
    low, first, median, third, high = np.quantile(train, [0, 0.25, 0.5, 0.75, 1], axis=0)
    width = np.where(third > first, third - first, (high - low) / 2)
    z = np.where(width > 0, (X - median) / np.where(width > 0, width, 1), 0)
    return z / np.sqrt(1 + (z / 3) ** 2)


def adapted(X: np.ndarray, **options: Any) -> Any:
    layer = RobustScaling(**options)
    layer.adapt(X)
    return layer


def test_the_formula() -> None:
    X = rows()
    outputs = np.asarray(adapted(X)(X))
    np.testing.assert_allclose(outputs, scaled(X, X), rtol=1e-5, atol=1e-6)
    assert np.abs(outputs).max() < 3
    assert not outputs[:, 3].any()


@pytest.mark.parametrize("value", [1e6, 1e25, -3e38])
def test_a_huge_value_is_clipped(value: float) -> None:
    outputs = np.asarray(adapted(rows())(np.full((1, 5), value, "float32")))
    np.testing.assert_allclose(outputs[0, [0, 1, 2, 4]], np.sign(value) * 3, rtol=1e-5)


def test_columns_after_the_numbers_are_passed_on() -> None:
    X = rows()
    outputs = np.asarray(adapted(X, n_numbers=2)(X))
    np.testing.assert_allclose(outputs[:, :2], scaled(X, X)[:, :2], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(outputs[:, 2:], X[:, 2:].astype("float32"))


def test_samples_of_several_axes_are_scaled_along_the_last() -> None:
    X = rows(102).reshape(17, 6, 5)
    model = build_model(0, input_shape=(6, 5), normalize=X, scaling="robust")
    expected = np.asarray(adapted(X.reshape(-1, 5))(X))
    np.testing.assert_allclose(np.asarray(model.layers[0](X)), expected, rtol=1e-6)


@pytest.mark.parametrize("size", [1e-40, 1e30])
def test_tiny_and_large_columns_stay_finite(size: float) -> None:
    X = rows()[:, :1] * size
    assert np.isfinite(np.asarray(adapted(X)(X))).all()


def test_rounding_differences_stay_small() -> None:
    X = np.float32(1e6) + np.random.default_rng(0).choice([-0.06, 0, 0.06], size=(50, 1)).astype("float32")
    assert np.abs(np.asarray(adapted(X)(X))).max() < 0.2


@pytest.mark.parametrize("n_parts", [2, 4, 7])
def test_integer_weights_are_repeated_rows(n_parts: int) -> None:
    X, weight = rows(40), np.random.default_rng(1).integers(0, 4, size=40)
    expected = quantiles(np.repeat(X, weight, axis=0), n_parts)
    np.testing.assert_array_equal(quantiles(X, n_parts, weight), expected)
    np.testing.assert_array_equal(quantiles(X, n_parts, np.full(40, 0.1)), quantiles(X, n_parts))


def test_quantiles_are_those_of_numpy() -> None:
    X = rows(40)
    expected = np.quantile(X, np.arange(6) / 5, axis=0, method="averaged_inverted_cdf")
    np.testing.assert_allclose(quantiles(X, 5), expected, rtol=1e-12)


def test_a_weighted_adapt_and_a_file(tmp_path: Path) -> None:
    X, weight = rows(40), np.arange(40) % 3
    layer = RobustScaling(n_numbers=4)
    layer.adapt(X, weight)
    expected = adapted(np.repeat(X, weight, axis=0), n_numbers=4)
    np.testing.assert_array_equal(layer.get_weights(), expected.get_weights())
    model = keras.Sequential([keras.Input((5,)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(loaded(X)), np.asarray(model(X)))


@pytest.mark.slow
def test_a_file_needs_only_the_import_of_the_layers(tmp_path: Path) -> None:
    build_model(1, 4, input_shape=5, normalize=rows(), scaling="robust").save(tmp_path / "model.keras")
    code = "import sys, kerashp.layers, keras; print(keras.saving.load_model(sys.argv[1]).layers[0].name)"
    command = [sys.executable, "-c", code, str(tmp_path / "model.keras")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert printed.strip() == "robust_scaling"


def test_an_estimator_scales_by_the_rows_that_train() -> None:
    X, weight = rows(60), np.arange(60) % 3
    weighted = KerasMLPRegressor(scaling="robust", **OPTIONS).fit(X, X[:, 0], sample_weight=weight)
    layer = weighted.model_.get_layer("robust_scaling")
    expected = adapted(np.repeat(X, weight, axis=0)).get_weights()
    np.testing.assert_allclose(layer.get_weights(), expected, rtol=1e-6)


def test_an_estimator_is_saved_without_pickle(tmp_path: Path) -> None:
    X = rows(60)
    fitted = KerasMLPClassifier(scaling="robust", **OPTIONS).fit(X, X[:, 0] > 0)
    fitted.save(tmp_path / "fitted")
    loaded = KerasMLPClassifier.load(tmp_path / "fitted")
    assert loaded.scaling == "robust"
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


def test_a_search_gives_the_scores_of_separate_fits() -> None:
    X = rows(60)
    y = X[:, 0] > X[:, 1]
    grid = {"scaling": ["standard", "robust"], "n_neurons": [3, 5]}
    options: dict[str, Any] = {"cv": 2, "scoring": "neg_log_loss", "refit": False}
    searches = [search(KerasMLPClassifier(**OPTIONS), grid, **options).fit(X, y) for search in SEARCHES]
    together, apart = (search.cv_results_["mean_test_score"] for search in searches)
    np.testing.assert_allclose(together, apart, rtol=1e-5)
    assert [len(group.fits) for group in searches[0].plan_.groups] == [4, 4]


def test_a_warm_start_takes_the_statistics_of_its_source() -> None:
    X = rows(60)
    source = KerasMLPRegressor(scaling="robust", **OPTIONS).fit(X, X[:, 0])
    started = KerasMLPRegressor(scaling="robust", warm_start_from=source, **OPTIONS).fit(X[:30], X[:30, 0])
    layers = [fitted.model_.get_layer("robust_scaling") for fitted in (source, started)]
    np.testing.assert_array_equal(*[layer.get_weights() for layer in layers])
    unscaled = KerasMLPRegressor(normalize=False, **OPTIONS).fit(X, X[:, 0])
    robust = KerasMLPRegressor(scaling="robust", warm_start_from=unscaled, **OPTIONS)
    with pytest.raises(ValueError, match="the target's 'robust_scaling' is RobustScaling"):
        robust.fit(X, X[:, 0])
    standard = KerasMLPRegressor(warm_start_from=source, **OPTIONS)
    with pytest.raises(ValueError, match="the source's 'robust_scaling' is RobustScaling"):
        standard.fit(X, X[:, 0])


def test_other_values_of_scaling_are_refused() -> None:
    X = rows(30)
    with pytest.raises(ValueError, match="scaling must be one of 'standard', 'robust'; got 'minmax'"):
        build_model(scaling="minmax")
    with pytest.raises(ValueError, match="'scaling' parameter of KerasMLPRegressor must be a str among"):
        KerasMLPRegressor(scaling="minmax").fit(X, X[:, 0])


def test_a_wrapper_of_build_model_takes_it() -> None:
    X = rows(60)
    wrapped = KerasClassifier(build_model, normalize=X, scaling="robust", epochs=1, random_state=0)
    assert isinstance(wrapped.fit(X, X[:, 0] > 0).model_.layers[0], RobustScaling)
