"""`kerashp.fit` gives the numbers of `Model.fit`: the same start, data and order, three epochs."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerashp._compat.keras import version
from kerashp.layers import (
    FanInScaling,
    HeadAffine,
    HeadOutputs,
    HeadScale,
    LearnedBias,
    LearnedScale,
    ParametricActivation,
    PeriodicEmbedding,
    PiecewiseLinearEncoding,
    RandomSigns,
    RobustScaling,
)
from kerashp.training import FallbackWarning, fit, isolated

pytestmark = pytest.mark.slow

N_ROWS = 70  # with batches of 16, the last has 6 rows
BATCH_SIZE = 16
CLASSES = 4


@dataclass
class Case:
    """A model with data, and how it is compiled and fitted."""

    model: Callable[[], Any]
    data: tuple[Any, ...]  # x, y
    compile: Callable[[], dict[str, Any]] = field(default=lambda: {"loss": "mse"})
    fit: dict[str, Any] = field(default_factory=dict)
    optimizer: Callable[[], Any] = field(default=lambda: keras.optimizers.SGD(0.05))
    in_graph: bool = False  # whether Keras' numbers depend on whether its steps are traced


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def table(n_features: int = 5, n_outputs: int = 1) -> tuple[np.ndarray, np.ndarray]:
    X = rng().normal(size=(N_ROWS, n_features))
    return X, np.tanh(X @ rng().normal(size=(n_features, n_outputs))) + 0.1


def positive() -> tuple[np.ndarray, np.ndarray]:
    X, y = table()
    return X, np.exp(y)


def binary() -> tuple[np.ndarray, np.ndarray]:
    X, y = table()
    return X, (y > 0).astype("float64")


def classes() -> tuple[np.ndarray, np.ndarray]:
    X, y = table(n_outputs=CLASSES)
    return X, y.argmax(axis=1)


def one_hot() -> tuple[np.ndarray, np.ndarray]:
    X, y = classes()
    return X, np.eye(CLASSES)[y]


def images(channels: int = 2) -> tuple[np.ndarray, np.ndarray]:
    X = rng().normal(size=(N_ROWS, 8, 8, channels))
    return X, X.mean(axis=(1, 2))[:, :1]


def sequences(width: int = 3) -> tuple[np.ndarray, np.ndarray]:
    X = rng().normal(size=(N_ROWS, 6, width))
    return X, X.mean(axis=(1, 2))[:, None]


def words() -> tuple[np.ndarray, np.ndarray]:
    X = rng().integers(1, 12, size=(N_ROWS, 6))
    return X, (X.mean(axis=1) > 6).astype("float64")[:, None]


def two_inputs() -> tuple[Any, Any]:
    X, y = table()
    return [X, X[:, :2] ** 2], [y, (y > 0).astype("float64")]


def stack(
    *hidden: Any, n_features: Any = (5,), outputs: int = 1, activation: Any = None, **dense: Any
) -> Any:
    return keras.Sequential([layers.Input(n_features), *hidden, layers.Dense(outputs, activation, **dense)])


def mlp(outputs: int = 1, activation: Any = None) -> Any:
    return stack(layers.Dense(7, "tanh"), outputs=outputs, activation=activation)


def two_by_two() -> Any:
    one, two = layers.Input((5,), name="one"), layers.Input((2,), name="two")
    hidden = layers.Dense(6, "relu")(layers.Concatenate()([layers.Dense(4, "tanh")(one), two]))
    return keras.Model(
        [one, two], [layers.Dense(1, name="a")(hidden), layers.Dense(1, "sigmoid", name="b")(hidden)]
    )


class Subclassed(keras.Model):
    def __init__(self, scale: float = 0.5):
        super().__init__()
        self.hidden = layers.Dense(6, "relu")
        self.normal = layers.BatchNormalization()
        self.out = layers.Dense(1)
        self.scale = scale

    def call(self, x: Any, training: bool = False) -> Any:
        return self.out(self.normal(self.hidden(x), training=training)) * self.scale


class Penalised(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = layers.Dense(6, "relu")
        self.out = layers.Dense(1)

    def call(self, x: Any) -> Any:
        hidden = self.hidden(x)
        self.add_loss(1e-2 * ops.mean(ops.square(hidden)))
        return self.out(hidden)


class OwnLoss(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.out = layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.out(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean(ops.square(y - y_pred)) + 1e-2 * ops.mean(ops.abs(y_pred))


class Counting(layers.Layer):
    """Has state of its own: how many rows it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            self.seen.assign_add(ops.cast(ops.shape(x)[0], self.seen.dtype))
        return x


