"""Parametric activations: the formula, their rate, and networks with them in searches and files."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import sklearn.model_selection

from kerashp import KerasMLPClassifier, KerasMLPRegressor, build_model, fit
from kerashp.layers import ParametricActivation
from kerashp.model_selection import GridSearchCV
from kerashp.training import isolated

X = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
Y = X[:, 0] - X[:, 1] ** 2
OPTIONS: dict[str, Any] = {"n_neurons": 4, "epochs": 2, "tol": None, "random_state": 0}


def built(**options: Any) -> Any:
    with isolated(seed=3):
        return build_model(**{"n_hidden": 2, "n_neurons": 5, "input_shape": 4, **options})


def test_the_formula() -> None:
    layer = ParametricActivation("selu", rate_factor=0.5)
    layer.build((None, 4))
    layer.set_weights([np.array([0.0, -2.0, -1.0, 4.0])])
    alpha = np.array([1.0, 0.0, 0.5, 3.0])
    selu = keras.ops.convert_to_numpy(keras.activations.selu(X))
    np.testing.assert_allclose(layer(X), (1 - alpha) * X + alpha * selu, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{}, {"parametrization": "ntk"}, {"batch_normalization": True}, {"activity_l1": 0.1}], ids=str
)
def test_the_network_is_the_same_at_first(options: dict[str, Any]) -> None:
    plain, parametric = built(**options), built(**options, parametric_activation=True)
    np.testing.assert_allclose(parametric.predict(X, verbose=0), plain.predict(X, verbose=0), rtol=1e-5)
    losses = [model.evaluate(X, Y, batch_size=60, verbose=0) for model in (plain, parametric)]
    np.testing.assert_allclose(*losses, rtol=1e-5)
    layers = [layer for layer in parametric.layers if isinstance(layer, ParametricActivation)]
    assert [layer.name for layer in layers] == ["activation_1", "activation_2"]


def test_each_neuron_learns_at_a_tenth_of_adams_rate() -> None:
    optimizer = keras.optimizers.Adam(0.01, epsilon=1e-20)
    model = built(
        n_hidden=1, parametric_activation=True, activation="tanh", learning_rate=None, optimizer=optimizer
    )
    fit(model, X, Y, epochs=1, batch_size=60, verbose=0)
    mixture = keras.ops.convert_to_numpy(model.get_layer("activation_1").mixture)
    np.testing.assert_allclose(0.1 * np.abs(mixture), 0.001, rtol=1e-3)


def test_a_model_and_an_estimator_are_saved(tmp_path: Path) -> None:
    fitted = KerasMLPRegressor(parametric_activation=True, activation="mish", **OPTIONS).fit(X, Y)
    assert keras.ops.convert_to_numpy(fitted.model_.get_layer("activation_1").mixture).all()
    fitted.save(tmp_path / "fitted")
    np.testing.assert_array_equal(KerasMLPRegressor.load(tmp_path / "fitted").predict(X), fitted.predict(X))
    fitted.model_.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), fitted.model_.predict(X, verbose=0))
    assert loaded.get_layer("activation_1").rate_factor == 0.1


def test_a_search_gives_the_scores_of_separate_fits() -> None:
    grid = [{"n_neurons": [3], "n_hidden": [1]}, {"n_neurons": [6], "n_hidden": [2]}]
    options: dict[str, Any] = {"cv": 2, "scoring": "neg_log_loss", "refit": False}
    estimator = KerasMLPClassifier(parametric_activation=True, activation="sigmoid", **OPTIONS)
    together = GridSearchCV(estimator, grid, **options).fit(X, Y > 0)
    assert [len(group.fits) for group in together.plan_.groups] == [4]
    apart = sklearn.model_selection.GridSearchCV(estimator, grid, **options).fit(X, Y > 0)
    scores = [search.cv_results_["mean_test_score"] for search in (together, apart)]
    np.testing.assert_allclose(*scores, rtol=1e-5)


def test_a_search_over_it() -> None:
    grid = {"parametric_activation": [False, True]}
    search = GridSearchCV(KerasMLPRegressor(**OPTIONS), grid, cv=2).fit(X, Y)
    assert len(set(search.cv_results_["mean_test_score"])) == 2


def test_other_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="parametric_activation must be True or False; got 'yes'"):
        build_model(parametric_activation="yes")
    with pytest.raises(
        ValueError, match="The 'parametric_activation' parameter of KerasMLPRegressor must be"
    ):
        KerasMLPRegressor(parametric_activation="yes").fit(X, Y)
    with pytest.raises(ValueError, match="ParametricActivation: rate_factor must be a number > 0; got 0"):
        ParametricActivation("relu", 0)
