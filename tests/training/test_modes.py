"""Networks of many kinds: how each is compiled, and that it ends as under Keras and as alone."""

import importlib.util
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from sklearn.model_selection import KFold

from kerashp import KerasClassifier, fit
from kerashp.model_selection import GridSearchCV
from kerashp.training import FallbackWarning, Member, Population, Room, isolated, units_of
from kerashp.training._keras import modes
from kerashp.training._keras.modes import mode_of
from kerashp.training._runtime.backend import backend

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other backends compile everything by XLA"
)

BATCH_SIZE = 16
LOOPS = ("SimpleRNN", "LSTM", "GRU", "Bidirectional LSTM", "Embedding, LSTM")
CONVOLUTIONS = ("Conv2D 16/32", "Conv2D, BatchNormalization", "SeparableConv2D 16/32", "Conv1D 32/64")
OTHERS = ("perceptron 2 x 30", "Embedding, pooled", "attention", "two inputs")


def _zoo() -> Any:
    path = Path(__file__).parents[2] / "benchmarks" / "zoo_networks.py"
    spec = importlib.util.spec_from_file_location("zoo_networks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


zoo = _zoo()
NETWORKS, TINY = zoo.NETWORKS, zoo.TINY


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a few members would be in a block each, and nothing stacked."""
    monkeypatch.setattr("kerashp.training._population.n_cores", lambda: 1)


def made(maker: Callable[..., Any], rate: float = 0.05, seed: int = 0) -> Any:
    with isolated(seed=seed):
        return maker(TINY, rate)


def farthest(one: Any, other: Any) -> float:
    """The largest difference of two models' weights, beside the largest weight of each."""
    pairs = [
        (ops.convert_to_numpy(a), ops.convert_to_numpy(b))
        for a, b in zip(one.weights, other.weights, strict=True)
    ]
    return max(float(np.max(np.abs(a - b)) / (np.max(np.abs(b)) + 1e-3)) for a, b in pairs)


def agree(name: str, epochs: int = 3) -> None:
    X, y = NETWORKS[name].rows(TINY)
    ours, keras_own = made(NETWORKS[name].model), made(NETWORKS[name].model)
    got = fit(ours, X, y, BATCH_SIZE, epochs, 0, shuffle=False, fallback="error").history
    expected = keras_own.fit(X, y, BATCH_SIZE, epochs, 0, shuffle=False).history
    assert farthest(ours, keras_own) <= 1e-4
    np.testing.assert_allclose(got["loss"], expected["loss"], rtol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_ends_with_the_weights_of_keras(name: str) -> None:
    agree(name)


@pytest.mark.parametrize("name", ["perceptron 2 x 30", "LSTM", "attention", "two inputs"])
@pytest.mark.usefixtures("short_training")
def test_so_does_a_short_training(name: str) -> None:
    agree(name)


def test_a_convolution_validates_as_in_keras() -> None:
    X, y = NETWORKS["Conv2D 16/32"].rows(TINY)
    histories = [
        fitter(made(NETWORKS["Conv2D 16/32"].model), X, y)
        for fitter in (
            lambda model, *data: fit(model, *data, epochs=3, validation_split=0.3, shuffle=False, verbose=0),
            lambda model, *data: model.fit(*data, epochs=3, validation_split=0.3, shuffle=False, verbose=0),
        )
    ]
    ours, keras_own = (history.history for history in histories)
    for log in ("loss", "val_loss"):
        np.testing.assert_allclose(ours[log], keras_own[log], rtol=1e-4)


def members_agree(name: str) -> int:
    """Members and what each is alone; how many a block has."""
    network = NETWORKS[name]
    X, y = network.rows(TINY)
    X = np.concatenate(X, axis=1) if isinstance(X, list) else X
    rates = (0.05, 0.02)
    members = [Member(made(network.one_array, rate, n), random_state=n) for n, rate in enumerate(rates)]
    population = Population(members, X, y, batch_size=BATCH_SIZE, epochs=3)
    trained = population.train(3)
    for number, rate in enumerate(rates):
        alone = made(network.one_array, rate, number)
        with isolated(seed=number):
            history = fit(alone, X, y, BATCH_SIZE, 3, 0, fallback="error").history
        assert farthest(population.write(number), alone) <= 1e-5
        np.testing.assert_allclose(trained[number].history["loss"], history["loss"], rtol=1e-4)
    return population._blocks.size


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.usefixtures("one_core")
def test_members_of_every_network_end_as_each_ends_alone(name: str) -> None:
    assert members_agree(name) == (2 if name in (*OTHERS, "perceptron 3 x 300") else 1)


@pytest.mark.usefixtures("short_training", "one_core")
def test_members_of_a_short_training_train_one_by_one() -> None:
    assert members_agree("perceptron 2 x 30") == 1


# Rules.


@pytest.mark.parametrize(
    ("names", "xla", "reason"),
    [
        (OTHERS, True, None),
        (LOOPS, True, r"(\w+) loops over time steps, .* it can with \1\(..., unroll=True\)"),
        (CONVOLUTIONS, False, "on a CPU, .*Conv.. takes as long"),
        (("LSTM, unrolled",), False, "on a CPU, the unrolled LSTM takes as long"),
    ],
    ids=["others", "loops", "convolutions", "unrolled"],
)
def test_layers_tell_the_mode(names: tuple[str, ...], xla: bool, reason: str | None) -> None:
    for name in names:
        mode = mode_of(NETWORKS[name].model(TINY), NETWORKS[name].rows(TINY)[0])
        assert mode.xla == xla
        assert mode.stackable == (name not in LOOPS)
        assert (mode.reason is None) if reason is None else re.search(reason, mode.reason)


class OwnConvolution(layers.Layer):
    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(3, 3, 1, 2))

    def call(self, x: Any) -> Any:
        return ops.mean(ops.conv(x, self.kernel), axis=(1, 2))


class OwnLoop(layers.Layer):
    def call(self, x: Any) -> Any:
        return ops.while_loop(lambda i, _: i < 3, lambda i, x: (i + 1, 2 * x), (0, x))[1]


class Doubling(layers.Layer):
    def call(self, x: Any) -> Any:
        return 2 * x


@pytest.mark.parametrize(
    ("layer", "shape", "xla", "reason"),
    [
        (OwnConvolution, (8, 8, 1), False, "Conv2D takes as long"),
        (OwnLoop, (5,), True, "own code has a loop"),
        (Doubling, (5,), True, None),
        (lambda: layers.GaussianNoise(0.1), (5,), False, None),
        (lambda: layers.Dropout(0.1), (5,), True, None),
    ],
    ids=["convolution", "loop", "product", "noise", "dropout"],
)
def test_other_code_is_traced_to_tell_the_mode(
    layer: Callable[[], Any], shape: tuple[int, ...], xla: bool, reason: str | None, compiles: list[Any]
) -> None:
    model = keras.Sequential([layers.Input(shape), layer(), layers.Dense(1)])
    mode = mode_of(model, np.zeros((4, *shape), "float32"))
    assert mode.xla == xla
    assert (mode.reason is None) if reason is None else reason in mode.reason
    assert not compiles


@pytest.mark.usefixtures("short_training")
def test_a_few_steps_are_not_worth_xla() -> None:
    network = NETWORKS["perceptron 2 x 30"]
    mode = mode_of(network.model(TINY), network.rows(TINY)[0])
    assert [mode.of_steps(steps).xla for steps in (2999, 3000)] == [False, True]
    assert mode.one_by_one(3000) is None
    assert "fewer than 3000 steps takes less time" in mode.one_by_one(2999)


def test_a_room_for_several_members_with_a_loop_is_refused() -> None:
    X, y = NETWORKS["LSTM"].rows(TINY)
    model = NETWORKS["LSTM"].model(TINY)
    room = Room.of([units_of(model)] * 2, 2)
    with pytest.raises(ValueError, match="room.n_members must be 1, since LSTM loops .*unroll=True.*; got 2"):
        Population([Member(model), Member(model)], X, y, room=room)


# What is shared, and what is said.


def test_a_second_bidirectional_model_compiles_nothing(compiles: list[Any]) -> None:
    X, y = NETWORKS["Bidirectional LSTM"].rows(TINY)
    network = NETWORKS["Bidirectional LSTM"]
    members = [Member(made(network.model, rate)) for rate in (0.1, 0.2)]
    Population(members, X, y).train(1)
    before = len(compiles)
    fit(made(network.model), X, y, verbose=0, fallback="error")
    assert len(compiles) == before


def test_a_second_model_of_several_inputs_compiles_nothing(compiles: list[Any]) -> None:
    network = NETWORKS["two inputs"]
    X, y = network.rows(TINY)
    fit(made(network.model), X, y, verbose=0, fallback="error")
    before = len(compiles)
    fit(made(network.model), X, y, verbose=0, fallback="error")
    assert len(compiles) == before


def test_a_resumed_training_is_compiled_as_a_whole_one(
    compiles: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = NETWORKS["perceptron 2 x 30"]
    X, y = network.rows(TINY)
    monkeypatch.setattr(modes, "_PAYS_FROM", 10)
    whole, resumed = made(network.model), made(network.model)
    fit(whole, X, y, BATCH_SIZE, epochs=4, shuffle=False, verbose=0, fallback="error")
    before = len(compiles)
    fit(resumed, X, y, BATCH_SIZE, epochs=4, initial_epoch=2, shuffle=False, verbose=0, fallback="error")
    assert len(compiles) == before


def test_inputs_in_another_order_are_another_graph() -> None:
    def difference(names: list[str], place: int) -> Any:
        inputs = [keras.Input((1,), name=name) for name in names]
        kernels = [keras.layers.Dense(1, kernel_initializer="ones")(kernel_input) for kernel_input in inputs]
        model = keras.Model(inputs, keras.layers.Subtract()([kernels[place], kernels[1 - place]]))
        model.compile(keras.optimizers.SGD(0.0), "mse")
        return model

    names, zeros, ones = ["input_layer_71", "input_layer_72"], np.zeros((4, 1)), np.ones((4, 1))
    for order, place, loss in ((names, 0, 1.0), (names[::-1], 0, 1.0), (names[::-1], 1, 1.0)):
        model = difference(order, place)
        history = fit(model, {names[0]: 3 * ones, names[1]: 2 * ones}, zeros, verbose=0)
        assert history.history["loss"][0] == pytest.approx(loss)
        skewed = fit(model, {names[0]: 3 * ones, names[1]: zeros}, 3 * ones, verbose=0).history["loss"][0]
        assert skewed == pytest.approx(0.0 if (order == names) == (place == 0) else 36.0)


def search(name: str) -> Any:
    estimator = KerasClassifier(
        lambda learning_rate: NETWORKS[name].model(TINY, learning_rate), epochs=2, random_state=0
    )
    return GridSearchCV(estimator, {"model__learning_rate": [0.1, 0.01]}, cv=KFold(2))


def test_a_search_over_a_loop_says_once_why_it_is_not_stacked(compiles: list[Any]) -> None:
    with pytest.warns(
        FallbackWarning, match="4 fits are trained one by one: LSTM loops.*unroll=True"
    ) as caught:
        fitted = search("LSTM").fit(*NETWORKS["LSTM"].rows(TINY))
    assert len([own for own in caught if own.category is FallbackWarning]) == 1
    assert len([compiler for _, compiler, *_ in compiles if compiler.func is backend().compiled]) == 1
    assert "trained one by one, in compiled calls, since LSTM loops" in fitted.explain()
    assert [group.room.n_members for group in fitted.plan_.groups] == [1]


def test_a_search_over_convolutions_says_how_it_trained_where_it_is_asked() -> None:
    fitted = search("Conv1D 32/64").fit(*NETWORKS["Conv1D 32/64"].rows(TINY))
    assert "since on a CPU, Conv1D takes as long" in fitted.explain()


class Spelled(layers.Layer):
    def call(self, x: Any) -> Any:
        import tensorflow as tf

        return x + 0 * tf.strings.to_number(tf.strings.as_string(tf.stop_gradient(x)))


def test_what_xla_does_not_compile_is_said_in_words() -> None:
    model = keras.Sequential([layers.Input((4,)), Spelled(), layers.Dense(1)])
    model.compile("sgd", "mse")
    X = np.ones((8, 4), "float32")
    with pytest.raises(RuntimeError, match="training: XLA does not compile the operations AsString\\. Pass"):
        fit(model, X, X[:, 0], verbose=0, fallback="error")
    with pytest.raises(RuntimeError, match="XLA does not compile the operations AsString\\. Train its"):
        Population([Member(model)], X, X[:, 0])


def test_a_layer_that_xla_does_not_compile_is_compiled_without_it() -> None:
    X, y = NETWORKS["Conv2D 16/32"].rows(TINY)

    def trained(fitter: Callable[..., Any]) -> Any:
        with isolated(seed=0):
            model = keras.Sequential(
                [layers.Input(X.shape[1:]), layers.RandomRotation(0.2), layers.Flatten(), layers.Dense(3)]
            )
            model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
            fitter(model, X, y, epochs=2, shuffle=False, verbose=0)
        return model

    ours = trained(lambda model, *data, **arguments: fit(model, *data, fallback="error", **arguments))
    assert farthest(ours, trained(lambda model, *data, **arguments: model.fit(*data, **arguments))) <= 1e-4


@pytest.mark.usefixtures("one_core")
def test_random_numbers_of_a_step_are_those_of_keras_and_mapped_without_notes() -> None:
    X, y = NETWORKS["perceptron 2 x 30"].rows(TINY)

    def noisy(seed: int) -> Any:
        with isolated(seed=seed):
            model = keras.Sequential(
                [layers.Input(X.shape[1:]), layers.GaussianNoise(0.5), layers.Dense(3, "softmax")]
            )
            model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        return model

    notes: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: notes.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tensorflow")
    logger.addHandler(handler)
    try:
        population = Population([Member(noisy(0)), Member(noisy(1))], X, y, shuffle=False)
        population.train(2)
    finally:
        logger.removeHandler(handler)
    assert population._blocks.size == 2
    assert not [note for note in notes if "while_loop" in note]
    for seed in (0, 1):
        ours, keras_own = noisy(seed), noisy(seed)
        fit(ours, X, y, epochs=2, shuffle=False, verbose=0, fallback="error")
        keras_own.fit(X, y, epochs=2, shuffle=False, verbose=0)
        assert farthest(population.write(seed), ours) <= 1e-5
        assert farthest(ours, keras_own) <= 1e-4
