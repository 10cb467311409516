import json
import math
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras.optimizers import schedules

from kerashp import fit
from kerashp._arguments import Arguments
from kerashp._compat.keras import version
from kerashp.models import build_model, loss_for

# TensorFlow's variables do not know NumPy 2's `copy`; saving any Keras model warns of it.
saves = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

TASKS = {
    "regression": (3, "linear", keras.losses.MeanSquaredError),
    "binary": (1, "sigmoid", keras.losses.BinaryCrossentropy),
    "multiclass": (4, "softmax", keras.losses.SparseCategoricalCrossentropy),
    "multilabel": (3, "sigmoid", keras.losses.BinaryCrossentropy),
}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def float64():
    before = keras.config.floatx()
    keras.config.dtype_policy()  # Keras keeps the first policy it makes: let that be the one from before
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx(before)


def denses(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]


def widths(model):
    return [layer.units for layer in denses(model)[:-1]]


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def targets(rng, task, n):
    n_outputs = TASKS[task][0]
    if task == "regression":
        return rng.normal(size=(n, n_outputs))
    if task == "multiclass":
        return rng.integers(n_outputs, size=n)
    return rng.integers(2, size=(n, n_outputs))


def compile_config(model):
    return {key: value for key, value in model.get_compile_config().items() if key in ("optimizer", "loss")}


def in_json(config):
    return json.loads(json.dumps(config))


# Shape of the network


@pytest.mark.parametrize("task", TASKS)
def test_task_sets_output_and_loss(task):
    n_outputs, activation, loss = TASKS[task]
    model = build_model(task=task, n_outputs=n_outputs)
    assert model.output_shape == (None, n_outputs)
    assert model.layers[-1].activation is keras.activations.get(activation)
    assert type(model.loss) is loss
    assert model.loss.reduction == "mean_with_sample_weight"
    assert type(loss_for(task)) is loss


def test_loss_for_is_a_new_object_each_time():
    assert loss_for("binary") is not loss_for("binary")


def test_defaults():
    model = build_model()
    assert kinds(model) == ["Dense", "Dense"]
    assert model.input_shape == (None, 8)
    assert model.output_shape == (None, 1)
    assert widths(model) == [30]
    assert model.built
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert float(model.optimizer.learning_rate) == pytest.approx(3e-3)
    assert model.layers[0].activation is keras.activations.relu
    assert model.layers[0].kernel_regularizer is None
    assert model.layers[0].activity_regularizer is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"n_hidden": 0}, []),
        ({"n_hidden": 3, "n_neurons": 5}, [5, 5, 5]),
        ({"n_neurons": [7, 3, 2]}, [7, 3, 2]),
        ({"n_hidden": 3, "n_neurons": (7, 3, 2)}, [7, 3, 2]),
        ({"n_neurons": np.array([4, 6])}, [4, 6]),
        ({"n_neurons": range(3, 6)}, [3, 4, 5]),
        ({"n_hidden": 2, "n_neurons": "input"}, [8, 8]),
        ({"n_hidden": 2, "n_neurons": "input", "input_shape": (4, 5)}, [20, 20]),
        ({"n_hidden": 4, "n_neurons": 100, "taper": 0.5}, [100, 50, 25, 12]),
        ({"n_hidden": 3, "n_neurons": "input", "taper": 0.5}, [8, 4, 2]),
        ({"n_hidden": 4, "n_neurons": 3, "taper": 0.1}, [3, 1, 1, 1]),
        ({"n_hidden": 3, "n_neurons": 10, "taper": 1}, [10, 10, 10]),
    ],
)
def test_widths(arguments, expected):
    assert widths(build_model(**arguments)) == expected


@pytest.mark.parametrize(
    ("input_shape", "expected"), [(5, (5,)), ([5], (5,)), ((4, 3), (4, 3)), (np.array([4, 3, 2]), (4, 3, 2))]
)
def test_input_shape(input_shape, expected):
    model = build_model(input_shape=input_shape)
    assert model.input_shape == (None, *expected)
    assert denses(model)[0].kernel.shape[0] == math.prod(expected)
    assert ("Flatten" in kinds(model)) == (len(expected) > 1)


def test_images_are_normalized_then_flattened(rng):
    images = rng.normal(3.0, 2.0, size=(20, 4, 5, 3))
    model = build_model(0, input_shape=(4, 5, 3), normalize=images)
    assert kinds(model) == ["Normalization", "Flatten", "Dense"]
    kernel, bias = model.layers[-1].get_weights()
    scaled = (images - images.mean(axis=(0, 1, 2))) / images.std(axis=(0, 1, 2))
    expected = scaled.reshape(20, -1) @ kernel + bias
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-4)


@pytest.mark.parametrize("activation", ["relu", "tanh", "softplus", keras.activations.elu, keras.ops.sin])
def test_activation_is_on_the_hidden_layers_only(activation):
    hidden, output = denses(build_model(activation=activation))
    assert hidden.activation is keras.activations.get(activation)
    assert output.activation is keras.activations.linear


@pytest.mark.parametrize("batch_normalization", [False, True])
def test_a_layer_as_activation_is_copied_to_each_hidden_layer(batch_normalization):
    activation = keras.layers.PReLU()
    model = build_model(2, [4, 3], activation=activation, batch_normalization=batch_normalization)
    alphas = [tuple(weight.shape) for weight in model.weights if weight.name == "alpha"]
    assert alphas == [(4,), (3,)]
    assert not activation.built