class GloballyRandom(layers.Layer):
    def call(self, x: Any, training: bool = False) -> Any:
        return x + 1e-9 * keras.random.normal(ops.shape(x)) if training else x


def scalar_loss(y: Any, predicted: Any) -> Any:
    return ops.mean(ops.abs(y - predicted))


def row_loss(y: Any, predicted: Any) -> Any:
    return ops.mean(ops.abs(y - predicted) ** 1.5, axis=-1)


class Bias(keras.metrics.Metric):
    def __init__(self) -> None:
        super().__init__(name="bias")
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")

    def update_state(self, y: Any, predicted: Any, sample_weight: Any = None) -> None:
        self.total.assign_add(ops.sum(predicted - y))
        self.count.assign_add(ops.cast(ops.shape(y)[0], self.count.dtype))

    def result(self) -> Any:
        return self.total / self.count


class Halving(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step: Any) -> Any:
        return 0.1 * ops.power(0.5, ops.cast(step, "float32") / 5)


def adapted() -> Any:
    layer = layers.Normalization()
    layer.build((None, 5))
    layer.adapt(table()[0].astype("float32"))
    return stack(layer, layers.Dense(6, "relu"))


def encoded() -> Any:
    layer = PiecewiseLinearEncoding(4)
    layer.adapt(table()[0].astype("float32"))
    return stack(layer, layers.Dense(6, "relu"))


def frozen() -> Any:
    model = stack(layers.Dense(6, "relu"), layers.BatchNormalization(), layers.Dense(4, "tanh"))
    model.layers[0].trainable = False
    model.layers[1].trainable = False
    return model


def attention() -> Any:
    inputs = layers.Input((6, 3))
    attended = layers.MultiHeadAttention(2, 4)(inputs, inputs)
    return keras.Model(
        inputs, layers.Dense(1)(layers.GlobalAveragePooling1D()(layers.Add()([inputs, attended])))
    )


def nested() -> Any:
    inner = keras.Sequential([layers.Input((5,)), layers.Dense(6, "relu"), layers.Dense(5)], name="inner")
    inputs = layers.Input((5,))
    return keras.Model(inputs, layers.Dense(1)(layers.Add()([inner(inputs), inner(inputs)])))


def shared() -> Any:
    one, two, dense = layers.Input((5,)), layers.Input((5,)), layers.Dense(4, "relu")
    return keras.Model([one, two], layers.Dense(1)(layers.Subtract()([dense(one), dense(two)])))


def named() -> Any:
    one, two = layers.Input((5,), name="one"), layers.Input((2,), name="two")
    hidden = layers.Dense(6, "relu")(layers.Concatenate()([one, two]))
    return keras.Model({"one": one, "two": two}, {"a": layers.Dense(1)(hidden), "b": layers.Dense(1)(hidden)})


OPTIMIZERS = {
    "sgd": lambda **o: keras.optimizers.SGD(0.05, **o),
    "momentum": lambda **o: keras.optimizers.SGD(0.05, momentum=0.9, **o),
    "nesterov": lambda **o: keras.optimizers.SGD(0.05, momentum=0.8, nesterov=True, **o),
    "rmsprop": lambda **o: keras.optimizers.RMSprop(0.01, **o),
    "rmsprop-centered": lambda **o: keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True, **o),
    "adam": lambda **o: keras.optimizers.Adam(0.01, **o),
    "amsgrad": lambda **o: keras.optimizers.Adam(0.01, amsgrad=True, **o),
    "adamw": lambda **o: keras.optimizers.AdamW(0.01, **o),
    "adadelta": lambda **o: keras.optimizers.Adadelta(1.0, **o),
    "adagrad": lambda **o: keras.optimizers.Adagrad(0.05, **o),
    "adamax": lambda **o: keras.optimizers.Adamax(0.01, **o),
    "nadam": lambda **o: keras.optimizers.Nadam(0.01, **o),
    "ftrl": lambda **o: keras.optimizers.Ftrl(0.05, l1_regularization_strength=1e-3, **o),
    "lion": lambda **o: keras.optimizers.Lion(0.003, **o),
    "lamb": lambda **o: keras.optimizers.Lamb(0.01, **o),
    "adafactor": lambda **o: keras.optimizers.Adafactor(0.01, **o),
    "muon": lambda **o: keras.optimizers.Muon(0.01, **o),
}
OPTIONS = {
    "": {},
    "clipnorm": {"clipnorm": 0.1},
    "ema": {"use_ema": True, "ema_momentum": 0.8},
    "ema-overwriting": {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 2},
    "accumulation": {"gradient_accumulation_steps": 3},
    "decay": {"weight_decay": 0.02},
}

