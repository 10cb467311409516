"""Periodic embeddings and learned scales: the formulas, their learning rates, and networks with them."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import sklearn.model_selection

from kerashp import KerasMLPClassifier, KerasMLPRegressor, build_model, fit
from kerashp.layers import LearnedScale, PeriodicEmbedding
from kerashp.layers._periodic_embedding import _cosine
from kerashp.model_selection import GridSearchCV, RandomizedSearchCV
from kerashp.spaces import loguniform
from kerashp.training import graph_shape, isolated

X = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
Y = np.sin(3 * X[:, 0]) + X[:, 1]
OPTIONS: dict[str, Any] = {"n_neurons": 4, "epochs": 2, "tol": None, "random_state": 0}
PARTS: dict[str, Any] = {"numeric_embedding": "periodic", "input_scale_rate": 6.0}


def arrays(weights: Any) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(weight) for weight in weights]


def embedded(x: np.ndarray, layer: Any) -> np.ndarray:
    """The formula, from the weights as they are stored."""
    frequencies, phases, kernel, bias = (0.1 * array.astype(float) for array in arrays(layer.weights))
    waves = np.cos(2 * np.pi * x[:, :, None] * frequencies + phases)
    functions = np.stack([waves[:, i] @ kernel[i] + bias[i] for i in range(x.shape[1])], axis=1)
    return np.concatenate([x[:, :, None], functions], axis=2).reshape(len(x), -1)


@pytest.mark.parametrize("options", [{}, {"n_frequencies": 5, "n_outputs": 2}], ids=str)
def test_the_formula(options: dict[str, int]) -> None:
    layer = PeriodicEmbedding(**options)
    outputs = np.asarray(layer(X))
    assert outputs.shape == layer.compute_output_shape(X.shape)
    np.testing.assert_allclose(outputs, embedded(X, layer), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("dtype", "within"), [("float32", 5e-7), ("float64", 1e-14)])
def test_the_cosine_and_its_slope(dtype: str, within: float) -> None:
    if keras.backend.backend() == "jax" and dtype == "float64":
        pytest.skip("JAX computes in double precision only with JAX_ENABLE_X64=1")
    turns = np.linspace(-3, 3, 1001).astype(dtype)
    actual = keras.ops.convert_to_numpy(_cosine(keras.ops.convert_to_tensor(turns)))
    np.testing.assert_allclose(actual, np.cos(2 * np.pi * turns.astype(float)), atol=within)
    layer = PeriodicEmbedding(1, 2, dtype=dtype)
    model = keras.Sequential([keras.Input((1,), dtype=dtype), layer])
    layer.set_weights([np.full((1, 1), 10.0), np.zeros((1, 1)), np.full((1, 1, 1), 10.0), np.zeros((1, 1))])
    model.compile(keras.optimizers.SGD(1.0), lambda _, outputs: outputs[:, 1:])
    before = layer.get_weights()[0]
    fit(model, np.array([[0.1]], dtype), np.zeros(1, dtype), verbose=0)
    slope = 10 * (before - layer.get_weights()[0])[0, 0]  # of cos(2 pi w x) in w = weight / 10
    np.testing.assert_allclose(slope, -0.2 * np.pi * np.sin(0.2 * np.pi), rtol=1e-4)


def test_columns_after_the_numbers_are_passed_on() -> None:
    layer = PeriodicEmbedding(n_numbers=2)
    outputs = np.asarray(layer(X))
    assert outputs.shape == layer.compute_output_shape(X.shape) == (60, 9)
    np.testing.assert_allclose(outputs[:, :8], embedded(X[:, :2], layer), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(outputs[:, 8], X[:, 2])


def test_initial_weights_are_those_of_the_paper() -> None:
    layer = PeriodicEmbedding(n_frequencies=64, frequency_initializer=keras.initializers.RandomNormal(0, 2.0))
    layer.build((None, 50))
    frequencies, phases, kernel, bias = (0.1 * array for array in arrays(layer.weights))
    np.testing.assert_allclose(frequencies.std(), 2.0, rtol=0.05)
    np.testing.assert_allclose(np.abs(phases).max(), np.pi, rtol=0.05)
    np.testing.assert_allclose([np.abs(kernel).max(), np.abs(bias).max()], 1 / 8, rtol=0.1)


def steps(layer: Any, optimizer: Any, weights: list[np.ndarray], factor: float) -> list[np.ndarray]:
    """The changes of what the layer computes with, after three steps of training."""
    model = keras.Sequential([keras.Input((3,)), layer, keras.layers.Dense(1, kernel_initializer="ones")])
    layer.set_weights([array / factor for array in weights])
    model.layers[-1].trainable = False
    model.compile(optimizer, "mse")
    fit(model, X, Y, epochs=1, batch_size=20, shuffle=False, verbose=0)
    return [factor * array - start for array, start in zip(arrays(layer.weights), weights, strict=True)]


class PlainScale(keras.layers.Layer):
    """Scales that are weights themselves."""

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones")

    def call(self, inputs: Any) -> Any:
        return inputs * self.scale


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (keras.optimizers.Adam(0.01, epsilon=1e-3), keras.optimizers.Adam(0.06, epsilon=1e-3 / 6)),
        (keras.optimizers.RMSprop(0.01), keras.optimizers.RMSprop(0.06)),
        (keras.optimizers.SGD(0.01, momentum=0.9), keras.optimizers.SGD(0.36, momentum=0.9)),
    ],
    ids=["adam", "rmsprop", "sgd"],
)
def test_scales_learn_at_a_multiple_of_the_rate(own: Any, other: Any) -> None:
    weights = [np.ones(3, "float32")]
    actual = steps(LearnedScale(6.0), own, weights, 6.0)
    expected = steps(PlainScale(), other, weights, 1.0)
    np.testing.assert_allclose(actual, expected, rtol=2e-4, atol=1e-6)


def test_an_embedding_learns_at_a_tenth_of_the_rate() -> None:
    """Adam's first step has the size of the rate, whatever the gradient."""
    layer = PeriodicEmbedding(n_frequencies=3)
    model = keras.Sequential([keras.Input((3,)), layer, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01, epsilon=1e-12), "mse")
    before = arrays(layer.weights)
    fit(model, X, Y, epochs=1, batch_size=60, verbose=0)
    changes = [0.1 * np.abs(b - a) for a, b in zip(arrays(layer.weights), before, strict=True)]
    np.testing.assert_allclose(np.concatenate([change.ravel() for change in changes]), 0.001, rtol=0.01)


