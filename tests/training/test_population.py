"""Members of a population end with what each ends with by itself, after 50 steps and more."""

import copy
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerashp import build_model, fit
from kerashp.training import Member, Population, RobustStatistics, Room, Statistics, graph_shape, isolated
from kerashp.training._keras.identity import identity
from kerashp.training._keras.numbers import numbers_of

N_ROWS = 210  # with batches of 16, an epoch has 14 steps and the last 2 rows
BATCH_SIZE = 16
EPOCHS = 4
WITHIN = 1e-5
RATES = (0.02, 0.01, 0.004)
WIDTHS = (5, 9)
ORTHOGONAL = keras.regularizers.OrthogonalRegularizer(mode="columns")


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a few members would be in a block each, and nothing stacked."""
    monkeypatch.setattr("kerashp.training._population.n_cores", lambda: 1)


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def table(n_outputs: int = 1) -> tuple[np.ndarray, np.ndarray]:
    X = rng().normal(size=(N_ROWS, 6))
    return X.astype("float32"), np.tanh(X @ rng().normal(size=(6, n_outputs))).astype("float32")


def classes() -> tuple[np.ndarray, np.ndarray]:
    X, y = table(3)
    return X, y.argmax(axis=1)


def binary() -> tuple[np.ndarray, np.ndarray]:
    X, y = table()
    return X, (y > 0).astype("float32")


def compiled(model: Any, optimizer: Any = None, **options: Any) -> Any:
    model.compile(optimizer or keras.optimizers.SGD(0.02), **{"loss": "mse", **options})
    return model


def stack(*hidden: Any, shape: tuple[int, ...] = (6,), outputs: int = 1, activation: Any = None) -> Any:
    return keras.Sequential([layers.Input(shape), *hidden, layers.Dense(outputs, activation)])


def made(makers: Sequence[Callable[[], Any]]) -> list[Any]:
    """The models; the same numbers at every call."""
    models = []
    for seed, maker in enumerate(makers):
        with isolated(seed=seed):
            models.append(maker())
    return models


def folds(n_members: int) -> list[np.ndarray]:
    """Rows to train on, of three lengths."""
    rows = [np.setdiff1d(np.arange(N_ROWS), np.arange(k, N_ROWS, 5)) for k in range(n_members)]
    return [part[: len(part) - 9 * index] for index, part in enumerate(rows)]


def alone(model: Any, member: Member, data: Any, epochs: int, **arguments: Any) -> Any:
    """The member's training by `kerashp.fit`."""
    X, y = data
    rows = np.arange(N_ROWS) if member.rows is None else member.rows
    if member.validation_rows is not None:
        arguments["validation_data"] = (X[member.validation_rows], y[member.validation_rows])
    if member.early_stopping is not None:
        arguments["callbacks"] = [copy.copy(member.early_stopping)]
    epochs = epochs if member.epochs is None else min(epochs, member.epochs)
    with isolated(seed=member.random_state):
        return fit(model, X[rows], y[rows], BATCH_SIZE, epochs, 0, fallback="error", **arguments)


def differences(one: Any, other: Any) -> float:
    """The largest difference between two models' variables, beside the largest value in each (and 0.001)."""
    groups = [(m.trainable_variables, m.non_trainable_variables, m.optimizer.variables) for m in (one, other)]
    pairs = [pair for a, b in zip(*groups, strict=True) for pair in zip(a, b, strict=True)]
    arrays = [tuple(map(ops.convert_to_numpy, pair)) for pair in pairs]
    return max(float(np.max(np.abs(a - b)) / (np.max(np.abs(b)) + 1e-3)) for a, b in arrays if a.size)


def check(
    makers: Sequence[Callable[[], Any]],
    data: Any,
    members: Sequence[dict[str, Any]] | None = None,
    epochs: int = EPOCHS,
    within: float = WITHIN,
    **options: Any,
) -> list[Any]:
    """Train together and each alone, and compare; how it went together."""
    own = members or [{} for _ in makers]
    together = [
        Member(model, random_state=seed, **given)
        for seed, (model, given) in enumerate(zip(made(makers), own, strict=True))
    ]
    population = Population(together, *data, batch_size=BATCH_SIZE, **options)
    trained = population.train(epochs)
    for index, model in enumerate(made(makers)):
        history = alone(model, together[index], data, epochs).history
        assert population.write(index) is together[index].model
        assert differences(together[index].model, model) <= within
        assert trained[index].history.keys() == history.keys()
        assert trained[index].n_epochs == len(history["loss"])
        for name, values in history.items():
            np.testing.assert_allclose(trained[index].history[name], values, rtol=10 * within, atol=1e-6)
    return trained


