"""Members whose networks are not built."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pytest

from kerashp import build_model
from kerashp.training import Member, Population, Room, Variant, graph_shape

X = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
Y = X[:, 0]


def network(n_neurons: int, rate: float, n_hidden: int = 2, **options: Any) -> Any:
    """A network for X."""
    keras.utils.set_random_seed(n_neurons)
    options = {"optimizer": "adam", "l2": 0.01, "dropout": 0.2, "momentum": None} | options
    return build_model(n_hidden, n_neurons, rate, input_shape=3, **options)


def variant_of(model: Any, **numbers: float) -> Variant:
    """The variant that describes a model."""
    model.optimizer.build(model.trainable_variables)
    groups = model.trainable_variables, model.non_trainable_variables, model.optimizer.variables
    values = [[keras.ops.convert_to_numpy(variable) for variable in group] for group in groups]
    units = tuple(layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense))
    paths = {"l2": ("kernel_regularizer", "l2"), "dropout": ("rate",), "beta_1": ("optimizer", "beta_1")}
    rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    return Variant(units, {paths[name]: value for name, value in numbers.items()}, values, rate)


def test_a_variant_trains_as_its_model_does() -> None:
    """Alone, together with others, and after `write`."""
    numbers = [{"l2": 0.03, "dropout": 0.4, "beta_1": 0.8}, {"l2": 0.001, "dropout": 0.1, "beta_1": 0.7}]
    models = [network(5, 0.02, **numbers[0]), network(8, 0.01, **numbers[1])]
    built = Population([Member(model, random_state=1) for model in models], X, Y)
    expected = built.train(epochs=3)
    prototype = network(2, 0.5)
    members = [
        Member(prototype, random_state=1, variant=variant_of(model, **values))
        for model, values in zip(models, numbers, strict=True)
    ]
    population = Population(members, X, Y)
    for actual, member in zip(population.train(epochs=3), expected, strict=True):
        np.testing.assert_allclose(actual.history["loss"], member.history["loss"], rtol=1e-6)
    np.testing.assert_allclose(population.predict(X, [0, 1]), built.predict(X, [0, 1]), rtol=1e-5, atol=1e-6)
    for index, model in enumerate(models):
        clone = network(model.layers[0].units, 0.5)
        population.write(index, clone)
        built.write(index)
        for weight, value in zip(clone.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_allclose(weight, value, rtol=1e-5, atol=1e-7)
        assert float(clone.optimizer.learning_rate) == float(model.optimizer.learning_rate)
    alone = Population(members[:1], X, Y).train(epochs=3)
    np.testing.assert_allclose(alone[0].history["loss"], expected[0].history["loss"], rtol=1e-5)
    assert network(2, 0.5).get_weights()[0].shape == prototype.get_weights()[0].shape  # as it was


def test_a_paused_variant_continues() -> None:
    """With its own shapes."""
    model = network(5, 0.02)
    prototype, variant = network(2, 0.5), variant_of(model, l2=0.01, dropout=0.2)
    stopping = keras.callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True)
    member = Member(prototype, random_state=1, variant=variant, early_stopping=stopping)
    at_once = Population([member], X, Y).train(epochs=4)[0]
    first = Population([member], X, Y)
    first.train(epochs=2)
    paused = first.paused(0)
    assert [array.shape for array in paused.values[0]] == [array.shape for array in variant.values[0]]
    member = Member(prototype, random_state=1, variant=variant, early_stopping=stopping, paused=paused)
    later = Population([member], X, Y).train(epochs=4)[0]
    np.testing.assert_allclose(later.history["loss"], at_once.history["loss"], rtol=1e-6)


def test_groups_in_other_threads_share_a_prototype() -> None:
    """Each reads its config, for which others replace its numbers for a moment."""
    prototype, deeper = network(2, 0.5), network(2, 0.5, n_hidden=3)
    members = [
        Member(model, variant=variant_of(network(width, 0.01, n_hidden=depth)))
        for model, depth, width in ((prototype, 2, 5), (deeper, 3, 8))
    ]
    room = Room(2, (8, 8, 8, 1), (True, True, True, False), validates=False, spare_layers=1)
    with ThreadPoolExecutor(3) as threads:
        populations = list(threads.map(lambda _: Population(members, X, Y, room=room), range(24)))
    assert len(populations) == 24


def test_a_variant_of_another_architecture_is_refused() -> None:
    """Before anything trains."""
    deeper = variant_of(build_model(3, 4, input_shape=3, optimizer="adam"))
    with pytest.raises(ValueError, match=r"members\[0\].variant must have the units of 3 Dense layers"):
        Population([Member(network(2, 0.1), variant=deeper)], X, Y)
    doubles = Variant((2, 2, 1), {}, [[np.zeros((3, 2))]], 0.1)
    with pytest.raises(ValueError, match=r"and types: .*'float32'.*; got the units \(2, 2, 1\)"):
        Population([Member(network(2, 0.1), variant=doubles)], X, Y)


def test_models_with_a_lambda_are_not_merged() -> None:
    """Keras loads no lambda, so that no template of two models could be made."""

    def compiled_with_lambda(n_neurons: int) -> Any:
        model = build_model(1, n_neurons, input_shape=3)
        model.compile(
            "sgd", "mse", metrics=[lambda y, outputs: keras.ops.mean(keras.ops.abs(y - outputs), -1)]
        )
        return model

    models = [compiled_with_lambda(n_neurons) for n_neurons in (4, 4, 5)]
    first, second, wider = map(graph_shape, models)
    assert first == second != wider
    assert graph_shape(build_model(1, 4, input_shape=3)) == graph_shape(build_model(2, 5, input_shape=3))
    trained = Population([Member(model, random_state=0) for model in models[:2]], X, Y).train(epochs=2)
    assert [member.n_epochs for member in trained] == [2, 2]
