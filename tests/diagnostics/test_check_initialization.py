"""`check_initialization`: growth, variances and findings against theory, and nothing left changed."""

import random
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerashp import build_model
from kerashp.diagnostics import check_initialization

X = np.random.default_rng(0).normal(size=(60, 64)).astype("float32")
DEPTH = 50


def kinds(result: Any) -> list[str]:
    return [finding.kind for finding in result.findings]


def deep(activation: str, initializer: Any, depth: int = DEPTH) -> Any:
    return build_model(depth, 64, 0.1, 64, activation=activation, kernel_initializer=initializer)


def scaled(gain: float, times: float) -> Any:
    """An initializer of the variance times^2 gain / fan_in."""
    return keras.initializers.VarianceScaling(gain * times**2, "fan_in", "untruncated_normal", seed=1)


@pytest.mark.parametrize(
    ("activation", "gain", "times", "verdict"),
    [
        ("relu", 2, 1.5, "exploding"),
        ("relu", 2, 0.5, "vanishing"),
        ("linear", 1, 1.5, "exploding"),
    ],
)
def test_fifty_layers_explode_and_vanish_as_theory_says(
    activation: str, gain: int, times: float, verdict: str
) -> None:
    result = check_initialization(deep(activation, scaled(gain, times)), X)
    # At a width of n = 64, a ReLU layer's factor of q has the variance 5/n: the mean of 50 logs is
    # 5/(2n) = 0.04 below the log of the mean, and deviates by 0.04.
    assert 2 * np.log(result.activation_growth) == pytest.approx(2 * np.log(times), abs=0.1)
    assert 2 * np.log(result.gradient_growth) == pytest.approx(2 * np.log(times), abs=0.15)
    assert result.verdict == verdict
    assert set(kinds(result)) == {verdict}
    hidden = result.layers[:-1]
    assert [layer.name for layer in hidden] == list(result.findings[0].layers)
    squares = np.log([layer.activation_scale**2 / result.input_scale**2 for layer in hidden])
    np.testing.assert_allclose(squares, 2 * np.log(times) * np.arange(1, DEPTH + 1), atol=5)
    for layer in hidden:
        assert layer.kernel_variance == pytest.approx(gain * times**2 / 64, rel=0.12)
    if activation == "relu":
        assert {layer.suited_initializer for layer in hidden} == {"he_normal"}
        assert "kernel_initializer='he_normal' in hidden_1, hidden_2, hidden_3 and 47 more" in str(result)


@pytest.mark.parametrize(
    ("activation", "initializer"),
    [("relu", "he_normal"), ("selu", "lecun_normal"), ("tanh", "lecun_normal"), ("linear", "glorot_uniform")],
)
def test_the_suited_initializer_holds_its_variance(activation: str, initializer: str) -> None:
    keras.utils.set_random_seed(1)
    result = check_initialization(deep(activation, initializer, depth=20), X)
    assert result.verdict == "healthy"
    # tanh with a slope below 1 away from 0 loses some
    low = 0.9 if activation == "tanh" else 0.95
    assert low < result.activation_growth < 1.05
    assert low < result.gradient_growth < 1.05
    for layer in result.layers[:-1]:
        assert (layer.activation, layer.suited_initializer) == (activation, initializer)
        assert layer.kernel_variance == pytest.approx(layer.suited_variance, rel=0.12)


def test_sigmoid_gradients_vanish_by_a_quarter_a_layer() -> None:
    keras.utils.set_random_seed(1)
    result = check_initialization(deep("sigmoid", "glorot_uniform", depth=8), X)
    assert result.gradient_growth == pytest.approx(1 / 4, rel=0.1)  # the largest slope of sigmoid
    assert kinds(result) == ["vanishing"]
    assert "vanishing gradients: " in result.findings[0].text
    assert "The kernels suit their activations; try another activation" in result.findings[0].text