def test_regularizing_layers_stand_in_order():
    model = build_model(2, batch_normalization=True, dropout=0.25, activity_l1=0.1)
    block = ["Dense", "BatchNormalization", "Activation", "Dropout"]
    assert kinds(model) == [*block, *block, "Dense"]
    first, _, activation, dropout = model.layers[:4]
    assert not first.use_bias
    assert first.activation is keras.activations.linear
    assert activation.activation is keras.activations.relu
    assert dropout.rate == 0.25
    assert model.layers[-1].use_bias


def test_dropout_without_batch_normalization():
    assert kinds(build_model(2, dropout=0.5)) == ["Dense", "Dropout", "Dense", "Dropout", "Dense"]


def test_two_builds_have_the_same_configs(rng):
    arguments = {"input_shape": (4, 2), "dropout": 0.1, "batch_normalization": True, "l2": 0.1}
    first, second = (
        build_model(2, optimizer="adam", normalize=rng.normal(size=(n, 4, 2)), **arguments) for n in (9, 7)
    )
    assert first.get_config() == second.get_config()
    assert compile_config(first) == compile_config(second)


def test_the_seed_sets_the_weights():
    models = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        models.append(build_model(2))
    for first, second in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(first, second)


# Initializers

HE, LECUN, GLOROT = "HeNormal", "LecunNormal", "GlorotUniform"


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        *((name, HE) for name in ("relu", "leaky_relu", "elu", "gelu", "silu", "swish", "relu6", "celu")),
        *(
            (name, HE)
            for name in ("mish", "softplus", "hard_silu", "hard_swish", "squareplus", "sparse_plus")
        ),
        *((name, LECUN) for name in ("tanh", "selu", "hard_tanh", "softsign")),
        *((name, GLOROT) for name in ("sigmoid", "softmax", "linear", "hard_sigmoid", "exponential")),
        (keras.activations.gelu, HE),
        (keras.ops.tanh, LECUN),
        (keras.ops.sin, GLOROT),
        (keras.layers.LeakyReLU(negative_slope=0.3), HE),
        (keras.layers.PReLU(), HE),
    ],
)
@pytest.mark.parametrize("batch_normalization", [False, True])
def test_auto_initializer(activation, expected, batch_normalization):
    model = build_model(2, 3, activation=activation, batch_normalization=batch_normalization)
    classes = [type(layer.kernel_initializer).__name__ for layer in denses(model)]
    assert classes == [expected, expected, GLOROT]


@pytest.mark.parametrize(("task", "n_outputs"), [("binary", 1), ("multiclass", 3), ("multilabel", 3)])
def test_auto_initializer_of_the_output_goes_by_its_own_activation(task, n_outputs):
    output = build_model(task=task, n_outputs=n_outputs, activation="selu").layers[-1]
    assert type(output.kernel_initializer).__name__ == GLOROT


@pytest.mark.parametrize(("activation", "gain"), [("relu", 2.0), ("selu", 1.0), ("tanh", 1.0)])
def test_auto_initializer_has_the_variance_of_theory(activation, gain):
    keras.utils.set_random_seed(0)
    model = build_model(1, 600, input_shape=400, n_outputs=300, activation=activation)
    hidden, output = (layer.get_weights()[0] for layer in model.layers)
    assert hidden.var() == pytest.approx(gain / 400, rel=0.03)
    assert output.var() == pytest.approx(2 / (600 + 300), rel=0.03)


def test_auto_initializer_of_sigmoid_has_the_variance_of_theory():
    keras.utils.set_random_seed(0)
    hidden = build_model(1, 600, input_shape=400, activation="sigmoid").layers[0].get_weights()[0]
    assert hidden.var() == pytest.approx(2 / (400 + 600), rel=0.03)


def test_auto_initializer_keeps_the_scale_of_the_signal_through_a_deep_network(rng):
    keras.utils.set_random_seed(0)
    model = build_model(20, 200, input_shape=200, activation="relu")
    to_last_hidden = keras.Model(model.inputs, model.layers[-2].output)
    signal = to_last_hidden.predict(rng.normal(size=(100, 200)), verbose=0)
    assert 0.2 < np.mean(signal**2) < 5


@pytest.mark.parametrize(
    "initializer",
    ["he_uniform", np.str_("he_uniform"), keras.initializers.HeUniform(), keras.initializers.HeUniform],
)
def test_initializer_is_used_in_all_layers_each_with_its_own(initializer):
    model = build_model(2, 8, kernel_initializer=initializer)
    own = [layer.kernel_initializer for layer in denses(model)]
    assert [type(each) for each in own] == [keras.initializers.HeUniform] * 3
    assert len({id(each) for each in own}) == 3
    assert not np.array_equal(*(layer.get_weights()[0] for layer in model.layers[:2]))


@pytest.mark.parametrize("seed", [0, 7, -7, np.int64(7).item()])
def test_initializer_with_a_seed_gives_other_numbers_in_each_layer(seed):
    initializer = keras.initializers.HeNormal(seed=seed)
    first, second = (build_model(3, 8, kernel_initializer=initializer) for _ in range(2))
    kernels = [layer.get_weights()[0] for layer in first.layers[:3]]
    assert not np.array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[1], kernels[2])
    np.testing.assert_array_equal(kernels[0], np.asarray(initializer((8, 8))))
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_initializer_with_a_seed_generator_gives_other_numbers_in_each_layer():
    initializer = keras.initializers.HeNormal(seed=keras.random.SeedGenerator(0))
    model = build_model(2, 8, kernel_initializer=initializer)
    assert not np.array_equal(*(layer.get_weights()[0] for layer in model.layers[:2]))