CASES: dict[str, Case] = {}

for optimizer, make in OPTIMIZERS.items():
    for option, given in OPTIONS.items():
        if not option or optimizer in ("momentum", "adam", "muon"):
            CASES[f"optimizer {optimizer} {option}".strip()] = Case(
                mlp, table(), optimizer=lambda make=make, given=given: make(**given)
            )

for option, given in {
    "global_clipnorm": {"global_clipnorm": 0.1},
    "clipvalue": {"clipvalue": 0.01},
    "loss_scale_factor": {"loss_scale_factor": 8.0},
    "accumulation and ema": {"gradient_accumulation_steps": 2, "use_ema": True, "ema_overwrite_frequency": 3},
}.items():
    CASES[f"adam {option}"] = Case(
        mlp, table(), optimizer=lambda given=given: keras.optimizers.Adam(0.01, **given)
    )

schedules = keras.optimizers.schedules
for name, schedule in {
    "exponential": lambda: schedules.ExponentialDecay(0.1, 4, 0.5, staircase=True),
    "cosine": lambda: schedules.CosineDecay(0.1, 10, warmup_target=0.2, warmup_steps=3),
    "restarts": lambda: schedules.CosineDecayRestarts(0.1, 4),
    "inverse": lambda: schedules.InverseTimeDecay(0.1, 3, 0.5),
    "piecewise": lambda: schedules.PiecewiseConstantDecay([3, 8], [0.1, 0.05, 0.01]),
    "polynomial": lambda: schedules.PolynomialDecay(0.1, 9),
    "own": Halving,
}.items():
    CASES[f"schedule {name}"] = Case(
        mlp, table(), optimizer=lambda schedule=schedule: keras.optimizers.SGD(schedule(), momentum=0.5)
    )

for loss in ("mse", "mae", "huber", "log_cosh", "cosine_similarity", row_loss, scalar_loss):
    CASES[f"loss {getattr(loss, '__name__', loss)}"] = Case(
        lambda: mlp(3), table(n_outputs=3), lambda loss=loss: {"loss": loss}
    )
for loss in ("mape", "msle", "poisson"):
    CASES[f"loss {loss}"] = Case(lambda: mlp(1, "softplus"), positive(), lambda loss=loss: {"loss": loss})
for loss in (
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "hinge",
    "squared_hinge",
    "dice",
    "tversky",
    keras.losses.BinaryCrossentropy(label_smoothing=0.1),
):
    CASES[f"loss {getattr(loss, 'name', loss)} {len(CASES)}"] = Case(
        lambda: mlp(1, "sigmoid"), binary(), lambda loss=loss: {"loss": loss, "metrics": ["accuracy"]}
    )
for loss in (
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "kl_divergence",
):
    CASES[f"loss {getattr(loss, 'name', loss)}"] = Case(
        lambda: mlp(CLASSES, "softmax"), one_hot(), lambda loss=loss: {"loss": loss, "metrics": ["accuracy"]}
    )
for loss in (
    "sparse_categorical_crossentropy",
    keras.losses.SparseCategoricalCrossentropy(reduction="sum"),
    keras.losses.SparseCategoricalCrossentropy(reduction="mean_with_sample_weight"),
    keras.losses.CategoricalGeneralizedCrossEntropy(),
    "crossentropy",
):
    CASES[f"loss {getattr(loss, 'name', loss)} {len(CASES)}"] = Case(
        lambda: mlp(CLASSES, "softmax"), classes(), lambda loss=loss: {"loss": loss, "metrics": ["accuracy"]}
    )
