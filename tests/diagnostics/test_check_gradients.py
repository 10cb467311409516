"""`check_gradients`: closed forms, right gradients of many kinds, planted wrong ones; nothing is changed."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers, ops

from kerashp import build_model
from kerashp.diagnostics import check_gradients
from kerashp.diagnostics._foundations import copies
from kerashp.diagnostics._gradients.result import Gradients

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4)).astype("float32")
Y = RNG.normal(size=12).astype("float32")
CLASSES = RNG.integers(3, size=12)


def with_gradient(forward: Callable, backward: Callable) -> Callable:
    """`forward(a, b)`, of which the backend believes that `backward(a, b, upstream)` are the gradients."""
    if keras.backend.backend() == "jax":
        import jax

        function = jax.custom_vjp(forward)
        function.defvjp(
            lambda a, b: (forward(a, b), (a, b)), lambda kept, upstream: backward(*kept, upstream)
        )
        return function
    import tensorflow as tf

    return tf.custom_gradient(lambda a, b: (forward(a, b), lambda upstream: backward(a, b, upstream)))


class Product(layers.Layer):
    """inputs @ kernel, with gradients multiplied by factors."""

    def __init__(self, units: int, of_inputs: float = 1.0, of_kernel: float = 1.0, **options: Any):
        super().__init__(**options)
        self.units, self.of_inputs, self.of_kernel = units, of_inputs, of_kernel

    def build(self, shape: tuple) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")

    def call(self, inputs: Any) -> Any:
        def backward(inputs: Any, kernel: Any, upstream: Any) -> tuple:
            of_inputs = ops.matmul(upstream, ops.transpose(kernel))
            return self.of_inputs * of_inputs, self.of_kernel * ops.matmul(ops.transpose(inputs), upstream)

        return with_gradient(ops.matmul, backward)(inputs, 1 * self.kernel)

    def get_config(self) -> dict:
        own = {"units": self.units, "of_inputs": self.of_inputs, "of_kernel": self.of_kernel}
        return super().get_config() | own


class Scaled(layers.Layer):
    """The inputs, and a gradient that is `factor` times too large; no weights."""

    def __init__(self, factor: float, **options: Any):
        super().__init__(**options)
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        function = with_gradient(lambda a, b: a + 0 * b, lambda _, b, up: (self.factor * up, 0 * b))
        return function(inputs, ops.zeros_like(inputs))

    def get_config(self) -> dict:
        return super().get_config() | {"factor": self.factor}


class Squares(layers.Layer):
    """inputs + w^2, of which the gradient says 2w + 100 w^2: right at w = 0."""

    def build(self, shape: tuple) -> None:
        self.w = self.add_weight(shape=shape[1:], initializer="zeros", name="w")

    def call(self, inputs: Any) -> Any:
        wrong = with_gradient(
            lambda w, x: x + w**2, lambda w, _, up: (ops.sum(up, axis=0) * (2 * w + 100 * w**2), up)
        )
        # Of its second power alone w would have no gradient at 0, and never leave it.
        return wrong(1 * self.w, inputs) + self.w


def compiled(*parts: Any, loss: Any = "mse", optimizer: Any = "sgd") -> Any:
    model = keras.Sequential([keras.Input((4,)), *parts])
    model.compile(optimizer, loss)
    return model


def checked(model: Any, x: Any = X, y: Any = Y, **options: Any) -> Any:
    return check_gradients(model, x, y, **{"random_state": 0, **options})


def test_a_linear_model_has_the_gradient_of_the_closed_form() -> None:
    model = compiled(layers.Dense(1, kernel_regularizer=keras.regularizers.L2(0.25), name="dense"))
    weight = RNG.uniform(0.5, 2, size=12)
    kernel, bias = (each.astype(float) for each in (RNG.normal(size=(4, 1)), RNG.normal(size=1)))
    model.set_weights([kernel, bias])
    kernel, bias = (np.asarray(each, float) for each in model.get_weights())  # rounded to float32
    (layer,) = (result := checked(model, sample_weight=weight)).layers
    off = weight[:, None] * (X @ kernel + bias - Y[:, None])
    expected = {"kernel": 2 * X.T.astype(float) @ off / 12 + 2 * 0.25 * kernel, "bias": 2 * off.mean(axis=0)}
    assert [each.name for each in layer.weights] == ["kernel", "bias"]
    for each in layer.weights:
        wanted = expected[each.name].ravel()
        np.testing.assert_allclose(each.automatic, wanted, rtol=1e-12)
        np.testing.assert_allclose(each.numerical, wanted, rtol=1e-8)
    squares = np.mean(weight * (X @ kernel + bias - Y[:, None])[:, 0] ** 2)
    assert result.loss == pytest.approx(squares + 0.25 * np.sum(kernel**2), rel=1e-12)
    assert 0 < result.difference < 1e-9
    assert result.verdict == "right"


def two_outputs() -> Any:
    inputs = keras.Input((4,))
    hidden = layers.Dense(6, "tanh")(inputs)
    one, many = layers.Dense(1, name="one")(hidden), layers.Dense(3, "softmax", name="many")(hidden)
    model = keras.Model(inputs, [one, many])
    model.compile("adam", ["mse", "sparse_categorical_crossentropy"], loss_weights=[1.0, 0.5])
    return model


@pytest.mark.parametrize(
    ("build", "y"),
    [
        (lambda: build_model(2, 8, 0.1, 4, l1=0.01, l2=0.01, dropout=0.4, activity_l1=0.01), Y),
        (lambda: build_model(2, 8, 0.1, 4, activation="tanh", batch_normalization=True), Y),
        (lambda: build_model(2, 8, 0.1, 4, activation="selu", n_outputs=3, task="multiclass"), CLASSES),
        (two_outputs, [Y, CLASSES]),
    ],
    ids=["relu with penalties and dropout", "tanh with batch normalization", "selu", "two outputs"],
)
def test_keras_gradients_are_right(build: Callable[[], Any], y: Any) -> None:
    keras.utils.set_random_seed(1)
    result = checked(build(), y=y)
    assert 0 < result.difference < 1e-8
    assert all(layer.difference < 1e-7 for layer in result.layers)
    assert (result.verdict, result.faults, result.before) == ("right", (), None)


@pytest.mark.parametrize(
    ("middle", "verdict", "faults", "worst"),
    [
        (Product(5, of_kernel=1.01, name="planted"), "wrong", ("planted",), "planted"),
        (Product(5, of_kernel=1 + 1e-4, name="planted"), "look", ("planted",), "planted"),
        (Product(5, of_inputs=1.2, name="planted"), "wrong", ("planted",), "first"),
        (Product(5, name="planted"), "right", (), None),
    ],
)
def test_a_planted_gradient_is_caught_and_its_layer_named(
    middle: Any, verdict: str, faults: tuple, worst: str | None
) -> None:
    keras.utils.set_random_seed(1)
    result = checked(compiled(layers.Dense(5, "tanh", name="first"), middle, layers.Dense(1, name="last")))
    assert (result.verdict, result.faults) == (verdict, faults)
    differences = {layer.name: layer.difference for layer in result.layers}
    assert differences["last"] < 1e-7
    if worst is not None:
        assert result.worst.name == worst
    factor = middle.of_kernel
    assert differences["planted"] == pytest.approx((factor - 1) / (factor + 1), rel=1e-3, abs=1e-7)


def test_a_fault_in_a_layer_without_weights_or_in_the_loss_is_named() -> None:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4,))
    scaled = Scaled(1.5, name="scaled")  # called twice
    hidden = layers.Dense(3, name="second")(scaled(layers.Dense(3, name="first")(inputs)))
    model = keras.Model(inputs, layers.Dense(1, name="last")(scaled(hidden)))
    model.compile("sgd", "mse")
    result = checked(model)
    assert result.faults == ("scaled",)
    differences = {layer.name: layer.difference for layer in result.layers}
    assert differences["first"] == pytest.approx((1.5**2 - 1) / (1.5**2 + 1), rel=1e-6)
    assert differences["second"] == pytest.approx((1.5 - 1) / (1.5 + 1), rel=1e-6)
    assert differences["last"] < 1e-7
    assert "The gradient goes wrong in: scaled" in str(result)
    wrong = with_gradient(lambda y, p: (y - p) ** 2, lambda y, p, up: (0 * y, 3 * (p - y) * up))
    assert checked(compiled(layers.Dense(1), loss=wrong), y=Y[:, None]).faults == ("loss",)


def test_a_fault_that_initial_weights_hide_is_found_after_some_training() -> None:
    keras.utils.set_random_seed(1)
    model = compiled(layers.Dense(1), Squares(name="squares"))
    result = checked(model, after_epochs=3)
    assert result.before.verdict == "right"
    assert (result.verdict, result.faults, result.epochs) == ("wrong", ("squares",), 3)
    assert result.loss != result.before.loss
    assert "after 3 epochs: difference" in str(result)
    np.testing.assert_array_equal(model.get_weights()[2], 0)


def test_nothing_is_left_changed() -> None:
    model = build_model(1, 3, 0.1, 4, dropout=0.5, batch_normalization=True, optimizer="adam")
    model.jit_compile = False  # quicker
    model.fit(X, Y, verbose=0)

    def state() -> list[Any]:
        variables = [*model.variables, *model.optimizer.variables]
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
        draws = [random.getstate(), np.random.get_state()[1].tolist()]
        return [
            *[each.numpy().tolist() for each in variables],
            settings,
            draws,
            model.optimizer.learning_rate.dtype,
        ]

    keras.utils.set_random_seed(3)
    expected = ops.convert_to_numpy(keras.random.uniform([2]))
    keras.utils.set_random_seed(3)
    before = state()
    checked(model, after_epochs=1, random_state=None, n_weights=2)
    assert state() == before
    np.testing.assert_array_equal(ops.convert_to_numpy(keras.random.uniform([2])), expected)
    model.fit(X, Y, verbose=0)


def relu(x: Any) -> Any:
    """A function with the name of one of Keras', to be taken for itself."""
    return ops.tanh(2 * x)