def test_initializer_may_be_a_function():
    def thirds(shape, dtype=None):
        return keras.ops.full(shape, 1 / 3, dtype=dtype)

    kernels = [layer.get_weights()[0] for layer in build_model(kernel_initializer=thirds).layers]
    assert all(np.allclose(kernel, 1 / 3) for kernel in kernels)


# Penalties


def test_kernel_penalties_are_on_every_dense():
    model = build_model(2, 5, l1=0.1, l2=0.01)
    kernels = [layer.get_weights()[0] for layer in denses(model)]
    expected = sum(0.1 * np.abs(kernel).sum() + 0.01 * (kernel**2).sum() for kernel in kernels)
    assert sum(float(loss) for loss in model.losses) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["l1", "l2"])
def test_one_kernel_penalty(name):
    model = build_model(0, **{name: 0.5})
    kernel = model.layers[0].get_weights()[0]
    expected = 0.5 * (np.abs(kernel) if name == "l1" else kernel**2).sum()
    assert float(model.losses[0]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("batch_normalization", [False, True])
def test_activity_penalty_is_on_the_activated_hidden_layers(rng, batch_normalization):
    model = build_model(2, 5, activation="tanh", activity_l1=0.3, batch_normalization=batch_normalization)
    x = rng.normal(size=(6, 8))
    name = "activation" if batch_normalization else "hidden"
    activated = [model.get_layer(f"{name}_{i}").output for i in (1, 2)]
    outputs = keras.Model(model.inputs, activated).predict(x, verbose=0)
    n_rows = len(x) if version() >= (3, 14) else 1  # before that, Keras adds up the rows of a batch
    expected = sum(0.3 * np.abs(output).sum() / n_rows for output in outputs)
    model(x)
    assert sum(float(loss) for loss in model.losses) == pytest.approx(expected, rel=1e-5)


def test_no_penalty_is_left_out_of_the_loss(rng):
    x, y = rng.normal(size=(6, 8)), rng.normal(size=(6, 1))
    model = build_model(l1=0.1, activity_l1=0.2)
    hidden = model.layers[0]
    n_rows = len(x) if version() >= (3, 14) else 1  # before that, Keras adds up the rows of a batch
    activity = 0.2 * np.abs(hidden(x)).sum() / n_rows
    kernels = sum(0.1 * np.abs(layer.get_weights()[0]).sum() for layer in model.layers)
    error = np.mean((model.predict(x, verbose=0) - y) ** 2)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(error + kernels + activity, rel=1e-5)


# Normalization


def test_test_data_are_scaled_with_training_statistics(rng):
    train = rng.normal([5, -3, 0], [2, 100, 0.01], size=(200, 3))
    test = rng.normal(1.0, 3.0, size=(50, 3))
    model = build_model(0, input_shape=3, normalize=train)
    kernel, bias = model.layers[-1].get_weights()
    scaled = (test - train.mean(axis=0)) / train.std(axis=0)
    np.testing.assert_allclose(model.layers[0](test), scaled, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.predict(test, verbose=0), scaled @ kernel + bias, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("constant", [0.0, 0.1, 12345678.9, -1e30])
def test_a_constant_feature_is_only_centred(rng, constant):
    train = rng.normal(size=(1000, 2))
    train[:, 0] = constant
    layer = build_model(0, input_shape=2, normalize=train).layers[0]
    scaled = np.asarray(layer(train.astype("float32")))
    np.testing.assert_array_equal(scaled[:, 0], 0)
    assert scaled[:, 1].std() == pytest.approx(1, rel=1e-4)
    departed = np.array([[constant + 2.0, 0.0]], dtype="float32")
    assert layer(departed)[0, 0] == departed[0, 0] - np.float32(constant)


def test_one_training_row_is_only_centred():
    layer = build_model(normalize=np.arange(8.0)[None]).layers[0]
    np.testing.assert_array_equal(layer(np.arange(8.0)[None] + 1), np.ones((1, 8)))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint8", "bool"])
def test_training_rows_of_any_number_type(rng, dtype):
    train = rng.integers(2, size=(100, 3)).astype(dtype)
    layer = build_model(input_shape=3, normalize=train).layers[0]
    rows = train.astype("float64")
    expected = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    np.testing.assert_allclose(layer(rows), expected, atol=1e-5)


def test_training_rows_may_be_a_list():
    assert kinds(build_model(input_shape=2, normalize=[[1, 2], [3, 5]]))[0] == "Normalization"


def test_a_variance_beyond_the_float_type_is_refused():
    rows = np.array([[1e30, 1.0], [-1e30, 2.0]])
    with pytest.raises(ValueError, match=r"normalize must be rows whose variance fits into float32 .*divide"):
        build_model(input_shape=2, normalize=rows)


# Optimizers

OPTIMIZERS = {  # name: (takes momentum, takes beta_1 and beta_2)
    "sgd": (True, False),
    "rmsprop": (True, False),
    "muon": (True, False),
    "adam": (False, True),
    "adamw": (False, True),
    "adamax": (False, True),
    "nadam": (False, True),
    "lamb": (False, True),
    "lion": (False, True),
    "schedulefreeadamw": (False, True),
    "adagrad": (False, False),
    "adadelta": (False, False),
    "adafactor": (False, False),
    "ftrl": (False, False),
}


SCHEDULE_FREE = pytest.mark.skipif(version() < (3, 14), reason="ScheduleFreeAdamW needs Keras 3.14")
NAMES = [pytest.param(name, marks=SCHEDULE_FREE if "free" in name else ()) for name in OPTIMIZERS]


@pytest.mark.parametrize("name", NAMES)
def test_optimizer_options_that_all_take(name):
    optimizer = build_model(optimizer=name, learning_rate=0.02, weight_decay=0.05, clipnorm=2).optimizer
    assert type(optimizer).__name__.lower() == name
    assert optimizer.name == name
    assert float(optimizer.learning_rate) == pytest.approx(0.02)
    assert optimizer.weight_decay == 0.05
    assert optimizer.clipnorm == 2.0


@pytest.mark.parametrize("option", ["momentum", "beta_1", "beta_2"])
@pytest.mark.parametrize("name", NAMES)
def test_optimizer_options_that_some_take(name, option):
    if OPTIMIZERS[name][option != "momentum"]:
        config = build_model(optimizer=name, **{option: 0.8}).optimizer.get_config()
        assert config[option] == 0.8
    else:
        taker = "'rmsprop', 'sgd'" if option == "momentum" else "'adam', 'adamax', 'adamw'"
        message = f"build_model: optimizer {name} takes no {option}; got {option}=0.8: .*{taker}"
        with pytest.raises(ValueError, match=f"(?i){message}"):
            build_model(optimizer=name, **{option: 0.8})


@pytest.mark.parametrize("name", NAMES)
def test_none_leaves_what_is_the_optimizer_s_own(name):
    built = build_model(optimizer=name, learning_rate=None).optimizer
    own = type(built)().get_config()
    assert {**built.get_config(), "name": None} == {**own, "name": None}


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "adamW", np.str_("Nadam")])
def test_optimizer_name_in_any_case(name):
    assert type(build_model(optimizer=name).optimizer).__name__.lower() == name.lower()