CASES["loss of logits"] = Case(
    lambda: mlp(CLASSES),
    classes(),
    lambda: {"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
)
CASES["loss smoothed"] = Case(
    lambda: mlp(CLASSES, "softmax"),
    one_hot(),
    lambda: {"loss": keras.losses.CategoricalCrossentropy(label_smoothing=0.2)},
)

for name, model, data in (
    ("linear", stack, table()),
    ("deep", lambda: stack(*[layers.Dense(6, "elu") for _ in range(4)]), table()),
    ("wide output", lambda: mlp(3), table(n_outputs=3)),
    (
        "batch normalization",
        lambda: stack(layers.Dense(6, use_bias=False), layers.BatchNormalization(), layers.ReLU()),
        table(),
    ),
    (
        "layer normalization",
        lambda: stack(layers.Dense(6), layers.LayerNormalization(), layers.ReLU()),
        table(),
    ),
    ("rms normalization", lambda: stack(layers.Dense(6), layers.RMSNormalization()), table()),
    ("group normalization", lambda: stack(layers.Dense(6), layers.GroupNormalization(3)), table()),
    ("unit normalization", lambda: stack(layers.Dense(6), layers.UnitNormalization()), table()),
    ("normalization", adapted, table()),
    ("piecewise encoding", encoded, table()),
    (
        "ntk parametrization",
        lambda: stack(FanInScaling(), layers.Dense(4, use_bias=False), LearnedBias(), layers.ReLU()),
        table(),
    ),
    ("parametric activation", lambda: stack(layers.Dense(4), ParametricActivation("mish")), table()),
    (
        "heads",
        lambda: keras.Sequential(
            [
                layers.Input((5,)),
                HeadScale(3, RandomSigns(seed=0)),
                layers.Dense(4, use_bias=False),
                HeadAffine(3),
                layers.ReLU(),
                HeadOutputs(1, 3),
            ]
        ),
        table(),
    ),
    (
        "periodic embedding",
        lambda: stack(PeriodicEmbedding(), LearnedScale(), layers.Dense(4, "relu")),
        table(),
    ),
    ("robust scaling", lambda: stack(RobustScaling(), layers.Dense(4, "relu")), table()),
    ("rescaling", lambda: stack(layers.Rescaling(0.5), layers.Dense(4, "relu")), table()),
    ("prelu", lambda: stack(layers.Dense(6), layers.PReLU()), table()),
    ("softmax", lambda: stack(layers.Dense(6), layers.Softmax()), table()),
    ("gelu", lambda: stack(layers.Dense(6, "gelu"), layers.Dense(6, "swish"), layers.LeakyReLU()), table()),
    ("einsum", lambda: stack(layers.EinsumDense("ab,bc->ac", 6, bias_axes="c")), table()),
    ("embedding", lambda: stack(layers.Embedding(12, 3), layers.Flatten(), n_features=(6,)), words()),
    (
        "embedding, masked",
        lambda: stack(layers.Embedding(12, 3, mask_zero=True), layers.LSTM(4), n_features=(6,)),
        words(),
    ),
    (
        "conv1d",
        lambda: stack(layers.Conv1D(4, 3, activation="relu"), layers.GlobalMaxPooling1D(), n_features=(6, 3)),
        sequences(),
    ),
    (
        "conv2d",
        lambda: stack(
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            n_features=(8, 8, 2),
        ),
        images(),
    ),
    (
        "conv2d, batch normalization",
        lambda: stack(
            layers.Conv2D(4, 3, strides=2),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            n_features=(8, 8, 2),
        ),
        images(),
    ),
    (
        "depthwise and separable",
        lambda: stack(
            layers.DepthwiseConv2D(3),
            layers.SeparableConv2D(4, 3),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            n_features=(8, 8, 2),
        ),
        images(),
    ),
    (
        "conv2d transposed",
        lambda: stack(layers.Conv2DTranspose(3, 3), layers.GlobalAveragePooling2D(), n_features=(8, 8, 2)),
        images(),
    ),
    ("lstm", lambda: stack(layers.LSTM(4), n_features=(6, 3)), sequences()),
    (
        "gru",
        lambda: stack(layers.GRU(4, return_sequences=True), layers.GRU(3), n_features=(6, 3)),
        sequences(),
    ),
    ("simple rnn", lambda: stack(layers.SimpleRNN(4), n_features=(6, 3)), sequences()),
    ("bidirectional", lambda: stack(layers.Bidirectional(layers.LSTM(3)), n_features=(6, 3)), sequences()),
    (
        "time distributed",
        lambda: stack(layers.TimeDistributed(layers.Dense(4)), layers.Flatten(), n_features=(6, 3)),
        sequences(),
    ),
    ("attention", attention, sequences()),
    ("nested and called twice", nested, table()),
    ("shared layer", shared, ([table()[0], table()[0][::-1].copy()], table()[1])),
    ("subclassed", Subclassed, table()),
    ("add_loss", Penalised, table()),
    ("own compute_loss", OwnLoss, table()),
    ("state of its own", lambda: stack(Counting(), layers.Dense(4, "relu")), table()),
    ("not trainable", frozen, table()),
    (
        "sequence outputs",
        lambda: stack(layers.Dense(4, "tanh"), n_features=(6, 3)),
        (sequences()[0], sequences()[0][..., :1]),
    ),
):
    CASES[f"layers {name}"] = Case(model, data)

regularizers = keras.regularizers
for name, dense in {
    "l1": {"kernel_regularizer": regularizers.L1(0.02)},
    "l2": {"kernel_regularizer": regularizers.L2(0.02), "bias_regularizer": regularizers.L2(0.01)},
    "l1l2": {"kernel_regularizer": regularizers.L1L2(0.01, 0.02)},
    "orthogonal": {"kernel_regularizer": regularizers.OrthogonalRegularizer(0.02)},
    "activity": {"activity_regularizer": regularizers.L2(0.02)},
    "maxnorm": {"kernel_constraint": keras.constraints.MaxNorm(0.5)},
    "nonneg": {"kernel_constraint": keras.constraints.NonNeg()},
    "unitnorm": {"kernel_constraint": keras.constraints.UnitNorm()},
    "minmaxnorm": {"kernel_constraint": keras.constraints.MinMaxNorm(0.2, 0.6, 0.5)},
}.items():
    CASES[f"dense {name}"] = Case(lambda dense=dense: stack(layers.Dense(6, "relu", **dense)), table())

for name, compiled in {
    "several": {"metrics": ["mae", "mse", keras.metrics.RootMeanSquaredError, keras.metrics.R2Score]},
    "weighted": {"metrics": ["mae"], "weighted_metrics": ["mae", "mse"]},
    "own": {"metrics": [Bias]},
    "function": {"metrics": [row_loss]},
    "steps_per_execution": {"metrics": ["mae"], "steps_per_execution": 3},
}.items():
    CASES[f"metrics {name}"] = Case(
        mlp,
        table(),
        lambda compiled=compiled: {
            "loss": "mse",
            **{
                key: [m() if isinstance(m, type) else m for m in value] if isinstance(value, list) else value
                for key, value in compiled.items()
            },
        },
        fit={"validation_split": 0.3, "sample_weight": rng().uniform(0.5, 2, size=N_ROWS)},
        in_graph=name == "steps_per_execution",
    )
CASES["metrics of classes"] = Case(
    lambda: mlp(1, "sigmoid"),
    binary(),
    lambda: {
        "loss": "binary_crossentropy",
        "metrics": [keras.metrics.AUC(), keras.metrics.Precision(), keras.metrics.Recall(), "accuracy"],
    },
    fit={"validation_split": 0.3},
)
CASES["metrics of several classes"] = Case(
    lambda: mlp(CLASSES, "softmax"),
    one_hot(),
    lambda: {
        "loss": "categorical_crossentropy",
        "metrics": [keras.metrics.F1Score(average="macro"), keras.metrics.TopKCategoricalAccuracy(2)],
    },
    fit={"validation_split": 0.3},
)

weights = rng().uniform(0.2, 3, size=N_ROWS)
X, y = table()
Xv, yv = X[:21] * 0.9, y[:21]
for name, arguments in {
    "one batch": {"batch_size": 128},
    "whole batches": {"batch_size": 14},
    "one row": {"batch_size": 23},
    "default batch size": {"batch_size": None},
    "validation_data": {"validation_data": (Xv, yv)},
    "validation_data weighted": {"validation_data": (Xv, yv, weights[:21])},
    "validation_split": {"validation_split": 0.25},
    "validation_batch_size": {"validation_data": (Xv, yv), "validation_batch_size": 5},
    "validation in whole batches": {"validation_data": (Xv, yv), "validation_batch_size": 7},
    "validation_freq": {"validation_data": (Xv, yv), "validation_freq": 2},
    "validation_freq listed": {"validation_data": (Xv, yv), "validation_freq": [1, 3]},
    "sample_weight": {"sample_weight": weights},
    "sample_weight and validation": {"sample_weight": weights, "validation_split": 0.25},
    "weights of zero": {"sample_weight": np.where(np.arange(N_ROWS) % 3, 1.0, 0.0)},
    "initial_epoch": {"initial_epoch": 2, "epochs": 4},
}.items():
    CASES[f"fit {name}"] = Case(
        mlp, table(), lambda: {"loss": "mse", "metrics": ["mae"], "weighted_metrics": ["mse"]}, fit=arguments
    )
    CASES[f"fit {name}, batch normalization"] = Case(
        lambda: stack(layers.Dense(6, use_bias=False), layers.BatchNormalization(), layers.ReLU()),
        table(),
        fit=arguments,
    )
for name, data, compiled in (
    ("sparse", classes(), "sparse_categorical_crossentropy"),
    ("one-hot", one_hot(), "categorical_crossentropy"),
):
    CASES[f"fit class_weight {name}"] = Case(
        lambda: mlp(CLASSES, "softmax"),
        data,
        lambda compiled=compiled: {"loss": compiled, "weighted_metrics": ["accuracy"]},
        fit={"class_weight": {0: 1.0, 1: 3.0, 2: 0.5, 3: 0.1}},
    )

both = {"loss": ["mse", "binary_crossentropy"], "metrics": [["mae"], ["accuracy"]]}
for name, compiled in {
    "": both,
    "loss_weights": {**both, "loss_weights": [0.3, 2.0]},
    "named": {"loss": {"a": "mse", "b": "binary_crossentropy"}, "loss_weights": {"a": 1.0, "b": 0.5}},
    "weighted_metrics": {"loss": ["mse", "binary_crossentropy"], "weighted_metrics": [["mae"], ["accuracy"]]},
    "one loss": {"loss": ["mse", None]},
}.items():
    for batch_size in (BATCH_SIZE, 14):
        CASES[f"two outputs {name} by {batch_size}"] = Case(
            two_by_two,
            two_inputs(),
            lambda compiled=compiled: compiled,
            fit={"batch_size": batch_size, "validation_split": 0.2},
            in_graph=True,
        )
CASES["two outputs, weights"] = Case(
    two_by_two,
    two_inputs(),
    lambda: both,
    fit={"sample_weight": [weights, weights[::-1].copy()]},
    in_graph=True,
)
CASES["dicts"] = Case(
    named,
    ({"one": X, "two": X[:, :2]}, {"a": y, "b": y**2}),
    lambda: {"loss": {"a": "mse", "b": "mae"}, "metrics": {"a": ["mae"]}},
    fit={"validation_split": 0.2},
    in_graph=True,
)

DOUBLE = [
    "optimizer adam",
    "optimizer momentum ema",
    "schedule piecewise",
    "dense l1l2",
    "loss smoothed",
    "layers conv2d",
    "layers gru",
    "fit sample_weight and validation",
    "two outputs loss_weights by 16",
    "metrics weighted",
]
if keras.backend.backend() != "jax":  # there Keras' own batch normalization computes in single precision
    DOUBLE += ["layers batch normalization", "fit validation_batch_size, batch normalization"]

# What Keras ships and no compiled function matches.
UNMATCHED: dict[str, tuple[Case, str]] = {
    "spectral normalization": (
        Case(lambda: stack(layers.SpectralNormalization(layers.Dense(6))), table()),
        "assigns to its trainable weight",
    ),
    "loss scaling": (
        Case(mlp, table(), optimizer=lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())),
        "LossScaleOptimizer",
    ),
}
if keras.backend.backend() == "tensorflow":
    UNMATCHED["schedule-free adamw"] = (
        Case(mlp, table(), optimizer=lambda: keras.optimizers.ScheduleFreeAdamW(0.01)),
        "ScheduleFreeAdamW gives other numbers",
    )
    UNMATCHED["random numbers of the global generator"] = (
        Case(lambda: stack(layers.Dense(4), GloballyRandom()), table()),
        "does not track",
    )