class Terse(layers.Layer):
    """A layer that takes none of what every layer takes, and says nothing of its own."""

    def __init__(self, units: int):
        super().__init__()
        self.units = units

    def build(self, shape: tuple) -> None:
        self.w = self.add_weight(shape=(shape[-1], self.units), name="w")

    def call(self, inputs: Any) -> Any:
        return inputs @ self.w


def test_models_in_models_shared_layers_and_functions_of_ones_own_are_copied() -> None:
    inputs = keras.Input((4,))
    shared = layers.Dense(4, relu, name="shared")
    inner = keras.Sequential(
        [layers.Dense(4, lambda x: x**2, name="square"), layers.Dropout(0.5)], name="inner"
    )
    twice = shared(inner(shared(inputs)))
    outputs = Terse(1)(layers.Lambda(lambda x: 2 * x, name="doubled")(ops.sin(twice)))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", lambda y, p: ops.abs(y - p))
    result = checked(model, y=Y[:, None])
    assert result.verdict == "right"
    assert [layer.name for layer in result.layers] == ["shared", "inner/square", model.layers[-1].name]
    assert result.loss == pytest.approx(model.evaluate(X, Y[:, None], verbose=0), rel=1e-5)


class Own(keras.Model):
    """A model of one's own class that can be made from its config."""

    def __init__(self, units: int, **options: Any):
        super().__init__(**options)
        self.units = units
        self.hidden, self.last = layers.Dense(units, "tanh", name="hidden"), layers.Dense(1, name="last")

    def call(self, x: Any) -> Any:
        return self.last(self.hidden(x))

    def get_config(self) -> dict:
        return super().get_config() | {"units": self.units}