def test_the_numbers_of_a_small_network_are_those_of_the_closed_forms() -> None:
    parts = [layers.Dense(5, name="first"), layers.BatchNormalization(), layers.ReLU(name="relu")]
    model = keras.Sequential([keras.Input((64,)), *parts, layers.Dense(2, "sigmoid", name="last")])
    model.compile("sgd", "mse")
    y = np.random.default_rng(1).normal(size=(60, 2))
    result = check_initialization(model, X, y)
    kernel, bias, *_, last, last_bias = (np.asarray(each, float) for each in model.get_weights())
    x = X.astype(float)
    first = x @ kernel + bias
    active = np.maximum(0, (first - first.mean(axis=0)) / np.sqrt(first.var(axis=0) + 1e-3))
    outputs = 1 / (1 + np.exp(-(active @ last + last_bias)))
    gradients = 2 * (outputs - y) / y.size
    before = gradients * outputs * (1 - outputs)

    def scale(array: np.ndarray) -> float:
        return np.sqrt(np.mean(array**2))

    rows = {layer.name: layer for layer in result.layers}
    assert list(rows) == ["first", "relu", "last"]
    for name, values in [("first", first), ("relu", active), ("last", outputs)]:
        assert rows[name].activation_scale == pytest.approx(scale(values), rel=1e-9)
        assert rows[name].mean == pytest.approx(values.mean(), rel=1e-9)
    assert rows["last"].gradient_scale == pytest.approx(scale(gradients), rel=1e-9)
    assert rows["relu"].gradient_scale == pytest.approx(scale(before @ last.T), rel=1e-9)
    assert rows["last"].kernel_gradient_scale == pytest.approx(scale(active.T @ before), rel=1e-9)
    assert rows["first"].kernel_variance == pytest.approx(scale(kernel) ** 2, rel=1e-6)
    assert [row.activation for row in result.layers] == ["linear", "ReLU", "sigmoid"]
    assert [row.suited_initializer for row in result.layers] == ["he_normal", None, "glorot_uniform"]
    assert [row.suited_variance for row in result.layers] == [2 / 64, None, 2 / 7]
    assert result.input_scale == pytest.approx(scale(x), rel=1e-9)
    assert result.activation_growth == pytest.approx(scale(active) / scale(x), rel=1e-9)


def test_a_mean_over_positions_is_no_vanishing() -> None:
    keras.utils.set_random_seed(1)
    he = {"activation": "relu", "kernel_initializer": "he_normal"}
    parts = [layers.Conv2D(8, 3, **he), layers.GlobalAveragePooling2D(), layers.Dense(32, **he)]
    model = keras.Sequential([keras.Input((20, 20, 1)), *parts, layers.Dense(2)])
    result = check_initialization(model, np.random.default_rng(0).normal(size=(20, 20, 20, 1)))
    assert (result.verdict, result.gradient_growth) == ("healthy", None)
    conv, dense, _ = result.layers
    assert conv.gradient_scale < 0.01 * dense.gradient_scale
    assert result.activation_growth == pytest.approx(conv.activation_scale / result.input_scale)


def test_recurrent_layers_are_left_out_of_growth() -> None:
    steps = [layers.SimpleRNN(8, return_sequences=True), layers.Bidirectional(layers.SimpleRNN(4))]
    dense = [layers.Dense(16, "relu", name=name) for name in ("a", "b")]
    model = keras.Sequential([keras.Input((12, 4)), *steps, *dense, layers.Dense(1)])
    result = check_initialization(model, np.random.default_rng(0).normal(size=(20, 12, 4)))
    assert result.verdict == "healthy"
    assert [layer.suited_initializer for layer in result.layers[:3]] == [None, None, "he_normal"]
    first, second = result.layers[2:4]
    assert result.activation_growth == pytest.approx(second.activation_scale / first.activation_scale)


def test_layers_that_narrow_keep_the_norm_of_gradients() -> None:
    keras.utils.set_random_seed(1)
    model = build_model(2, [500, 8], 0.1, 64)
    result = check_initialization(model, X)
    wide, narrow, _ = result.layers
    assert result.verdict == "healthy"
    assert result.gradient_growth == pytest.approx(
        np.sqrt(500 / 8) * wide.gradient_scale / narrow.gradient_scale
    )


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_what_is_not_0_at_0_does_not_explode(activation: str) -> None:
    result = check_initialization(build_model(1, 4, 0.1, 64, activation=activation), X / 50)
    assert (result.verdict, result.activation_growth) == ("healthy", None)