else:
    CASES["optimizer schedule-free adamw"] = Case(
        mlp, table(), optimizer=lambda: keras.optimizers.ScheduleFreeAdamW(0.01)
    )


SCHEDULE_FREE = pytest.mark.skipif(version() < (3, 14), reason="ScheduleFreeAdamW needs Keras 3.14")


def available(cases: Iterable[str]) -> list[Any]:
    """The names of cases; those that need a newer Keras are skipped."""
    return [pytest.param(name, marks=SCHEDULE_FREE if "schedule-free" in name else ()) for name in cases]


def trained(
    case: Case, fitter: Callable[..., Any], **compiled: Any
) -> tuple[dict[str, np.ndarray], dict[str, list[float]]]:
    keras.utils.clear_session(free_memory=False)  # layers are named, and so logged, alike
    keras.utils.set_random_seed(7)
    model = case.model()
    model.compile(optimizer=case.optimizer(), **{**case.compile(), **compiled})
    arguments = {"batch_size": BATCH_SIZE, "epochs": 3, "shuffle": False, "verbose": 0, **case.fit}
    history = fitter(model, *case.data, **arguments)
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    values = {f"{index} {v.name}": ops.convert_to_numpy(v.value) for index, v in enumerate(variables)}
    return values, history.history


def differences(got: dict[str, Any], expected: dict[str, Any]) -> dict[str, float]:
    assert got.keys() == expected.keys()
    return {name: difference(np.asarray(got[name]), np.asarray(expected[name])) for name in got}