def test_an_optimizer_instance_is_copied(rng):
    x, y = rng.normal(size=(8, 8)), rng.normal(size=(8, 1))
    instance = keras.optimizers.Adam(0.5, beta_1=0.7, clipvalue=3.0, name="mine")
    before = instance.get_config()
    first, second = (build_model(optimizer=instance, weight_decay=0.1) for _ in range(2))
    for model in (first, second):
        model.fit(x, y, verbose=0)
        assert model.optimizer is not instance
        assert type(model.optimizer) is keras.optimizers.Adam
        config = model.optimizer.get_config()
        assert (config["beta_1"], config["clipvalue"], config["name"]) == (0.7, 3.0, "mine")
        assert config["weight_decay"] == 0.1
        assert config["learning_rate"] == pytest.approx(3e-3)
    assert instance.get_config() == before
    assert not instance.built
    assert int(instance.iterations) == 0
    assert compile_config(first) == compile_config(second)


def test_an_optimizer_instance_keeps_its_learning_rate_at_none():
    model = build_model(optimizer=keras.optimizers.Adam(0.5), learning_rate=None)
    assert float(model.optimizer.learning_rate) == 0.5


def test_an_optimizer_instance_of_a_subclass():
    class Mine(keras.optimizers.SGD):
        def __init__(self, learning_rate=0.1, extra=1, **kwargs):
            super().__init__(learning_rate, **kwargs)
            self.extra = extra

        def get_config(self):
            return {**super().get_config(), "extra": self.extra}

    optimizer = build_model(optimizer=Mine(extra=5), momentum=0.5).optimizer
    assert (type(optimizer), optimizer.extra, optimizer.momentum) == (Mine, 5, 0.5)


def test_a_wrapping_optimizer_instance_is_copied_or_its_refusal_passed_on():
    wrapper = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.25))
    optimizer = build_model(optimizer=wrapper, learning_rate=None).optimizer
    assert optimizer.inner_optimizer is not wrapper.inner_optimizer
    assert float(optimizer.learning_rate) == 0.25
    with pytest.raises(
        ValueError,
        match=r"LossScaleOptimizer cannot be made with .*learning_rate.*Leave refused arguments at None",
    ):
        build_model(optimizer=wrapper)


def test_learning_rate_schedule(rng):
    schedule = schedules.ExponentialDecay(0.1, decay_steps=2, decay_rate=0.5)
    model = build_model(learning_rate=schedule)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    model.fit(rng.normal(size=(8, 8)), rng.normal(size=(8, 1)), batch_size=4, epochs=2, verbose=0)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1 * 0.5**2)


class Unregistered(schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.1 / (1 + keras.ops.cast(step, "float32"))

    def get_config(self):
        return {}


def test_an_instance_with_an_unregistered_schedule():
    instance = keras.optimizers.SGD(Unregistered())
    with pytest.raises(ValueError, match=r"build_model: optimizer SGD cannot be made with .*Unregistered"):
        build_model(optimizer=instance, learning_rate=None)
    model = build_model(optimizer=instance, learning_rate=Unregistered())
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)


def test_clipnorm_bounds_the_step(rng):
    model = build_model(learning_rate=0.5, clipnorm=0.01)
    before = model.get_weights()
    model.train_on_batch(rng.normal(size=(8, 8)), 1e4 * np.ones((8, 1)))
    steps = [np.linalg.norm(new - old) for new, old in zip(model.get_weights(), before, strict=True)]
    assert max(steps) == pytest.approx(0.5 * 0.01, rel=1e-3)


# NumPy's scalars