class Closed(keras.Model):
    """One that cannot."""

    def __init__(self, parts: list):
        super().__init__(name="closed")
        self.parts = parts

    def call(self, x: Any) -> Any:
        for part in self.parts:
            x = part(x)
        return x


class Grows(Own):
    """One that says less than it was made of."""

    def get_config(self) -> dict:
        return super().get_config() | {"units": self.units + 1}


def test_a_model_of_ones_own_class_that_is_not_built_stays_so() -> None:
    model = Own(3)
    model.compile("sgd", "mse")
    result = checked(model)
    assert result.verdict == "right"
    assert [layer.name for layer in result.layers] == ["hidden", "last"]
    assert not model.built


def test_at_a_kink_every_slope_between_the_two_is_right() -> None:
    model = compiled(layers.Dense(3, "relu", name="kinked"), layers.Dense(1))
    result = checked(model, x=np.where(np.arange(12)[:, None] < 4, 0, X))  # times the kernel, 0
    assert result.verdict == "right"


def test_gradients_below_what_rounding_leaves_are_not_called_wrong() -> None:
    keras.utils.set_random_seed(0)
    scale = layers.Lambda(lambda x: 1e-6 * x)
    result = checked(compiled(layers.Dense(3, name="faint"), scale, layers.Dense(1)))
    faint = result.layers[0]
    assert 1e-7 < faint.difference < 1e-3
    assert (faint.verdict, result.verdict) == ("right", "right")