def difference(got: np.ndarray, expected: np.ndarray) -> float:
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    scale = max(np.abs(expected.astype("float64")).max(initial=0), 1e-3)
    return float(np.abs(got.astype("float64") - expected.astype("float64")).max(initial=0) / scale)


def keras_fit(model: Any, *data: Any, **arguments: Any) -> Any:
    return model.fit(*data, **arguments)


def compiled_fit(model: Any, *data: Any, **arguments: Any) -> Any:
    return fit(model, *data, fallback="error", **arguments)


def check(case: Case, tolerance: float) -> None:
    eagerly = keras.backend.backend() == "tensorflow" and not case.in_graph  # there it is faster
    expected = trained(case, keras_fit, run_eagerly=eagerly)
    got = trained(case, compiled_fit)
    for one, other in zip(got, expected, strict=True):
        worst = {name: value for name, value in differences(one, other).items() if not value <= tolerance}
        assert not worst


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # for an output without a loss
@pytest.mark.parametrize("name", available(CASES))
def test_the_numbers_are_those_of_keras(name: str) -> None:
    check(CASES[name], 1e-4)


@pytest.mark.skipif(
    keras.backend.backend() == "jax" and os.environ.get("JAX_ENABLE_X64") != "1",
    reason="JAX computes in double precision where JAX_ENABLE_X64=1",
)
@pytest.mark.parametrize("name", DOUBLE)
def test_in_double_precision_they_agree_further(name: str) -> None:
    with isolated(dtype="float64"):
        check(CASES[name], 1e-8)


@pytest.mark.parametrize("name", available(UNMATCHED))
def test_what_cannot_be_matched_is_trained_by_keras(name: str) -> None:
    case, reason = UNMATCHED[name]
    with pytest.warns(FallbackWarning, match=reason):
        got, logs = trained(case, fit)
    expected, reference = trained(case, keras_fit)
    assert max(differences(got, expected).values()) <= 1e-6
    assert logs.keys() == reference.keys()