def test_numpy_scalars_become_python_s():
    model = build_model(
        n_hidden=np.int64(2),
        n_neurons=np.int32(6),
        learning_rate=np.float32(0.25),
        input_shape=(np.int64(8),),
        n_outputs=np.int16(3),
        task=np.str_("multiclass"),
        taper=np.float16(0.5),
        activation=np.str_("tanh"),
        kernel_initializer=np.str_("auto"),
        dropout=np.float32(0.5),
        l1=np.float64(0.1),
        l2=np.int64(1),
        activity_l1=np.float32(0.5),
        batch_normalization=np.bool_(True),
        optimizer=np.str_("sgd"),
        momentum=np.float32(0.5),
        weight_decay=np.float64(0.5),
        clipnorm=np.int64(2),
    )
    plain = build_model(
        2, 6, 0.25, 8, n_outputs=3, task="multiclass", taper=0.5, activation="tanh", dropout=0.5, l1=0.1,
        l2=1, activity_l1=0.5, batch_normalization=True, momentum=0.5, weight_decay=0.5, clipnorm=2,
    )  # fmt: skip
    assert model.get_config() == plain.get_config()
    assert compile_config(model) == compile_config(plain)
    assert type(model.layers[0].units) is int
    assert type(model.optimizer.momentum) is float
    assert type(model.optimizer.weight_decay) is float


def test_numpy_scalars_in_the_remaining_places():
    model = build_model(
        n_neurons=np.arange(2, 5), n_outputs=np.uint8(2), optimizer="adam", beta_1=np.float32(0.5)
    )
    assert widths(model) == [2, 3, 4]
    assert model.optimizer.beta_1 == 0.5
    assert widths(build_model(n_neurons=np.str_("input"))) == [8]
    assert float(build_model(learning_rate=1).optimizer.learning_rate) == 1.0


# Refusals

NAN, INF = float("nan"), float("inf")
WIDTHS = "n_neurons must be a positive integer, a sequence of them or 'input'"


def halves(x):
    return x[:, ::2]


class NotCopied(keras.initializers.Initializer):
    def __init__(self, value):
        self.value = value

    def __call__(self, shape, dtype=None):
        return keras.ops.full(shape, self.value, dtype=dtype)


