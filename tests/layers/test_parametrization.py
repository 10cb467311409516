"""The NTK parametrisation: the same network at first, other rates, and networks of several widths."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import sklearn.model_selection

from kerashp import KerasMLPClassifier, KerasMLPRegressor, build_model, fit
from kerashp.diagnostics import check_initialization
from kerashp.layers import FanInScaledInitializer, FanInScaling, LearnedBias
from kerashp.model_selection import GridSearchCV
from kerashp.training import isolated

X = np.random.default_rng(0).normal(size=(60, 9)).astype("float32")
Y = X[:, 0] - X[:, 1] ** 2
OPTIONS: dict[str, Any] = {"n_neurons": 4, "epochs": 2, "tol": None, "random_state": 0}


def built(parametrization: str, **options: Any) -> Any:
    with isolated(seed=3):
        arguments = {"n_hidden": 2, "n_neurons": 16, "input_shape": 9, **options}
        return build_model(parametrization=parametrization, **arguments)


@pytest.mark.parametrize(
    "options", [{}, {"batch_normalization": True}, {"kernel_initializer": "orthogonal"}], ids=str
)
def test_the_network_is_the_same_at_first(options: dict[str, Any]) -> None:
    usual, ntk = built("standard", **options), built("ntk", **options)
    np.testing.assert_allclose(ntk.predict(X, verbose=0), usual.predict(X, verbose=0), rtol=1e-4, atol=1e-6)


def test_the_formula() -> None:
    layer, dense = FanInScaling(), keras.layers.Dense(3, kernel_initializer="random_normal")
    kernel, bias = np.random.default_rng(0).normal(size=(9, 3)), np.arange(3.0)
    outputs = dense(layer(X))
    dense.set_weights([kernel, bias])
    outputs = np.asarray(dense(layer(X)))
    np.testing.assert_allclose(outputs, X @ kernel / np.sqrt(9) + bias, rtol=1e-4, atol=1e-5)


def test_kernels_are_standard_normal_after_lecun() -> None:
    model = build_model(1, 400, input_shape=200, activation="tanh", parametrization="ntk")
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(model.get_layer("hidden_1").kernel).std(), 1, rtol=0.01
    )


def moved(model: Any, **options: Any) -> Any:
    before = {w.path: keras.ops.convert_to_numpy(w) for w in model.trainable_weights}
    fit(model, X, Y, verbose=0, shuffle=False, **options)
    return [keras.ops.convert_to_numpy(w) - before[w.path] for w in model.trainable_weights]


def test_adams_steps_are_smaller_by_the_root_of_the_inputs() -> None:
    """The first step of Adam has the size of the rate, whatever the gradient."""
    model = built(
        "ntk",
        n_hidden=1,
        learning_rate=None,
        optimizer=keras.optimizers.Adam(0.01, epsilon=1e-20),
        activation="tanh",
    )
    kernel, bias, output, output_bias = moved(model, epochs=1, batch_size=60)
    np.testing.assert_allclose(np.abs(kernel) / np.sqrt(9), 0.01 / 3, rtol=1e-3)
    np.testing.assert_allclose(np.abs(output) / np.sqrt(16), 0.01 / 4, rtol=1e-3)
    np.testing.assert_allclose(0.1 * np.abs([*bias, *output_bias]), 0.001, rtol=1e-3)


def test_adam_trains_as_with_a_rate_for_each_kernel() -> None:
    """A linear network of one kernel: the usual one with rate / sqrt(9), and the epsilon to match."""
    ntk = built("ntk", n_hidden=0, learning_rate=None, optimizer=keras.optimizers.Adam(0.03, epsilon=1e-3))
    usual = built(
        "standard", n_hidden=0, learning_rate=None, optimizer=keras.optimizers.Adam(0.01, epsilon=3e-3)
    )
    for model in (ntk, usual):
        model.trainable_weights[-1].trainable = False  # the bias
        model.compile(model.optimizer, "mse")
    kernels = [moved(model, epochs=3, batch_size=20)[0] for model in (ntk, usual)]
    np.testing.assert_allclose(kernels[0] / 3, kernels[1], rtol=1e-3, atol=1e-6)


def test_a_model_and_an_estimator_are_saved(tmp_path: Path) -> None:
    fitted = KerasMLPRegressor(parametrization="ntk", **OPTIONS).fit(X, Y)
    fitted.save(tmp_path / "fitted")
    np.testing.assert_array_equal(KerasMLPRegressor.load(tmp_path / "fitted").predict(X), fitted.predict(X))
    fitted.model_.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), fitted.model_.predict(X, verbose=0))
    assert type(loaded.get_layer("hidden_1").kernel_initializer) is FanInScaledInitializer
    assert loaded.get_layer("bias_1").rate_factor == 0.1


def test_a_search_gives_the_scores_of_separate_fits() -> None:
    grid = [{"n_neurons": [3], "n_hidden": [1]}, {"n_neurons": [6], "n_hidden": [2]}]
    options: dict[str, Any] = {"cv": 2, "scoring": "neg_log_loss", "refit": False}
    estimator = KerasMLPClassifier(parametrization="ntk", learning_rate=0.04, **OPTIONS)
    together = GridSearchCV(estimator, grid, **options).fit(X, Y > 0)
    assert [len(group.fits) for group in together.plan_.groups] == [4]
    apart = sklearn.model_selection.GridSearchCV(estimator, grid, **options).fit(X, Y > 0)
    scores = [search.cv_results_["mean_test_score"] for search in (together, apart)]
    np.testing.assert_allclose(*scores, rtol=1e-5)


def test_a_warm_start_copies_its_weights() -> None:
    source = KerasMLPRegressor(parametrization="ntk", **OPTIONS).fit(X, Y)
    still = KerasMLPRegressor(1, 4, 1e-30, parametrization="ntk", warm_start_from=source, epochs=1, tol=None)
    np.testing.assert_allclose(still.fit(X, Y).predict(X), source.predict(X), rtol=1e-4)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_warm_start_copies_the_output_layer_and_its_bias_for_the_same_classes(n_classes: int) -> None:
    labels = np.arange(60) % 3
    source = KerasMLPClassifier(parametrization="ntk", **OPTIONS).fit(X, labels)
    still = KerasMLPClassifier(1, 4, 1e-30, parametrization="ntk", warm_start_from=source, epochs=1, tol=None)
    still.fit(X, labels % n_classes)
    copied = [
        np.array_equal(target.get_weights()[0], layer.get_weights()[0])
        for layer, target in zip(source.model_.layers, still.model_.layers, strict=True)
        if layer.name in ("hidden_1", "output", "output_bias")
    ]
    assert copied == [True, n_classes == 3, n_classes == 3]


def test_a_warm_start_in_the_units_of_the_target() -> None:
    source = KerasMLPRegressor(parametrization="ntk", **OPTIONS).fit(X, 5 + 3 * Y)
    options: dict[str, Any] = {"parametrization": "ntk", "epochs": 1, "tol": None, "normalize_target": False}
    still = KerasMLPRegressor(1, 4, 1e-30, warm_start_from=source, **options)
    np.testing.assert_allclose(still.fit(X, 5 + 3 * Y).predict(X), source.predict(X), rtol=1e-4)


def test_the_check_of_initial_weights_knows_it() -> None:
    layers = check_initialization(built("ntk", activation="relu"), X, Y).layers
    for layer in layers:
        if layer.kernel_variance is not None:
            np.testing.assert_allclose(layer.kernel_variance / layer.suited_variance, 1, rtol=0.5)


def test_other_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="parametrization must be one of 'standard', 'ntk'; got 'mup'"):
        build_model(parametrization="mup")
    with pytest.raises(ValueError, match="The 'parametrization' parameter of KerasMLPRegressor must be"):
        KerasMLPRegressor(parametrization="mup").fit(X, Y)
    with pytest.raises(ValueError, match="LearnedBias: rate_factor must be a number > 0; got 0"):
        LearnedBias(0)
    with pytest.raises(ValueError, match="in column . *, which the layer .hidden_1. would multiply"):
        KerasMLPRegressor(parametrization="ntk", normalize=False).fit(X * np.float32(1e30), Y)