@pytest.mark.parametrize(("times", "verdict"), [(8, "exploding"), (1, "healthy"), (1 / 8, "vanishing")])
def test_one_hidden_layer_explodes_and_vanishes_too(times: float, verdict: str) -> None:
    model = build_model(1, 64, 0.1, 64, kernel_initializer=scaled(2, times))
    assert check_initialization(model, X).verdict == verdict


class Named(layers.Dense):
    """A Dense whose activation is a name."""

    def __init__(self, units: int, own: str, **options: Any):
        super().__init__(units, **options)
        self.own = self.activation = own

    def call(self, inputs: Any) -> Any:
        return ops.relu(ops.matmul(inputs, self.kernel) + self.bias)

    def get_config(self) -> dict:
        base = layers.Layer.get_config(self)
        return base | {"units": self.units, "own": self.own}


def test_activations_by_name_are_reported() -> None:
    parts = [Named(4, "relu"), Named(4, "own"), layers.Dense(1)]
    result = check_initialization(keras.Sequential([keras.Input((64,)), *parts]), X)
    assert [layer.activation for layer in result.layers] == ["relu", "linear", "linear"]
    assert [layer.suited_initializer for layer in result.layers[:2]] == ["he_normal", "glorot_uniform"]


def test_dead_units_and_saturation_by_biases_are_found() -> None:
    def model(activation: str, bias: float) -> Any:
        constant = keras.initializers.Constant(bias)
        hidden = layers.Dense(10, activation, bias_initializer=constant, name="hidden")
        return keras.Sequential([keras.Input((64,)), hidden, layers.Dense(1, name="last")])

    dead = check_initialization(model("relu", -50), X)
    assert dead.layers[0].dead == 1
    assert (
        "100% of the units output 0 for all rows in hidden"
        in dead.findings[kinds(dead).index("dead units")].text
    )
    full = check_initialization(model("tanh", 5), X)
    assert (full.verdict, kinds(full)) == ("saturation", ["saturation"])
    assert full.layers[0].saturated > 0.9
    assert full.findings[0].layers == ("hidden",)
    low = check_initialization(model("sigmoid", -8), X)
    assert low.layers[0].saturated > 0.9
    assert check_initialization(model("tanh", 0), X).layers[0].saturated < 0.2


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (X * 100, "has a root mean square of 1"),
        (X / 1000, "has a root mean square of 0.0"),
        (X * np.where(np.arange(64) == 3, 1e-5, 1), "the root mean squares of the columns range from 1"),
        (X + 5 * (np.arange(64) == 3), f"column 3 has a mean of {5 + X[:, 3].mean():.3g} and a standard"),
    ],
)
def test_inputs_that_are_not_scaled_are_found(x: np.ndarray, text: str) -> None:
    model = build_model(1, 10, 0.1, 64)
    result = check_initialization(model, x)
    assert (result.verdict, kinds(result)) == ("inputs not scaled", ["inputs not scaled"])
    assert text in result.findings[0].text


def test_a_network_that_scales_its_inputs_is_healthy() -> None:
    x = 100 * X + 1000
    assert check_initialization(build_model(1, 10, 0.1, 64, normalize=x), x).verdict == "healthy"


def convolutions() -> Any:
    parts = [layers.Conv2D(3, 3, name="conv"), layers.LeakyReLU(name="leaky"), layers.Flatten()]
    return keras.Sequential([*parts, layers.Dense(2, "softmax", name="last")])


def test_a_model_that_is_not_built_is_drawn_and_stays_unbuilt() -> None:
    model = convolutions()
    images = X.reshape(-1, 8, 8, 1)
    first, second = (check_initialization(model, images, random_state=3) for _ in range(2))
    assert first == second
    assert not model.built
    assert [layer.name for layer in first.layers] == ["conv", "leaky", "last"]
    assert [layer.suited_initializer for layer in first.layers] == ["he_normal", None, "glorot_uniform"]
    assert first.layers[0].suited_variance == 2 / 9
    assert first.layers[0].kernel_variance == pytest.approx(2 / (9 + 27), rel=0.5)  # Keras' glorot_uniform