BAD = [
    ({"n_hidden": -1}, ValueError, "n_hidden must be an integer >= 0; got -1"),
    ({"n_hidden": 1.0}, TypeError, "n_hidden must be an integer >= 0; got 1.0 (of type float)"),
    ({"n_hidden": True}, TypeError, "n_hidden must be an integer >= 0; got True (of type bool)"),
    ({"n_hidden": np.bool_(True)}, TypeError, "n_hidden must be an integer >= 0; got np.True_"),
    ({"n_hidden": None}, TypeError, "n_hidden must be an integer >= 0; got None"),
    ({"n_hidden": "2"}, TypeError, "n_hidden must be an integer >= 0; got '2'"),
    ({"n_hidden": NAN}, TypeError, "n_hidden must be an integer >= 0; got nan"),
    ({"n_neurons": 0}, ValueError, f"{WIDTHS}; got 0"),
    ({"n_neurons": 30.0}, TypeError, f"{WIDTHS}; got 30.0"),
    ({"n_neurons": "output"}, ValueError, WIDTHS),
    ({"n_neurons": {3, 4}}, TypeError, WIDTHS),
    ({"n_neurons": True}, TypeError, "n_neurons must be a positive integer"),
    (
        {"n_neurons": []},
        ValueError,
        "n_neurons must be one width for each layer (pass n_hidden=0 for no hidden layer); got []",
    ),
    ({"n_neurons": [3, 0]}, ValueError, "n_neurons[1] must be an integer >= 1; got 0"),
    ({"n_neurons": [3, 4.0]}, TypeError, "n_neurons[1] must be an integer >= 1; got 4.0"),
    ({"n_neurons": np.ones((2, 2), int)}, TypeError, "n_neurons[0] must be an integer >= 1; got an array"),
    (
        {"n_neurons": [3, 4], "n_hidden": 3},
        ValueError,
        "n_hidden must be left at 1 or 2, the length of n_neurons; got 3",
    ),
    (
        {"n_neurons": [3, 4], "n_hidden": 0},
        ValueError,
        "n_hidden must be left at 1 or 2, the length of n_neurons; got 0",
    ),
    (
        {"n_neurons": [3, 4], "taper": 0.5},
        ValueError,
        "taper must be 1 where n_neurons is a sequence of widths; got 0.5",
    ),
    ({"taper": 0}, ValueError, "taper must be a number in (0, 1]; got 0"),
    ({"taper": 1.5}, ValueError, "taper must be a number in (0, 1]; got 1.5"),
    ({"taper": NAN}, ValueError, "taper must be a number in (0, 1]; got nan"),
    ({"taper": "half"}, TypeError, "taper must be a number in (0, 1]; got 'half'"),
    (
        {"learning_rate": 0},
        ValueError,
        "learning_rate must be a positive finite number, a Keras LearningRateSchedule",
    ),
    ({"learning_rate": -0.1}, ValueError, "learning_rate must be a positive finite number"),
    ({"learning_rate": NAN}, ValueError, "None (the optimizer's default); got nan"),
    ({"learning_rate": INF}, ValueError, "None (the optimizer's default); got inf"),
    ({"learning_rate": 10**400}, ValueError, "learning_rate must be a positive finite number"),
    ({"learning_rate": True}, TypeError, "learning_rate must be a positive finite number"),
    ({"learning_rate": "fast"}, TypeError, "learning_rate must be a positive finite number"),
    ({"learning_rate": lambda: 0.1}, TypeError, "learning_rate must be a positive finite number"),
    ({"input_shape": ()}, ValueError, "input_shape must be a positive integer or a non-empty tuple of them"),
    ({"input_shape": 0}, ValueError, "input_shape must be a positive integer or a non-empty tuple of them"),
    ({"input_shape": (None, 3)}, TypeError, "input_shape[0] must be an integer >= 1; got None"),
    ({"input_shape": (3, -1)}, ValueError, "input_shape[1] must be an integer >= 1; got -1"),
    ({"input_shape": "8"}, TypeError, "input_shape must be a positive integer or a non-empty tuple of them"),
    ({"n_outputs": 0}, ValueError, "n_outputs must be an integer >= 1; got 0"),
    ({"n_outputs": 1.5}, TypeError, "n_outputs must be an integer >= 1; got 1.5"),
    ({"n_outputs": 2, "task": "binary"}, ValueError, "n_outputs must be 1 for task='binary'"),
    (
        {"n_outputs": 1, "task": "multiclass"},
        ValueError,
        "n_outputs must be the number of classes, >= 2, for task",
    ),
    (
        {"task": "clustering"},
        ValueError,
        "task must be one of 'regression', 'binary', 'multiclass', 'multilabel'",
    ),
    (
        {"task": None},
        TypeError,
        "task must be one of 'regression', 'binary', 'multiclass', 'multilabel'; got None",
    ),
    ({"activation": "swoosh"}, ValueError, "'tanh_shrink'; got 'swoosh'"),
    ({"activation": "glu"}, ValueError, "'tanh_shrink'; got 'glu'"),
    ({"activation": None}, TypeError, "activation must be a name that Keras knows or a function of a tensor"),
    (
        {"activation": keras.layers.ReLU},
        TypeError,
        "activation must be a name that Keras knows or a function",
    ),
    (
        {"activation": halves},
        ValueError,
        "activation must be a function of one tensor that keeps its shape; got <fun",
    ),
    (
        {"activation": math.sin},
        ValueError,
        "activation must be a function of one tensor that keeps its shape; got <bui",
    ),
    (
        {"kernel_initializer": "best"},
        ValueError,
        "kernel_initializer must be 'auto' or the name of an initializer",
    ),
    (
        {"kernel_initializer": None},
        TypeError,
        "kernel_initializer must be 'auto', a name that Keras knows or a Keras",
    ),
    (
        {"kernel_initializer": int},
        TypeError,
        "kernel_initializer must be 'auto', a name that Keras knows or a Keras",
    ),
    ({"kernel_initializer": np.ones((8, 30))}, TypeError, "got an array of shape (8, 30) and type float64"),
    (
        {"kernel_initializer": NotCopied(1.0)},
        ValueError,
        "initializer whose get_config() returns all arguments",
    ),
    ({"dropout": 1.0}, ValueError, "dropout must be a number in [0, 1); got 1.0"),
    ({"dropout": -0.1}, ValueError, "dropout must be a number in [0, 1); got -0.1"),
    ({"dropout": NAN}, ValueError, "dropout must be a number in [0, 1); got nan"),
    ({"dropout": False}, TypeError, "dropout must be a number in [0, 1); got False"),
    ({"l1": -1}, ValueError, "l1 must be a number >= 0; got -1"),
    ({"l1": "a"}, TypeError, "l1 must be a number >= 0; got 'a'"),
    ({"l2": INF}, ValueError, "l2 must be a number >= 0; got inf"),
    ({"l2": None}, TypeError, "l2 must be a number >= 0; got None"),
    ({"activity_l1": np.float32(NAN)}, ValueError, "activity_l1 must be a number >= 0; got np.float32(nan)"),
    ({"activity_l1": 1j}, TypeError, "activity_l1 must be a number >= 0; got 1j"),
    ({"batch_normalization": 1}, TypeError, "batch_normalization must be True or False; got 1"),
    ({"batch_normalization": "no"}, TypeError, "batch_normalization must be True or False; got 'no'"),
    (
        {"normalize": np.ones((4, 7))},
        ValueError,
        "normalize must be an array of numbers, of shape (n, 8) with n >= 1",
    ),
    ({"normalize": np.ones((0, 8))}, ValueError, "with n >= 1; got an array of shape (0, 8)"),
    ({"normalize": np.ones(8)}, ValueError, "with n >= 1; got an array of shape (8,)"),
    ({"normalize": 3.0}, ValueError, "with n >= 1; got an array of shape ()"),
    (
        {"normalize": np.full((4, 8), NAN)},
        ValueError,
        "normalize must be finite as float32 (impute or drop missing",
    ),
    ({"normalize": np.full((4, 8), 1e300)}, ValueError, "got 32 NaN or infinite values of 32"),
    (
        {"normalize": np.full((4, 8), "a")},
        TypeError,
        "normalize must be an array of numbers, of shape (n, 8)",
    ),
    ({"normalize": True}, ValueError, "with n >= 1; got an array of shape ()"),
    ({"optimizer": "sdg"}, ValueError, "'sgd'; got 'sdg'"),
    ({"optimizer": "LossScaleOptimizer"}, ValueError, "optimizer must be an instance or one of 'adadelta'"),
    (
        {"optimizer": None},
        TypeError,
        "optimizer must be a keras.optimizers.Optimizer instance or one of 'adadelta'",
    ),
    (
        {"optimizer": keras.optimizers.Adam},
        TypeError,
        "optimizer must be a keras.optimizers.Optimizer instance or one",
    ),
    ({"momentum": 1.0}, ValueError, "momentum must be a number in [0, 1); got 1.0"),
    ({"momentum": "0.9"}, TypeError, "momentum must be a number in [0, 1); got '0.9'"),
    ({"optimizer": "adam", "beta_1": 1}, ValueError, "beta_1 must be a number in [0, 1); got 1"),
    ({"optimizer": "adam", "beta_2": 1}, ValueError, "beta_2 must be a number in [0, 1); got 1"),
    ({"optimizer": "adam", "beta_2": "0"}, TypeError, "beta_2 must be a number in [0, 1); got '0'"),
    ({"optimizer": "lion", "beta_1": 0}, ValueError, "optimizer Lion cannot be made with"),
    (
        {"beta_1": 0.5},
        ValueError,
        "optimizer SGD takes no beta_1; got beta_1=0.5: leave it None or use one of 'adam'",
    ),
    ({"weight_decay": -1e-3}, ValueError, "weight_decay must be a number >= 0; got -0.001"),
    ({"weight_decay": True}, TypeError, "weight_decay must be a number >= 0; got True"),
    ({"clipnorm": 0}, ValueError, "clipnorm must be a number > 0; got 0"),
    ({"clipnorm": [1.0]}, TypeError, "clipnorm must be a number > 0; got [1.0]"),
    ({"clipnorm": 1, "optimizer": keras.optimizers.SGD(clipvalue=1.0)}, ValueError, "Only one of `clipnorm`"),
    ({"momentum": 0.5, "optimizer": keras.optimizers.Adam()}, ValueError, "optimizer Adam takes no momentum"),
    (
        {"metrics": "accuracy"},
        TypeError,
        "metrics must be None or a list of names in keras.metrics",
    ),
    ({"metrics": {"output": ["mae"]}}, TypeError, "metrics must be None or a list of names in keras.metrics"),
    ({"metrics": [3]}, TypeError, "metrics must be None or a list of names in keras.metrics"),
    ({"metrics": ["mae", "acuracy"]}, ValueError, "metrics must be None or a list of names in keras.metrics"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        build_model(**arguments)
    assert type(caught.value) is error
    assert str(caught.value).startswith("build_model: ")


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_accuracy_is_the_share_of_right_labels(rng, task):
    x, y = rng.normal(size=(40, 4)), targets(rng, task, 40)
    n_outputs = TASKS[task][0]
    model = build_model(1, 5, input_shape=4, task=task, n_outputs=n_outputs, metrics=["accuracy"])
    outputs = model.predict(x, verbose=0)
    predicted = outputs.argmax(axis=1) if task == "multiclass" else (outputs > 0.5).reshape(y.shape)
    found = model.evaluate(x, y, verbose=0, return_dict=True)
    assert found["accuracy"] == pytest.approx(np.mean(predicted == y))
    history = fit(model, x, y, epochs=1, validation_split=0.5, verbose=0).history
    assert sorted(history) == ["accuracy", "loss", "val_accuracy", "val_loss"]


def test_metrics_are_those_of_compile(rng):
    x, y = rng.normal(size=(20, 8)), rng.normal(size=20)
    own = keras.metrics.MeanSquaredError(name="own")
    model = build_model(metrics=("mae", own, keras.losses.cosine_similarity))
    found = model.evaluate(x, y, verbose=0, return_dict=True)
    assert list(found) == ["cosine_similarity", "loss", "mae", "own"]
    assert found["own"] == pytest.approx(found["loss"], rel=1e-5)
    labels = build_model(input_shape=4, task="multilabel", n_outputs=3, metrics=["ce"])
    y = rng.integers(2, size=(20, 3))
    found = labels.evaluate(x[:, :4], y, verbose=0, return_dict=True)
    assert found["ce"] == pytest.approx(found["loss"], rel=1e-4)


def test_options_after_the_shape_are_keywords_only():
    with pytest.raises(TypeError, match="positional"):
        build_model(1, 30, 3e-3, (8,), 1)


def test_loss_for_refuses_in_its_own_name():
    with pytest.raises(ValueError, match=r"loss_for: task must be one of 'regression'.*; got 'ranking'"):
        loss_for("ranking")
    with pytest.raises(TypeError, match="loss_for: task must be one of"):
        loss_for(None)


def test_a_long_value_is_cut_in_the_error():
    with pytest.raises(TypeError, match=r"\.\.\. \(list\)") as caught:
        Arguments("f").integer("n", list(range(1000)), at_least=1)
    assert len(str(caught.value)) < 200


# Saving


def predictions_after_one_more_step(model, x, y):
    model.train_on_batch(x, y)
    return model.predict(x, verbose=0)


@saves
@pytest.mark.parametrize(
    ("task", "optimizer"),
    [
        ("regression", "sgd"),
        ("regression", "adamw"),
        ("binary", "lamb"),
        ("multiclass", "adamw"),
        ("multilabel", "lamb"),
    ],
)
def test_a_saved_model_loads_as_it_was(rng, tmp_path, task, optimizer):
    x, y = rng.normal(2.0, 3.0, size=(12, 4, 2)), targets(rng, task, 12)
    model = build_model(
        2, 6, 0.01, (4, 2), task=task, n_outputs=TASKS[task][0], activation="elu", l1=0.01, l2=0.01,
        activity_l1=0.01, batch_normalization=True, normalize=x, optimizer=optimizer, clipnorm=1.0,
    )  # fmt: skip
    model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert in_json(loaded.get_config()) == in_json(model.get_config())
    assert compile_config(loaded) == compile_config(model)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    expected = predictions_after_one_more_step(model, x, y)
    np.testing.assert_allclose(predictions_after_one_more_step(loaded, x, y), expected, rtol=1e-4, atol=1e-5)


LOADER = """
import sys
import keras, numpy as np
model = keras.models.load_model("model.keras")
assert not any(name.split(".")[0] == "kerashp" for name in sys.modules), "kerashp was imported"
np.save("loaded.npy", model.predict(np.load("x.npy"), verbose=0))
print(type(model.loss).__name__, model.loss.reduction, type(model.optimizer).__name__)
"""


@pytest.mark.slow
@saves
def test_a_saved_model_loads_where_only_keras_is_imported(rng, tmp_path):
    x = rng.normal(2.0, 3.0, size=(12, 4, 2)).astype("float32")
    schedule = schedules.ExponentialDecay(0.1, 10, 0.9)
    model = build_model(
        2, "input", schedule, (4, 2), task="multiclass", n_outputs=3, activation="gelu", dropout=0.2, l2=0.01,
        activity_l1=0.01, batch_normalization=True, normalize=x, optimizer="nadam", beta_1=0.8,
        label_smoothing=0.1,
    )  # fmt: skip
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", x)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(
        [sys.executable, "-c", LOADER],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["CategoricalCrossentropy", "mean_with_sample_weight", "Nadam"]
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(np.load(tmp_path / "loaded.npy"), expected, rtol=1e-5, atol=1e-6)


# Float types


@pytest.mark.usefixtures("float64")
def test_float64_throughout(rng):
    train = rng.normal(1e6, 1.0, size=(50, 8))
    model = build_model(2, normalize=train, dropout=0.1, batch_normalization=True, learning_rate=0.1, l1=0.1)
    assert {str(weight.dtype) for weight in model.weights} - {"int64", "uint32", "int32"} == {"float64"}
    assert model.predict(train, verbose=0).dtype == "float64"
    assert model.loss.dtype == "float64"
    assert float(model.optimizer.learning_rate) == 0.1
    scaled = (train - train.mean(axis=0)) / train.std(axis=0)
    np.testing.assert_allclose(model.layers[0](train), scaled, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("float64")
def test_float64_keeps_its_precision_through_the_model(rng):
    x = rng.normal(size=(20, 8))
    model = build_model(1, 5, activation=keras.layers.ReLU())
    (first, bias), (second, shift) = (layer.get_weights() for layer in model.layers)
    expected = np.maximum(x @ first + bias, 0) @ second + shift
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.usefixtures("float64")
def test_float64_constant_feature():
    train = np.full((1000, 8), 0.1)
    scaled = np.asarray(build_model(normalize=train).layers[0](train))
    np.testing.assert_array_equal(scaled, 0)


@saves
@pytest.mark.usefixtures("float64")
def test_float64_model_loads_as_it_was(rng, tmp_path):
    x = rng.normal(size=(20, 8))
    model = build_model(normalize=x)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_global_settings_are_left_alone(rng):
    before = keras.config.floatx(), keras.config.dtype_policy().name, keras.config.epsilon(), np.geterr()
    build_model(normalize=rng.normal(size=(5, 8)))
    assert (
        keras.config.floatx(),
        keras.config.dtype_policy().name,
        keras.config.epsilon(),
        np.geterr(),
    ) == before


def test_a_mixed_precision_policy_is_kept(rng):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_model(normalize=rng.normal(size=(5, 8)))
    finally:
        keras.config.set_dtype_policy(before)
    assert [layer.compute_dtype for layer in model.layers] == ["float32", "bfloat16", "bfloat16"]
    assert {layer.variable_dtype for layer in model.layers} == {"float32"}


# Training


@pytest.mark.parametrize("task", TASKS)
def test_an_integer_weight_equals_a_repeated_row(rng, task):
    x, y, weights = rng.normal(size=(10, 8)), targets(rng, task, 10), rng.integers(4, size=10)
    model = build_model(task=task, n_outputs=TASKS[task][0], learning_rate=0.1)
    twin = build_model(task=task, n_outputs=TASKS[task][0], learning_rate=0.1)
    twin.set_weights(model.get_weights())
    weighted = model.train_on_batch(x, y, sample_weight=weights.astype("float32"))
    repeated = twin.train_on_batch(np.repeat(x, weights, axis=0), np.repeat(y, weights, axis=0))
    assert weighted == pytest.approx(repeated, rel=1e-5)
    for one, other in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_without_weights_the_loss_is_keras_default(rng, task):
    x, y = rng.normal(size=(10, 8)), targets(rng, task, 10)
    model = build_model(task=task, n_outputs=TASKS[task][0])
    default = TASKS[task][2]()
    assert model.evaluate(x, y, verbose=0) == pytest.approx(float(default(y, model(x))), rel=1e-5)


def test_a_flat_regression_target_is_one_column(rng):
    x, y = rng.normal(size=(10, 8)), rng.normal(size=10)
    model = build_model()
    expected = np.mean((model.predict(x, verbose=0)[:, 0] - y) ** 2)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_a_small_fit_reduces_the_loss(rng, task):
    keras.utils.set_random_seed(0)
    n_outputs = TASKS[task][0]
    x = rng.normal(size=(128, 8))
    scores = x @ rng.normal(size=(8, n_outputs))
    y = {"regression": scores, "multiclass": scores.argmax(axis=1)}.get(task, (scores > 0).astype(int))
    model = build_model(1, 16, 0.05, task=task, n_outputs=n_outputs, normalize=x, momentum=0.9)
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=20, verbose=0)
    assert model.evaluate(x, y, verbose=0) < 0.5 * before