def test_a_sample_of_weights_is_the_same_for_the_same_random_state() -> None:
    model = compiled(layers.Dense(10, "tanh"), layers.Dense(1))
    first, second = (checked(model, n_weights=5).layers[0].weights[0] for _ in range(2))
    assert first.shape == (4, 10)
    assert len(set(first.places)) == 5
    np.testing.assert_array_equal(first.places, second.places)
    np.testing.assert_array_equal(first.numerical, second.numerical)
    text = str(checked(model, n_weights=5))
    assert text.startswith("Gradients: right\nat the model's weights: difference ")
    assert "10 of 50" in text


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(1 + 1e-7, "right"), (1 + 4e-7, "fine"), (1 + 4e-5, "look"), (1 + 4e-3, "wrong"), (np.nan, "wrong")],
)
def test_verdicts_go_by_the_difference(factor: float, verdict: str) -> None:
    one = np.array([3.0, 4.0])
    gradients = Gradients("kernel", (2,), np.arange(2), factor * one, one, 0 * one)
    if np.isfinite(factor):
        assert gradients.difference == pytest.approx((factor - 1) / (factor + 1), rel=1e-6)
    assert gradients.verdict == verdict
    assert replace(gradients, automatic=0 * one, numerical=0 * one).difference == 0
    within = replace(gradients, automatic=one + 0.01, rounding=np.full(2, 0.01))
    assert (within.verdict, within.difference > 1e-3) == ("right", True)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epsilon": 0}, ValueError, "check_gradients: epsilon must be a number > 0; got 0"),
        ({"n_weights": 0}, ValueError, r"n_weights must be an integer >= 1 or None \(all\); got 0"),
        ({"after_epochs": -1}, ValueError, "after_epochs must be an integer >= 0; got -1"),
        (
            {"random_state": -1},
            ValueError,
            "random_state must be None, an integer >= 0 or a numpy.random.Gen",
        ),
        ({"model": 3}, TypeError, "check_gradients: model must be a keras.Model; got 3"),
        (
            {"model": keras.Sequential(name="bare")},
            ValueError,
            "model 'bare' has no loss, because it is not compiled",
        ),
        ({"x": iter([1])}, TypeError, "x must be dense arrays of numbers, or lists or dicts of them; got"),
        (
            {"y": np.array(["a", "b"] * 6)},
            TypeError,
            r"y must be dense arrays of numbers, .*; encode labels as integers \(LabelEncoder\); got an "
            r"array of shape \(12,\)",
        ),
        ({"y": pd.Series(["a", "b"] * 6)}, TypeError, "y must be dense arrays of numbers, .* encode labels"),
        ({"sample_weight": np.array(["a"] * 12)}, TypeError, "sample_weight must be dense arrays of numbers"),
        (
            {"x": X * np.nan},
            ValueError,
            "the loss must be finite to have gradients; got nan at the mod",
        ),
    ],
)
def test_bad_arguments_are_refused(options: dict, error: type, message: str) -> None:
    arguments = {"model": compiled(layers.Dense(1)), "x": X, "y": Y, **options}
    with pytest.raises(error, match=message):
        check_gradients(**arguments)


def test_a_batch_of_a_fixed_size_is_taken_as_it_is() -> None:
    inputs = keras.Input(batch_shape=(12, 2, 2))
    model = keras.Model(inputs, layers.Dense(1)(layers.SimpleRNN(2, stateful=True)(inputs)))
    model.compile("sgd", "mse")
    state = model.layers[1].states[0]
    state.assign(np.ones((12, 2)))
    assert check_gradients(model, X.reshape(12, 2, 2), Y).verdict == "right"
    np.testing.assert_array_equal(ops.convert_to_numpy(state), 1)


class Coarse(layers.Layer):
    def call(self, inputs: Any) -> Any:
        return ops.cast(inputs, "float32")


class Noise(layers.Layer):
    def call(self, inputs: Any) -> Any:
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            return inputs + tf.random.normal(inputs.shape[1:], dtype=inputs.dtype)
        return inputs


def made(model: Any) -> Any:
    model.compile("sgd", "mse")
    model(X)
    return model


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: made(Closed([layers.Dense(1)])),
            "Closed 'closed' cannot be copied in float64: .*Define get_config.. and from_config",
        ),
        (
            lambda: made(Grows(3, name="grows")),
            "a copy of Grows 'grows' from its config has 4 weight arrays, and the model has 4; ",
        ),
        (lambda: compiled(layers.Dense(1, trainable=False)), "has no trainable weights to check"),
        (
            lambda: compiled(layers.Dense(3), Coarse(name="coarse"), layers.Dense(1)),
            "the layer 'coarse' computes in float32 even in a float64 copy of the model, which is",
        ),
    ],
)
def test_models_that_cannot_be_checked_are_refused_by_name(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked(build())


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX has no random numbers without a key")
def test_a_random_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="two evaluations of the loss at the same weights and rows differ"):
        checked(compiled(layers.Dense(1), Noise()))


def test_a_backend_without_gradients_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "supported", lambda: False)
    with pytest.raises(NotImplementedError, match="backend has no gradients; use TensorFlow or JAX"):
        checked(compiled(layers.Dense(1)))
