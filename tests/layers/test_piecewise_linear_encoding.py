"""Piecewise-linear encodings: the formula, bins of the rows that train, and networks with them."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import sklearn.model_selection

from kerashp import KerasMLPClassifier, KerasMLPRegressor, build_model
from kerashp.layers import PiecewiseLinearEncoding
from kerashp.layers._quantiles import quantiles
from kerashp.model_selection import GridSearchCV

OPTIONS: dict[str, Any] = {
    "n_neurons": 4,
    "epochs": 2,
    "tol": None,
    "random_state": 0,
    "numeric_embedding": "piecewise",
    "embedding_bins": 5,
}


def rows(n: int = 60) -> np.ndarray:
    """Long tails, a column of two values, and a constant one."""
    X = np.random.default_rng(0).standard_t(3, size=(n, 4)).astype("float32")
    X[:, 2], X[:, 3] = np.arange(n) % 2, 7
    return X


def encoded(X: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The formula of the paper, a number at a time."""
    n_bins = edges.shape[1] - 1
    outputs = np.zeros((*X.shape, n_bins))
    for (row, feature, t), _ in np.ndenumerate(outputs):
        x, low, high = X[row, feature], edges[feature, t], edges[feature, t + 1]
        if low == high:
            continue
        if t > 0 and x < low:
            outputs[row, feature, t] = 0
        elif t < n_bins - 1 and x >= high:
            outputs[row, feature, t] = 1
        else:
            outputs[row, feature, t] = (x - low) / (high - low)
    return outputs.reshape(len(X), -1)


@pytest.mark.parametrize("n_bins", [1, 5])
def test_the_formula(n_bins: int) -> None:
    X = rows()
    layer = PiecewiseLinearEncoding(n_bins)
    layer.adapt(X)
    edges = np.asarray(layer.edges)
    np.testing.assert_allclose(edges, quantiles(X, n_bins).T, rtol=1e-6)
    new = np.concatenate([X, 3 * X])
    outputs = np.asarray(layer(new))
    assert outputs.shape == layer.compute_output_shape(new.shape)
    np.testing.assert_allclose(outputs, encoded(new, edges), rtol=1e-4, atol=1e-5)


def test_columns_after_the_numbers_are_passed_on_and_weights_repeat_rows() -> None:
    X, weight = rows(), np.arange(60) % 3
    layer, repeated = PiecewiseLinearEncoding(5, n_numbers=2), PiecewiseLinearEncoding(5, n_numbers=2)
    layer.adapt(X, weight)
    repeated.adapt(np.repeat(X, weight, axis=0))
    np.testing.assert_array_equal(layer.get_weights(), repeated.get_weights())
    outputs = np.asarray(layer(X))
    assert outputs.shape == layer.compute_output_shape(X.shape) == (60, 12)
    np.testing.assert_array_equal(outputs[:, 10:], X[:, 2:])


def test_an_estimator_takes_the_bins_of_the_rows_that_train(tmp_path: Path) -> None:
    X, weight = rows(), np.arange(60) % 3
    fitted = KerasMLPRegressor(**OPTIONS).fit(X, X[:, 0], sample_weight=weight)
    edges = fitted.model_.get_layer("piecewise_linear_encoding").edges
    expected = quantiles(np.repeat(X, weight, axis=0), 5).T
    np.testing.assert_allclose(keras.ops.convert_to_numpy(edges), expected, rtol=1e-6)
    fitted.save(tmp_path / "fitted")
    np.testing.assert_array_equal(KerasMLPRegressor.load(tmp_path / "fitted").predict(X), fitted.predict(X))
    fitted.model_.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), fitted.model_.predict(X, verbose=0))


def test_images_are_flattened_first() -> None:
    images = rows().reshape(30, 2, 4)
    arguments: dict[str, Any] = {"numeric_embedding": "piecewise", "embedding_bins": 5, "normalize": images}
    model = build_model(1, 4, input_shape=(2, 4), **arguments)
    assert [layer.name for layer in model.layers[:2]] == ["flatten", "piecewise_linear_encoding"]
    assert model.layers[1].output.shape == (None, 40)


def test_a_search_gives_the_scores_of_separate_fits() -> None:
    X = rows()
    grid = {"n_neurons": [3, 5], "input_scale_rate": [6.0]}
    options: dict[str, Any] = {"cv": 2, "scoring": "neg_log_loss", "refit": False}
    estimator = KerasMLPClassifier(**OPTIONS)
    together = GridSearchCV(estimator, grid, **options).fit(X, X[:, 0] > 0)
    assert [len(group.fits) for group in together.plan_.groups] == [4]
    apart = sklearn.model_selection.GridSearchCV(estimator, grid, **options).fit(X, X[:, 0] > 0)
    scores = [search.cv_results_["mean_test_score"] for search in (together, apart)]
    np.testing.assert_allclose(*scores, rtol=1e-5)


def test_other_arguments_are_refused() -> None:
    X = rows()
    with pytest.raises(ValueError, match="normalize must be the training rows with numeric_embedding='piece"):
        build_model(numeric_embedding="piecewise")
    with pytest.raises(ValueError, match="embedding_bins must be an integer >= 1; got 0"):
        build_model(embedding_bins=0)
    with pytest.raises(ValueError, match="PiecewiseLinearEncoding: n_bins must be an integer >= 1; got 0"):
        PiecewiseLinearEncoding(0)
    with pytest.raises(ValueError, match="The 'embedding_bins' parameter of KerasMLPRegressor must be"):
        KerasMLPRegressor(embedding_bins=0).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="expected ndim=2, found ndim=3"):
        PiecewiseLinearEncoding()(np.ones((2, 3, 4)))