OPTIMIZERS: dict[str, Callable[[float], Any]] = {
    "sgd": keras.optimizers.SGD,
    "momentum": lambda rate: keras.optimizers.SGD(rate, momentum=0.5 + 10 * rate),
    "nesterov": lambda rate: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
    "clipped": lambda rate: keras.optimizers.SGD(rate, clipnorm=0.1),
    "globally clipped": lambda rate: keras.optimizers.SGD(rate, global_clipnorm=0.1),
    "rmsprop": lambda rate: keras.optimizers.RMSprop(rate / 10, rho=0.9 - rate, momentum=0.3),
    "adam": lambda rate: keras.optimizers.Adam(rate / 2, beta_1=0.9 - rate),
    "amsgrad": lambda rate: keras.optimizers.Adam(rate, amsgrad=True),
    "adamw": lambda rate: keras.optimizers.AdamW(rate, weight_decay=rate / 10),
    "adadelta": lambda rate: keras.optimizers.Adadelta(10 * rate),
    "adagrad": keras.optimizers.Adagrad,
    "adamax": keras.optimizers.Adamax,
    "nadam": keras.optimizers.Nadam,
    "ftrl": keras.optimizers.Ftrl,
    "lamb": keras.optimizers.Lamb,
    "ema": lambda rate: keras.optimizers.SGD(rate, use_ema=True, ema_overwrite_frequency=20),
    "accumulating": lambda rate: keras.optimizers.Adam(rate / 5, gradient_accumulation_steps=3),
}
UNPADDED: dict[str, Callable[[float], Any]] = {
    "adafactor": keras.optimizers.Adafactor,
    "muon": keras.optimizers.Muon,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_of_other_numbers_and_widths(name: str) -> None:
    makers = [
        lambda rate=rate, width=width: compiled(
            stack(layers.Dense(width, "sigmoid"), layers.Dense(width, "tanh")), OPTIMIZERS[name](rate)
        )
        for rate, width in zip(RATES, WIDTHS, strict=False)
    ]
    check(makers, table(), [{"rows": rows} for rows in folds(2)])


@pytest.mark.parametrize("name", ["sgd", "adam", *UNPADDED])
def test_optimizers_of_other_numbers(name: str) -> None:
    optimizer = (OPTIMIZERS | UNPADDED)[name]
    makers = [lambda rate=rate: compiled(stack(layers.Dense(8, "tanh")), optimizer(rate)) for rate in RATES]
    check(makers, table(), [{"rows": rows} for rows in folds(3)])


ACTIVATIONS = [
    ("relu", "softmax"),
    ("elu", "softsign", "log_softmax"),
    ("selu", "tanh", "sparsemax"),
    ("softplus", "sigmoid", "gelu"),
    ("silu", "mish", "exponential"),
]


@pytest.mark.slow
@pytest.mark.parametrize("activations", ACTIVATIONS, ids=" and ".join)
def test_widths_under_every_activation(activations: tuple[str, ...]) -> None:
    makers = [
        lambda width=width: compiled(stack(*[layers.Dense(width, name) for name in activations]))
        for width in WIDTHS
    ]
    check(makers, table())


LAYERS: dict[str, Callable[[int], list[Any]]] = {
    "batch normalization": lambda n: [
        layers.Dense(n, use_bias=False),  # the gradient of a bias here would be rounding alone
        layers.BatchNormalization(),
        layers.Activation("relu"),
    ],
    "batch normalization last": lambda n: [layers.Dense(n, "sigmoid"), layers.BatchNormalization()],
    "layer normalization": lambda n: [layers.Dense(n, "sigmoid"), layers.LayerNormalization()],
    "layer normalization, plain": lambda n: [
        layers.Dense(n),
        layers.LayerNormalization(center=False, scale=False, epsilon=0.01),
    ],
    "dropout": lambda n: [layers.Dense(n, "sigmoid"), layers.Dropout(0.02 * n)],
    "penalties": lambda n: [
        layers.Dense(n, "sigmoid", kernel_regularizer=keras.regularizers.L1(n / 1e3)),
        layers.Dense(n, "sigmoid", activity_regularizer="l2"),
        layers.Dense(n, "tanh", bias_regularizer=keras.regularizers.L2(0.01)),
    ],
    "constraints": lambda n: [
        layers.Dense(n, "tanh", kernel_constraint=keras.constraints.MaxNorm(0.5)),
        layers.Dense(n, "tanh", kernel_constraint="unit_norm"),
        layers.Dense(n, "tanh", kernel_constraint="non_neg"),
    ],
    "without bias, and frozen": lambda n: [
        layers.Dense(n, "tanh", use_bias=False),
        layers.Dense(n, "tanh", trainable=False),
        layers.Dense(n, "tanh"),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_widths_with_every_layer(name: str) -> None:
    makers = [lambda width=width: compiled(stack(*LAYERS[name](width))) for width in WIDTHS]
    check(makers, table(), [{"rows": rows[:140]} for rows in folds(2)])


def test_widths_of_sequences() -> None:
    X = rng().normal(size=(N_ROWS, 4, 3)).astype("float32")
    makers = [
        lambda width=width: compiled(
            stack(
                layers.Dense(width, "sigmoid"),
                layers.Dropout(0.1),
                layers.Flatten(),
                layers.Dense(width, "softmax"),
                shape=(4, 3),
            )
        )
        for width in WIDTHS
    ]
    check(makers, (X, X.mean(axis=(1, 2))[:, None]))


def functional(width: int) -> Any:
    x = layers.Input((6,))
    hidden = layers.Dense(width, "softplus")(x)
    hidden = layers.Dropout(0.1)(layers.LayerNormalization()(hidden))
    return compiled(keras.Model(x, layers.Dense(1)(hidden)))


def test_widths_of_functional_models() -> None:
    check([lambda width=width: functional(width) for width in WIDTHS], table())


@pytest.mark.parametrize("name", ["batch normalization", "layer normalization", "dropout"])
def test_a_room_wider_than_all(name: str) -> None:
    makers = [lambda width=width: compiled(stack(*LAYERS[name](width))) for width in (5, 5)]
    check(makers, table(), room=Room(3, (9, 1), (True, False)))


@pytest.mark.parametrize("n_rows", [N_ROWS, 96])  # with a short last batch, and without
def test_a_room_that_validates_where_no_member_does(n_rows: int) -> None:
    members = [{"rows": np.arange(n_rows), "epochs": own} for own in (2, 4)]
    makers = [lambda width=width: build_model(1, width, 0.02, 6) for width in (5, 7)]
    trained = check(makers, table(), members, room=Room(2, (9, 1), (True, False), validates=True))
    assert [list(own.history) for own in trained] == [["loss"]] * 2


def test_a_room_wider_than_all_sequences() -> None:
    X = rng().normal(size=(N_ROWS, 4, 3)).astype("float32")
    own = [layers.Dense(5, "tanh"), layers.Flatten(), layers.Dense(7, "softmax")]
    makers = [lambda: compiled(stack(*map(copy.copy, own), shape=(4, 3)))]
    check(makers, (X, X.mean(axis=(1, 2))[:, None]), room=Room(1, (6, 9, 1), (True, True, False)))


def test_populations_of_one_room_share_one_program(compiles: list[Any]) -> None:
    room = Room.of([(9, 1), (5, 1)], n_members=2, validates=True)
    for widths, held_out in (((9, 5), [1, 2]), ((4,), None), ((6, 6, 6), [3])):
        models = made([lambda width=width: build_model(1, width, 0.02, 6) for width in widths])
        members = [Member(model, validation_rows=held_out, random_state=0) for model in models]
        population = Population(members, *table(), batch_size=BATCH_SIZE, room=room)
        assert [len(trained.history["loss"]) for trained in population.train(2)] == [2] * len(widths)
    assert len(compiles) == 1


# Depths.

SGD = keras.optimizers.SGD
DEPTHS = ((5,), (9, 6, 7), (7, 8))  # a member that lacks layers may be wider than these


def of_depths(part: Callable[[int], list[Any]], optimizer: Callable[[float], Any]) -> list[Callable[[], Any]]:
    """Models of hidden layers with these parts."""

    def maker(widths: tuple[int, ...], rate: float) -> Any:
        return compiled(stack(*[layer for width in widths for layer in part(width)]), optimizer(rate))

    return [lambda own=own: maker(*own) for own in zip(DEPTHS, RATES, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_depths_under_every_optimizer(name: str) -> None:
    makers = of_depths(lambda n: [layers.Dense(n, "tanh")], OPTIMIZERS[name])
    check(makers, table(), [{"rows": rows} for rows in folds(3)])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for names in ACTIVATIONS for name in names])
def test_depths_under_every_activation(name: str) -> None:
    initializer = keras.initializers.RandomNormal(stddev=0.1, seed=0)  # three exponentials overflow soon
    check(of_depths(lambda n: [layers.Dense(n, name, kernel_initializer=initializer)], SGD), table())


PARTS: dict[str, Callable[[int], list[Any]]] = {
    "plain": lambda n: [layers.Dense(n, "tanh")],
    "an activation by itself": lambda n: [layers.Dense(n, use_bias=False), layers.Activation("selu")],
    "batch normalization": lambda n: [
        layers.Dense(n, use_bias=False),
        layers.BatchNormalization(),
        layers.Activation("tanh"),
        layers.Dropout(0.02 * n),
    ],
    "layer normalization": lambda n: [layers.Dense(n, "sigmoid"), layers.LayerNormalization()],
    "dropout": lambda n: [layers.Dense(n, "sigmoid"), layers.Dropout(0.02 * n)],
    "penalties": lambda n: [
        layers.Dense(
            n,
            "tanh",
            kernel_regularizer=keras.regularizers.L1(n / 1e3),
            bias_regularizer=keras.regularizers.L2(n / 1e2),
            activity_regularizer=keras.regularizers.L2(n / 1e2),
        )
    ],
    "penalties of activations": lambda n: [
        layers.Dense(n),
        layers.Activation("tanh", activity_regularizer=keras.regularizers.L1(n / 1e3)),
    ],
    "constraints": lambda n: [layers.Dense(n, "tanh", kernel_constraint="unit_norm")],
    "frozen": lambda n: [layers.Dense(n, "tanh", trainable=False), layers.LayerNormalization()],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_depths_of_every_part(name: str) -> None:
    makers = of_depths(PARTS[name], lambda rate: keras.optimizers.AdamW(rate / 2, weight_decay=0.1))
    check(makers, table(), [{"rows": rows[:140]} for rows in folds(3)], epochs=2)


@pytest.mark.skipif(
    keras.backend.backend() == "jax" and os.environ.get("JAX_ENABLE_X64") != "1",
    reason="JAX computes in double precision where JAX_ENABLE_X64=1",
)
def test_depths_in_double_precision() -> None:
    with isolated(dtype="float64"):
        X, y = table()
        makers = of_depths(PARTS["batch normalization"], keras.optimizers.Adam)
        check(makers, (X.astype("float64"), y.astype("float64")), within=1e-10)


def test_depths_with_early_stopping() -> None:
    data = rng().normal(size=(N_ROWS, 6)), rng().normal(size=(N_ROWS, 1))  # nothing to learn
    makers = of_depths(PARTS["dropout"], keras.optimizers.Adam)
    rows = {"rows": np.arange(60), "validation_rows": np.arange(60, N_ROWS)}
    trained = check(makers, data, [rows | {"early_stopping": stopping()}] * 3, epochs=25)
    assert len({member.n_epochs for member in trained}) > 1


def test_depths_after_layers_unlike_the_others() -> None:
    X = rng().normal(size=(N_ROWS, 4, 3)).astype("float32")

    def maker(depth: int) -> Any:
        hidden = [layers.Dense(4 + depth, "tanh") for _ in range(depth)]
        return compiled(stack(layers.Dense(6, "softmax"), layers.Flatten(), *hidden, shape=(4, 3)))

    check([lambda depth=depth: maker(depth) for depth in (1, 3)], (X, X.mean(axis=(1, 2))[:, None]))


def test_depths_of_sequences() -> None:
    X = rng().normal(size=(N_ROWS, 4, 3)).astype("float32")
    makers = [
        lambda depth=depth: compiled(
            stack(*[layers.Dense(4 + depth, "tanh") for _ in range(depth)], shape=(4, 3))
        )
        for depth in (1, 2)
    ]
    check(makers, (X, X.mean(axis=2, keepdims=True)))


@pytest.mark.parametrize("name", ["plain", "batch normalization", "dropout", "penalties"])
def test_a_room_deeper_than_all(name: str) -> None:
    room = Room(3, (9, 9, 8, 8, 1), (True, True, True, True, False), spare_layers=3)
    check(of_depths(PARTS[name], keras.optimizers.Adam)[::2], table(), epochs=2, room=room)


def test_a_room_for_other_depths_that_no_member_has() -> None:
    makers = [lambda width=width: build_model(2, width, 0.02, 6) for width in (9, 9)]
    check(makers, table(), room=Room(2, (9, 9, 1), (True, True, False), spare_layers=1))


def test_populations_of_other_depths_share_one_program(compiles: list[Any]) -> None:
    room = Room.of([(9, 1), (5, 6, 7, 1)], n_members=2)
    for depths in ((1, 3), (2,), (1, 1, 1)):
        models = made([lambda depth=depth: build_model(depth, 5, 0.02, 6) for depth in depths])
        population = Population([Member(model) for model in models], *table(), batch_size=16, room=room)
        assert [trained.n_epochs for trained in population.train(2)] == [2] * len(depths)
    assert len(compiles) == 1


def test_members_of_other_depths_predict_what_their_models_would() -> None:
    X, y = table()
    models = made(of_depths(PARTS["batch normalization"], keras.optimizers.SGD))
    population = Population([Member(model) for model in models], X, y)
    population.train(3)
    for index, outputs in enumerate(population.predict(X, [0, 1, 2])):
        np.testing.assert_allclose(outputs, population.write(index).predict(X, verbose=0), atol=1e-6)


# What is only a number.

NUMBERS: dict[str, list[dict[str, Any]]] = {
    "learning rate": [{"learning_rate": rate} for rate in RATES],
    "momentum": [{"momentum": momentum} for momentum in (0.0, None, 0.9)],
    "beta_1": [{"optimizer": "adam", "beta_1": beta} for beta in (0.0, None, 0.5)],
    "beta_2": [{"optimizer": "adam", "beta_2": beta} for beta in (0.9, None, 0.5)],
    "weight decay": [{"weight_decay": decay} for decay in (None, 0.0, 0.1)],
    "dropout": [{"dropout": rate} for rate in (0.0, 0.2, 0.5)],
    "activity l1 and dropout": [
        {"dropout": 0.2},
        {"dropout": 0.2, "activity_l1": 0.01},
        {"activity_l1": 0.1},
    ],
    "l1 and l2": [{"l1": 0.01}, {"l2": 0.01}, {}],
    "activity l1": [{"activity_l1": penalty} for penalty in (0.0, 0.01, 0.1)],
    "all": [
        {"dropout": 0.2, "l2": 0.01, "n_neurons": 7},
        {"momentum": 0.9, "batch_normalization": False, "n_neurons": (20, 3), "n_hidden": 2},
        {"weight_decay": 0.1, "activation": "relu", "learning_rate": 1e-3},
    ],
    "all, normalized": [
        {"dropout": 0.2, "batch_normalization": True, "activation": "sigmoid", "n_neurons": 7},
        {"l1": 0.001, "batch_normalization": True, "activation": "sigmoid"},
        {"momentum": 0.9, "batch_normalization": True, "activation": "sigmoid", "learning_rate": 1e-3},
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_build_model(name: str) -> None:
    makers = [
        lambda options=options: build_model(**{"n_hidden": 2, "n_neurons": 10, "input_shape": 6, **options})
        for options in NUMBERS[name]
    ]
    check(makers, table(), [{"rows": rows[:140]} for rows in folds(3)])


def test_label_smoothing() -> None:
    def maker(smoothing: float) -> Any:
        loss = keras.losses.BinaryCrossentropy(label_smoothing=smoothing)
        return compiled(stack(layers.Dense(5, "tanh"), activation="sigmoid"), loss=loss)

    check([lambda own=own: maker(own) for own in (0.0, 0.1, 0.3)], binary())


def test_statistics_of_each_members_rows() -> None:
    X, _ = table()
    rows = folds(3)
    makers = [lambda own=own: build_model(1, 8, 0.02, 6, normalize=X[own] * (1 + own[0])) for own in rows]
    check(makers, table(), [{"rows": own} for own in rows])


def test_robust_statistics_of_each_members_rows_and_widths() -> None:
    X, _ = table()
    rows = folds(2)
    makers = [
        lambda own=own, width=width: build_model(
            2, width, 0.02, 6, normalize=X[own] * (1 + own[0]), scaling="robust", batch_normalization=True
        )
        for own, width in zip(rows, WIDTHS, strict=True)
    ]
    check(makers, table(), [{"rows": own} for own in rows])


@pytest.mark.parametrize("optimizer", ["adam", pytest.param("adamw", marks=pytest.mark.slow)])
def test_embeddings_and_scales_of_other_numbers_and_widths(optimizer: str) -> None:
    makers = [
        lambda width=width, rate=rate: build_model(
            1 + (width > 5),
            width,
            0.01,
            6,
            numeric_embedding="periodic",
            embedding_sigma=100 * rate,
            input_scale_rate=1 + 100 * rate,
            activation="tanh",
            optimizer=optimizer,
        )
        for width, rate in zip(WIDTHS, RATES, strict=False)
    ]
    check(makers, table(), [{"rows": own} for own in folds(2)])


@pytest.mark.parametrize("batch_normalization", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_ntk_parametrization_of_other_widths_and_depths(batch_normalization: bool) -> None:
    makers = [
        lambda width=width: build_model(
            1 + (width > 5),
            width,
            0.02,
            6,
            parametrization="ntk",
            activation="tanh",
            optimizer="adam",
            dropout=0.1 * (width > 5),
            l2=1e-3,
            batch_normalization=batch_normalization,
        )
        for width in WIDTHS
    ]
    check(makers, table(), [{"rows": own} for own in folds(2)])


@pytest.mark.parametrize("activation", ["sigmoid", pytest.param("mish", marks=pytest.mark.slow)])
def test_parametric_activations_of_other_widths_and_depths(activation: str) -> None:
    makers = [
        lambda width=width: build_model(
            1 + (width > 5),
            width,
            0.02,
            6,
            parametric_activation=True,
            activation=activation,
            optimizer="adam",
        )
        for width in WIDTHS
    ]
    check(makers, table(), [{"rows": own} for own in folds(2)])


@pytest.mark.parametrize("task", ["regression", pytest.param("multiclass", marks=pytest.mark.slow)])
def test_networks_of_heads_of_other_widths_and_depths(task: str) -> None:
    makers = [
        lambda width=width: build_model(
            1 + (width > 5),
            width,
            0.02,
            6,
            n_outputs=3 if task == "multiclass" else 1,
            task=task,
            heads=3,
            activation="tanh",
            optimizer="adam",
            dropout=0.1 * (width > 5),
            l2=1e-3 * width,
            activity_l1=1e-3,
        )
        for width in WIDTHS
    ]
    members = [{"rows": rows[:140], "validation_rows": np.arange(0, N_ROWS, 5)} for rows in folds(2)]
    check(makers, classes() if task == "multiclass" else table(), members)


def test_networks_of_heads_in_a_room_wider_than_all() -> None:
    makers = [lambda width=width: build_model(2, width, 0.02, 6, heads=2) for width in WIDTHS]
    check(makers, table(), room=Room(3, (12, 12, 1), (True, True, False), spare_layers=1))


def test_bins_of_each_members_rows_and_widths() -> None:
    X, _ = table()
    rows = folds(2)
    makers = [
        lambda own=own, width=width: build_model(
            1, width, 0.02, 6, normalize=X[own], numeric_embedding="piecewise", embedding_bins=4
        )
        for own, width in zip(rows, WIDTHS, strict=True)
    ]
    check(makers, table(), [{"rows": own} for own in rows])


def test_statistics_of_a_member_replace_those_of_its_model() -> None:
    X, y = table()
    model = build_model(1, 8, 0.02, 6, normalize=X, scaling="robust")
    statistics = RobustStatistics(np.ones(6, "float32"), np.full(6, 2.0, "float32"))
    population = Population([Member(model, random_state=0), Member(model, statistics=statistics)], X, y)
    population.train(1)
    for values, expected in zip(population.write(1).layers[0].get_weights(), statistics, strict=True):
        np.testing.assert_array_equal(values, expected)


def test_statistics_that_a_model_does_not_take() -> None:
    X, y = table()
    statistics = Statistics(np.zeros(3), np.ones(3))
    robust = build_model(1, 8, 0.02, 6, normalize=X, scaling="robust")
    with pytest.raises(ValueError, match="no Normalization layer whose mean and variance are weights"):
        Population([Member(robust, statistics=statistics)], X, y)
    with pytest.raises(ValueError, match=r"must be median and factor of shape \(6,\), as in its model's Rob"):
        Population([Member(robust, statistics=RobustStatistics(*statistics))], X, y)
    with pytest.raises(ValueError, match=r"members\[1\].statistics must be None, since its model has no"):
        Population([Member(build_model()), Member(build_model(), statistics=statistics)], X, y)
    normalized = build_model(1, 8, 0.02, 6, normalize=X)
    with pytest.raises(ValueError, match=r"of shape \(6,\), as in its model's .*; got \[\(3,\), \(3,\)\]"):
        Population([Member(normalized, statistics=statistics)], X, y)


def test_statistics_and_widths() -> None:
    X, _ = table()
    makers = [
        lambda width=width: build_model(
            1, width, 0.02, 6, normalize=X * (1 + width), dropout=0.1 * (width > 5)
        )
        for width in WIDTHS
    ]
    check(makers, table())


def test_classes_with_metrics() -> None:
    makers = [
        lambda width=width: compiled(
            stack(layers.Dense(width, "relu"), outputs=3, activation="softmax"),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            weighted_metrics=["accuracy"],
        )
        for width in WIDTHS
    ]
    check(makers, classes(), [{"rows": rows, "validation_rows": np.arange(40)} for rows in folds(2)])


# Rows, orders, weights and ends of each member's own.


def mlps(*rates: float) -> list[Callable[[], Any]]:
    return [lambda rate=rate: build_model(1, 8, rate, 6, momentum=0.5) for rate in rates]


def stopping(**options: Any) -> Any:
    return keras.callbacks.EarlyStopping(**{"patience": 2, "restore_best_weights": True, **options})


def test_early_stopping() -> None:
    data = rng().normal(size=(N_ROWS, 6)), rng().normal(size=(N_ROWS, 1))  # nothing to learn
    ends: list[dict[str, Any]] = [
        {"early_stopping": stopping()},
        {"early_stopping": stopping(patience=4, min_delta=1e-3, start_from_epoch=3)},
        {"early_stopping": stopping(monitor="loss", mode="max", patience=1)},
        {"early_stopping": stopping(restore_best_weights=False, baseline=0.1)},
        {"early_stopping": stopping(patience=30)},
        {"epochs": 7},
    ]
    rows = {"rows": np.arange(60), "validation_rows": np.arange(60, N_ROWS)}
    trained = check(mlps(0.1, 0.05, 0.02, 0.05, 0.05, 0.05), data, [rows | end for end in ends], epochs=25)
    assert [member.stopped_by for member in trained] == [*["early stopping"] * 4, None, "epochs"]
    assert len({member.n_epochs for member in trained}) > 3
    assert trained[4].n_epochs == 25
    assert trained[4].best_epoch == np.argmin(trained[4].history["val_loss"])
    assert trained[5].best_epoch is None


def test_best_weights_come_after_the_optimizers_averages() -> None:
    optimizer = keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9)
    makers = [lambda: compiled(stack(layers.Dense(8, "tanh")), optimizer.from_config(optimizer.get_config()))]
    ends = [{}, {"early_stopping": stopping(monitor="loss", mode="max", patience=2)}]
    check(makers * 2, table(), ends)


def test_a_member_that_diverges_harms_no_other() -> None:
    trained = check(mlps(0.02, 0.01), table(), epochs=6)
    with_bad = Population(
        [Member(model, random_state=seed) for seed, model in enumerate(made(mlps(0.02, 0.01, 1e6)))],
        *table(),
        batch_size=BATCH_SIZE,
    ).train(6)
    assert with_bad[2].stopped_by == "divergence"
    assert with_bad[2].n_epochs < 6
    assert not np.isfinite(with_bad[2].history["loss"][-1])
    for good, same in zip(trained, with_bad, strict=False):
        np.testing.assert_allclose(good.history["loss"], same.history["loss"], rtol=1e-4)


def test_sample_weights_of_each_members_own() -> None:
    X, y = table()
    weights = rng().uniform(0, 2, size=(3, N_ROWS))
    models = made(mlps(*RATES))
    rows = folds(3)
    members = [
        Member(models[i], rows=rows[i], validation_rows=np.arange(30), random_state=i) for i in range(3)
    ]
    population = Population(members, X, y, weights, batch_size=BATCH_SIZE)
    trained = population.train(EPOCHS)
    for index, model in enumerate(made(mlps(*RATES))):
        own, weight = rows[index], weights[index]
        history = alone(
            model,
            Member(model, rows=own, random_state=index),
            (X, y),
            EPOCHS,
            sample_weight=weight[own],
            validation_data=(X[:30], y[:30], weight[:30]),
        ).history
        assert differences(population.write(index), model) <= WITHIN
        for name in history:
            np.testing.assert_allclose(trained[index].history[name], history[name], rtol=1e-4)


def test_shared_sample_weights_and_validation_data() -> None:
    X, y = table()
    weight = rng().uniform(0, 2, size=N_ROWS)
    models = made(mlps(*RATES))
    members = [Member(model, random_state=i) for i, model in enumerate(models)]
    held_out = X[:50] + 1, y[:50], weight[:50]
    population = Population(
        members, X, y, weight, batch_size=BATCH_SIZE, validation_data=held_out, validation_batch_size=20
    )
    trained = population.train(EPOCHS)
    for index, model in enumerate(made(mlps(*RATES))):
        arguments = {"sample_weight": weight, "validation_data": held_out, "validation_batch_size": 20}
        history = alone(model, members[index], (X, y), EPOCHS, **arguments).history
        assert differences(population.write(index), model) <= WITHIN
        np.testing.assert_allclose(trained[index].history["val_loss"], history["val_loss"], rtol=1e-4)


def test_blocks_and_compaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kerashp.training._engine.blocks._MOST_ON_CORES", 2)
    ends: list[dict[str, Any]] = [{"epochs": n} for n in (2, 9, 3, 1, 12, 2, 5)]
    for index in (1, 4):
        ends[index]["early_stopping"] = stopping(monitor="loss", patience=30, mode="max")
    models = made(mlps(*np.linspace(0.002, 0.02, 7)))
    members = [Member(m, random_state=i, **end) for i, (m, end) in enumerate(zip(models, ends, strict=True))]
    population = Population(members, *table(), batch_size=BATCH_SIZE)
    assert len(population._blocks) == 4
    trained = population.train(12)
    assert len(population._blocks) == 1
    assert [member.n_epochs for member in trained] == [2, 9, 3, 1, 12, 2, 5]
    for index, model in enumerate(made(mlps(*np.linspace(0.002, 0.02, 7)))):
        alone(model, members[index], table(), 12)
        assert differences(population.write(index), model) <= WITHIN


def test_as_many_blocks_as_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kerashp.training._engine.blocks._MOST_ON_CORES", 3)
    members = [Member(model, random_state=0) for model in made(mlps(*np.linspace(0.002, 0.02, 5)))]

    def sizes(**options: Any) -> list[int]:
        population = Population(members, *table(), batch_size=BATCH_SIZE, **options)
        return [len(block.members) for block in population._blocks]

    assert sizes() == [3, 2]
    assert sizes(blocks_at_a_time=4) == [2, 2, 1]
    monkeypatch.setattr("kerashp.training._population.n_cores", lambda: 5)
    assert sizes() == [1, 1, 1, 1, 1]
    with pytest.raises(ValueError, match="Population: blocks_at_a_time must be an integer >= 1; got 0"):
        sizes(blocks_at_a_time=0)


def test_members_predict_what_their_models_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kerashp.training._engine.blocks._MOST_ON_CORES", 2)
    monkeypatch.setattr("kerashp.training._engine.outputs._ROWS", 64)
    X, y = table()
    build = [lambda w=w: compiled(stack(layers.Dense(w, "tanh"), layers.Dropout(0.2))) for w in (5, 9, 7)]
    models = made(build)
    population = Population([Member(m, random_state=0) for m in models], X, y, batch_size=BATCH_SIZE)
    for epochs in (1, 3):
        population.train(epochs)
        outputs = population.predict(X[:100], [2, 0])
        assert outputs.shape == (2, 100, 1)
        for predicted, member in zip(outputs, (2, 0), strict=True):
            expected = population.write(member)(X[:100], training=False)
            np.testing.assert_allclose(predicted, ops.convert_to_numpy(expected), atol=1e-6)


def test_the_epochs_that_pass_are_reported() -> None:
    members = [
        Member(model, random_state=0, epochs=epochs, early_stopping=early)
        for model, epochs, early in zip(
            made(mlps(*RATES)),
            (2, 6, 6),
            (None, None, stopping(monitor="loss", mode="max", patience=1)),
            strict=True,
        )
    ]
    passed: list[int] = []
    trained = Population(members, *table(), batch_size=BATCH_SIZE).train(6, passed.append)
    assert trained[2].n_epochs < 6
    assert sum(passed) == 2 + 6 + 6
    assert len(passed) > 1


def two_outputs(rate: float) -> Any:
    x = layers.Input((6,))
    hidden = layers.Dense(7, "tanh")(x)
    model = keras.Model(x, [layers.Dense(1, name="a")(hidden), layers.Dense(1, name="b")(hidden)])
    return compiled(model, keras.optimizers.SGD(rate), loss=["mse", "mae"])


def test_a_short_last_batch_by_itself() -> None:
    X, y = table()
    models = made([lambda rate=rate: two_outputs(rate) for rate in RATES])
    members = [Member(model, random_state=i, epochs=2 + i) for i, model in enumerate(models)]
    population = Population(members, X, [y, y], batch_size=BATCH_SIZE, validation_data=(X[:50], [y[:50]] * 2))
    trained = population.train(EPOCHS)
    for index, model in enumerate(made([lambda rate=rate: two_outputs(rate) for rate in RATES])):
        with isolated(seed=index):
            history = fit(
                model,
                X,
                [y, y],
                BATCH_SIZE,
                2 + index,
                0,
                validation_data=(X[:50], [y[:50]] * 2),
                fallback="error",
            ).history
        assert differences(population.write(index), model) <= WITHIN
        assert trained[index].history.keys() == history.keys()
        np.testing.assert_allclose(trained[index].history["val_b_loss"], history["val_b_loss"], rtol=1e-4)


def test_code_of_ones_own_trains_with_itself() -> None:
    model = compiled(stack(layers.Dense(8, lambda x: ops.tanh(x) * 2)))
    before = model.get_weights()
    members = [Member(model, rows=rows, random_state=i) for i, rows in enumerate(folds(3))]
    population = Population(members, *table(), batch_size=BATCH_SIZE)
    population.train(EPOCHS)
    for index, member in enumerate(members):
        model.set_weights(before)
        model.compile("sgd", "mse")
        model.optimizer.learning_rate = 0.02
        alone(model, member, table(), EPOCHS)
        expected = model.get_weights()
        for got, wanted in zip(population.write(index).get_weights(), expected, strict=True):
            np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_what_the_same_code_made_trains_together_though_it_is_of_ones_own() -> None:
    def model() -> Any:
        return compiled(stack(layers.Dense(8, lambda x: ops.tanh(x) * 2)), keras.optimizers.Adam(0.01))

    first, second = made([model, model])
    members = [Member(first, random_state=0, start=own) for own in (first, second)]
    population = Population(members, *table(), batch_size=BATCH_SIZE)
    population.train(EPOCHS)
    for index, wanted in enumerate(made([model, model])):
        alone(wanted, Member(wanted, random_state=0), table(), EPOCHS)
        for got, weight in zip(population.write(index).get_weights(), wanted.get_weights(), strict=True):
            np.testing.assert_allclose(got, weight, atol=1e-5)
    assert population.write(1) is second
    with pytest.raises(
        ValueError, match=r"members\[0\].start must have the architecture of its model.*got .*SGD"
    ):
        Population([Member(first, start=made(mlps(0.1))[0])], *table())


def test_training_goes_on_where_it_ended() -> None:
    one, two = (
        Population(
            [Member(model, random_state=i) for i, model in enumerate(made(mlps(*RATES)))],
            *table(),
            batch_size=BATCH_SIZE,
        )
        for _ in range(2)
    )
    once = one.train(6)
    first = two.train(2)
    twice = two.train(6)
    assert [len(member.history["loss"]) for member in first] == [2] * 3
    assert [member.history for member in once] == [member.history for member in twice]
    for member in range(3):
        assert differences(one.write(member), two.write(member)) == 0


def test_members_begin_with_their_own_optimizers_state() -> None:
    makers = mlps(*RATES)
    for trained_first in range(3):
        models, same = made(makers), made(makers)
        for own in (models, same):
            with isolated(seed=7):
                fit(own[trained_first], *table(), BATCH_SIZE, 2, 0)
        members = [Member(model, random_state=i) for i, model in enumerate(models)]
        population = Population(members, *table(), batch_size=BATCH_SIZE)
        population.train(2)
        for index, model in enumerate(same):
            alone(model, members[index], table(), 2)
            assert differences(population.write(index), model) <= WITHIN


def test_members_stay_as_they_were_until_written() -> None:
    models = made(mlps(*RATES))
    before = [model.get_weights() for model in models]
    population = Population([Member(model) for model in models], *table())
    population.train(2)
    for model, weights in zip(models, before, strict=True):
        for now, then in zip(model.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(now, then)
    other = made(mlps(0.5))[0]
    population.write(1, other)
    assert not np.array_equal(other.get_weights()[0], before[1][0])
    assert float(ops.convert_to_numpy(other.optimizer.learning_rate)) == pytest.approx(RATES[1])


def test_statistics_are_written_with_the_copies_that_are_computed_with() -> None:
    X, y = table()
    one, other = (build_model(1, 8, 0.02, 6, normalize=X * scale) for scale in (1, 5))
    population = Population([Member(one, random_state=0)], X, y)
    population.train(2)
    expected = population.write(0).predict(X, verbose=0)
    np.testing.assert_allclose(population.write(0, other).predict(X, verbose=0), expected, rtol=1e-5)


# What trains together, and what does not.


def _named(activation: str) -> Any:
    return stack(layers.Activation(activation, name=activation))


def _penalized(*penalties: Any) -> Any:
    return stack(*[layers.Dense(4, kernel_regularizer=penalty) for penalty in penalties])


def _sparing(*spared: str) -> Any:
    optimizer = keras.optimizers.AdamW(0.01)
    optimizer.exclude_from_weight_decay(var_names=list(spared))
    return compiled(stack(layers.Dense(4)), optimizer)


SHARED = keras.regularizers.L2(0.01)


@pytest.mark.parametrize(
    "models",
    [
        lambda: [compiled(_named(activation)) for activation in ("relu", "tanh")],
        lambda: [
            compiled(keras.Sequential([layers.Input((6,)), layers.Dense(1, activation)], name=activation))
            for activation in ("relu", "tanh")
        ],
        lambda: [
            compiled(_penalized(SHARED, SHARED)),
            compiled(_penalized(keras.regularizers.L2(0.01), keras.regularizers.L2(0.02))),
        ],
        lambda: [_sparing("bias"), _sparing("kernel")],
    ],
    ids=["named as an activation", "a model so named", "a shared penalty", "spared by weight decay"],
)
def test_what_is_compiled_for_one_is_not_taken_for_the_other(models: Callable[[], list[Any]]) -> None:
    one, other = (identity(model, numbers_of(model)) for model in models())
    assert one is not None
    assert one != other


def test_rates_of_dropouts_that_draw_for_themselves_split() -> None:
    def shape(rate: float) -> str | None:
        dropout = layers.Dropout(rate, noise_shape=(None, 6))
        return graph_shape(compiled(stack(dropout, layers.Dense(3))))

    assert shape(0.1) == shape(0.1)
    assert shape(0.1) != shape(0.2)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ({}, {"learning_rate": 0.5, "momentum": 0.9, "weight_decay": 0.1}, True),
        ({}, {"dropout": 0.5, "l1": 0.1, "l2": 0.1, "n_neurons": 3}, True),
        ({"activation": "softmax"}, {"activation": "softmax", "n_neurons": 3}, True),
        ({"n_neurons": (4, 5)}, {"n_neurons": (5, 4)}, True),
        ({}, {"n_hidden": 3, "n_neurons": 4, "dropout": 0.2}, True),
        ({"batch_normalization": True}, {"batch_normalization": True, "n_hidden": 2}, True),
        ({}, {"n_hidden": 0}, False),
        ({}, {"activation": "tanh"}, False),
        ({}, {"optimizer": "adam"}, False),
        ({}, {"clipnorm": 1.0}, False),
        ({}, {"batch_normalization": True}, False),
        ({}, {"n_outputs": 2}, False),
        ({"optimizer": "muon"}, {"optimizer": "muon", "learning_rate": 0.5}, True),
        ({"optimizer": "muon"}, {"optimizer": "muon", "n_neurons": 3}, False),
        ({"optimizer": "adafactor"}, {"optimizer": "adafactor", "n_neurons": 3}, False),
        ({"optimizer": "adafactor"}, {"optimizer": "adafactor", "n_hidden": 2}, False),
    ],
)
def test_graph_shapes(one: dict[str, Any], other: dict[str, Any], alike: bool) -> None:
    shapes = [graph_shape(build_model(**{"n_hidden": 1, **own})) for own in (one, other)]
    assert (shapes[0] == shapes[1]) is alike


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (["relu"], ["relu"] * 3, True),
        (["tanh", "relu"], ["tanh", "relu", "relu"], True),
        (["tanh", "relu"], ["relu"], False),
        (["tanh", "relu"], ["tanh", "relu", "tanh"], False),
    ],
)
def test_graph_shapes_of_hidden_layers(one: list[str], other: list[str], alike: bool) -> None:
    shapes = [graph_shape(compiled(stack(*[layers.Dense(4, name) for name in own]))) for own in (one, other)]
    assert (shapes[0] == shapes[1]) is alike


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.Dense(4, kernel_regularizer=ORTHOGONAL),
        lambda: layers.Dense(4, "glu"),
        lambda: layers.Dropout(0.1, noise_shape=(None, 6)),
    ],
)
def test_depths_that_cannot_be_masked_split(layer: Callable[[], Any]) -> None:
    shapes = [graph_shape(compiled(stack(*[layer() for _ in range(depth)]))) for depth in (1, 2)]
    assert shapes[0] != shapes[1]


def test_code_of_ones_own_has_no_graph_shape() -> None:
    assert graph_shape(compiled(stack(layers.Dense(8, lambda x: x * 2)))) is None


def test_widths_of_outputs_split_and_hidden_ones_do_not() -> None:
    def shape(hidden: Any, outputs: int) -> str | None:
        ends = [layers.Dense(outputs), layers.Dropout(0.1), layers.Activation("softmax")]
        return graph_shape(
            compiled(keras.Sequential([layers.Input((6,)), layers.Dense(hidden), layers.Dropout(0.2), *ends]))
        )

    assert shape(4, 3) == shape(7, 3)
    assert shape(4, 3) != shape(4, 5)


@pytest.mark.parametrize(
    "layer",
    [
        lambda n: layers.Dense(n, kernel_regularizer=ORTHOGONAL),
        lambda n: layers.Dense(2 * n, "glu"),
        lambda _: layers.PReLU(),
        lambda _: layers.RMSNormalization(),
    ],
)
def test_widths_that_cannot_be_padded_split(layer: Callable[[int], Any]) -> None:
    shapes = [graph_shape(compiled(stack(layers.Dense(n), layer(n)))) for n in (4, 6)]
    assert None not in shapes
    assert shapes[0] != shapes[1]


# What is refused, before anything is trained.


@pytest.mark.parametrize(
    ("members", "options", "message"),
    [
        (list, {}, "members must have at least one Member"),
        (lambda: [Member(m) for m in (*made(mlps(0.1)), build_model(0, 8, 0.1, 6))], {}, "one graph shape"),
        (lambda: [Member(made(mlps(0.1))[0], rows=[0, 999])], {}, "rows must be from 0 to 209; got 0 to 999"),
        (lambda: [Member(made(mlps(0.1))[0], rows=[])], {}, "rows must be indices of rows"),
        (lambda: [Member(made(mlps(0.1))[0], rows=[True] * N_ROWS)], {}, "rows must be indices of rows"),
        (lambda: [Member(made(mlps(0.1))[0], validation_rows=[-1])], {}, "validation_rows must be from 0"),
        (
            lambda: [Member(made(mlps(0.1))[0], early_stopping=stopping())],
            {},
            "monitors 'val_loss', but its logs have loss",
        ),
        (
            lambda: [Member(made(mlps(0.1))[0])],
            {"sample_weight": np.ones((2, N_ROWS))},
            "sample_weight must be of the shape",
        ),
        (
            lambda: [Member(made(mlps(0.1))[0])],
            {"room": Room(1, (7, 1), (True, False))},
            r"room must be as wide and deep as all members, .*; members\[0\].model has Dense layers of",
        ),
        (
            lambda: [Member(made(mlps(0.1))[0])],
            {"room": Room(1, (8, 2), (True, True))},
            "room must have no spare units in layer '.*', whose outputs change where zeros are added",
        ),
        (
            lambda: [Member(made(mlps(0.1))[0])],
            {"room": Room(1, (8, 1), (False,))},
            "room must have units and spare for each of 2 Dense layers; got",
        ),
        (
            lambda: [Member(build_model(2, 8, input_shape=6))],
            {"room": Room(1, (8, 1), (True, False))},
            "room must have units and spare for each of 3 Dense layers; got",
        ),
        (
            lambda: [Member(build_model(2, (8, 9), input_shape=6, optimizer="adafactor"))],
            {"room": Room(1, (8, 9, 9, 1), (False, False, False, False))},
            "room must have units and spare for each of 3 Dense layers; got",
        ),
        (
            lambda: [Member(build_model(2, 8, input_shape=6))],
            {"room": Room(1, (8, 8, 1), (True, True, False), spare_layers=2)},
            "room.spare_layers must count hidden layers with spare units that models of this graph shape may",
        ),
        (
            lambda: [Member(build_model(2, 8, input_shape=6))],
            {"room": Room(1, (8, 8, 1), (False, False, False), spare_layers=1)},
            "room.spare_layers must count hidden layers with spare units that models of this graph shape may",
        ),
        (
            lambda: [Member(build_model(1, 8, input_shape=6))],
            {"room": Room(1, (8, 8, 1), (True, True, False))},
            r"members\[0\].model has Dense layers of \(8, 1\) units",
        ),
        (
            lambda: [Member(_sparing("bias"))],
            {"room": Room(1, (12, 1), (True, False))},
            "room must have no spare units in layer",
        ),
        (
            lambda: [Member(compiled(stack(layers.Dense(8, lambda x: 2 * x))))],
            {"room": Room(1, (9, 1), (True, False))},
            "room must have no spare units in layer",
        ),
        (lambda: [Member(keras.Sequential([layers.Dense(1)]))], {}, "compile"),
        (lambda: [Member(compiled(keras.Sequential([layers.Dense(1)])))], {}, "must be built"),
    ],
)
def test_what_is_refused(members: Callable[[], list[Member]], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Population(members(), *table(), **options)


@pytest.mark.parametrize(
    ("member", "options", "message"),
    [
        (
            {"early_stopping": [stopping()]},
            {},
            "must be a keras.callbacks.EarlyStopping or None",
        ),
        ({"epochs": 2.5}, {}, r"members\[0\].epochs must be an integer >= 1; got 2.5"),
        ({}, {"batch_size": "16"}, "batch_size must be an integer >= 1"),
        ({}, {"shuffle": "batch"}, "shuffle must be True or False"),
        ({}, {"room": (1, 8)}, "room must be a kerashp.training.Room or None; got"),
    ],
)
def test_what_is_of_a_wrong_type(member: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Population([Member(*made(mlps(0.1)), **member)], *table(), **options)


def test_a_member_that_there_is_not() -> None:
    population = Population([Member(*made(mlps(0.1)))], *table())
    with pytest.raises(IndexError, match="member must be below 1; got 3"):
        population.write(3)
    with pytest.raises(TypeError, match="epochs must be an integer >= 0"):
        population.train("2")


def test_members_of_unlike_lengths_where_a_short_batch_is_trained_by_itself() -> None:
    X, y = table()
    members = [
        Member(model, rows=rows)
        for model, rows in zip(made([lambda: two_outputs(0.1)] * 2), folds(2), strict=True)
    ]
    with pytest.raises(ValueError, match="the same number of rows"):
        Population(members, X, [y, y])


def test_what_cannot_be_compiled_is_refused_by_name() -> None:
    model = compiled(stack(layers.Dense(3)), run_eagerly=True)
    with pytest.raises(RuntimeError, match="run_eagerly=True"):
        Population([Member(model)], *table())
    with pytest.raises(RuntimeError, match="not dense arrays"):
        Population([Member(*made(mlps(0.1)))], "text", "text")