def test_layers_in_models_and_shared_ones_are_reported() -> None:
    inputs = [keras.Input((64,)), keras.Input((3,), dtype="int32")]
    shared = layers.Dense(4, "tanh", name="shared")
    inner = keras.Sequential([layers.Dense(64, name="wide")], name="inner")
    words = layers.LSTM(5, name="lstm")(layers.Embedding(7, 4, mask_zero=True, name="words")(inputs[1]))
    outputs = layers.Concatenate()([shared(inner(shared_in := inputs[0])), shared(shared_in), words])
    model = keras.Model(inputs, layers.Dense(1, name="last")(outputs))
    result = check_initialization(model, [X, np.arange(180).reshape(60, 3) % 7])
    assert {layer.name for layer in result.layers} == {"inner/wide", "shared", "lstm", "last"}


class Own(keras.Model):
    def __init__(self, units: int, **options: Any):
        super().__init__(**options)
        self.units = units
        self.hidden, self.last = layers.Dense(units, "elu", name="hidden"), layers.Dense(1, name="last")

    def call(self, x: Any) -> Any:
        return self.last(self.hidden(x))

    def get_config(self) -> dict:
        return super().get_config() | {"units": self.units}


def test_the_layers_of_a_model_of_ones_own_class_are_reported() -> None:
    model = Own(4)
    model(X)
    result = check_initialization(model, X)
    suited = {layer.name: layer.suited_initializer for layer in result.layers}
    assert suited == {"hidden": "he_normal", "last": "glorot_uniform"}
    assert result.layers[0].kernel_variance == pytest.approx(
        np.mean(np.square(model.get_weights()[0])), rel=1e-5
    )


def test_nothing_is_left_changed() -> None:
    model = build_model(1, 3, 0.1, 64, dropout=0.5, batch_normalization=True)

    def state() -> list[Any]:
        settings = [
            keras.config.floatx(),
            keras.backend.result_type("float64"),
            keras.config.dtype_policy().name,
            str(model.get_config()),
        ]
        settings += [
            str(ops.convert_to_tensor(np.zeros(1)).dtype),
            [sorted(vars(each)) for each in model.layers],
        ]
        weights = [each.numpy().tolist() for each in model.variables]
        return [weights, settings, random.getstate(), np.random.get_state()[1].tolist()]

    before = state()
    check_initialization(model, X)
    assert state() == before


def test_it_prints_a_table() -> None:
    result = check_initialization(build_model(1, 3, 0.1, 64, activation="tanh"), X)
    lines = str(result).splitlines()
    assert lines[0] == "Initialization: healthy"
    assert lines[-3].startswith("layer     activation  scale")
    assert lines[-2].split()[:2] == ["hidden_1", "tanh"]
    assert lines[-2].split()[-2:] == ["lecun_normal", "0.0156"]
    assert "<td>lecun_normal</td>" in result._repr_html_()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_rows": 1}, ValueError, "check_initialization: n_rows must be an integer >= 2; got 1"),
        ({"random_state": -1}, ValueError, "random_state must be an integer >= 0; got -1"),
        ({"model": "mlp"}, TypeError, "check_initialization: model must be a keras.Model; got 'mlp'"),
        (
            {"x": np.where(X > 0, X, np.inf)},
            ValueError,
            r"x must be finite .*; got an array of shape \(60, 64\)",
        ),
        (
            {"sample_weight": X[:, 0]},
            ValueError,
            "sample_weight must be None if y is None, as there is no loss",
        ),
        (
            {"y": X[:, 0]},
            ValueError,
            "model 'bare' has no loss, because it is not compiled; call model.compile",
        ),
        ({"x": iter([1])}, TypeError, "x must be dense arrays of numbers, or lists or dicts of them; got"),
        ({}, ValueError, "the model 'bare' has no layer with a kernel to check"),
    ],
)
def test_bad_arguments_are_refused(options: dict, error: type, message: str) -> None:
    bare = keras.Sequential([keras.Input((64,)), layers.ReLU()], name="bare")
    with pytest.raises(error, match=message):
        check_initialization(**{"model": bare, "x": X, **options})