def test_a_model_is_saved_with_its_layers(tmp_path: Path) -> None:
    model = build_model(1, 4, input_shape=3, embedding_sigma=2.0, scaling="robust", normalize=X, **PARTS)
    assert [layer.name for layer in model.layers[:3]] == [
        "robust_scaling",
        "periodic_embedding",
        "learned_scale",
    ]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    assert loaded.layers[1].frequency_initializer.stddev == 2.0
    assert loaded.layers[2].rate_factor == 6.0
    assert graph_shape(loaded) == graph_shape(model)


def test_an_estimator_is_saved_without_pickle(tmp_path: Path) -> None:
    fitted = KerasMLPRegressor(**PARTS, **OPTIONS).fit(X, Y)
    fitted.save(tmp_path / "fitted")
    loaded = KerasMLPRegressor.load(tmp_path / "fitted")
    assert loaded.get_params() == fitted.get_params()
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))


def test_images_are_flattened_first() -> None:
    model = build_model(1, 4, input_shape=(2, 3), numeric_embedding="periodic")
    assert model.layers[1].output.shape == (None, 24)


def test_sigma_and_rate_do_not_split_a_group() -> None:
    y = Y > 0
    space = {
        "embedding_sigma": loguniform(0.05, 1.0),
        "input_scale_rate": loguniform(2.0, 10.0),
        "n_neurons": [3, 5],
        "learning_rate": loguniform(1e-3, 1e-2),
    }
    estimator = KerasMLPClassifier(**PARTS | OPTIONS)
    options: dict[str, Any] = {
        "n_iter": 3,
        "cv": 2,
        "scoring": "neg_log_loss",
        "refit": False,
        "random_state": 0,
    }
    together = RandomizedSearchCV(estimator, space, **options).fit(X, y)
    assert [len(group.fits) for group in together.plan_.groups] == [6]
    apart = sklearn.model_selection.RandomizedSearchCV(estimator, space, **options).fit(X, y)
    scores = [search.cv_results_["mean_test_score"] for search in (together, apart)]
    np.testing.assert_allclose(*scores, rtol=1e-5)


def test_the_kinds_of_embedding_are_searched() -> None:
    grid = {"numeric_embedding": ["none", "periodic"], "input_scale_rate": [None, 6.0]}
    search = GridSearchCV(KerasMLPRegressor(**OPTIONS), grid, cv=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(search.plan_.groups) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"numeric_embedding": "sine"}, "numeric_embedding must be one of 'none', 'periodic', 'piecewise'"),
        ({"embedding_sigma": 0}, "embedding_sigma must be a number > 0; got 0"),
        ({"input_scale_rate": -1.0}, r"input_scale_rate must be a number > 0; got -1\.0"),
    ],
    ids=str,
)
def test_other_values_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_model(**arguments)
    with pytest.raises(
        ValueError, match=f"The '{next(iter(arguments))}' parameter of KerasMLPRegressor must be"
    ):
        KerasMLPRegressor(**arguments).fit(X, Y)


def test_layers_refuse_other_arguments() -> None:
    with pytest.raises(ValueError, match="LearnedScale: rate_factor must be a number > 0; got 0"):
        LearnedScale(0)
    with pytest.raises(ValueError, match="PeriodicEmbedding: n_outputs must be an integer >= 2; got 1"):
        PeriodicEmbedding(n_outputs=1)
    with pytest.raises(TypeError, match=r"n_frequencies must be an integer >= 1; got 1\.5"):
        PeriodicEmbedding(n_frequencies=1.5)
    with pytest.raises(ValueError, match="expected ndim=2, found ndim=3"):
        PeriodicEmbedding()(np.ones((2, 3, 4)))


def test_a_network_too_large_for_memory_is_refused_by_its_embedded_width() -> None:
    wide = np.zeros((2, 100_000), "float32")
    with isolated(0), pytest.raises(ValueError, match="n_neurons"):
        KerasMLPRegressor(n_neurons=10**6, numeric_embedding="periodic").fit(wide, wide[:, 0])
