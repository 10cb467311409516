"""Dropout rates and weight decay that follow schedules: the formula, populations, `Model.fit`."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from kerashp import build_model, fit
from kerashp.schedules import CosLog, FlatCosine, LinearWarmup
from kerashp.training import FallbackWarning, Member, Population, isolated
from kerashp.training._engine import draws
from kerashp.training._keras.hooks import batch_hook
from kerashp.training._keras.regularization import RegularizationCallback, is_only_a_regularization

ROWS, EPOCHS, BATCH = 50, 4, 16
STEPS = math.ceil(ROWS / BATCH)
X = np.random.default_rng(0).normal(size=(ROWS, 5)).astype("float32")
Y = (X[:, :1] - X[:, 1:2] ** 2).astype("float32")

BY_MODEL_FIT = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="JAX's Model.fit compiles the numbers in"
)


class Both(RegularizationCallback):
    """Dropout by four periods of a cosine, weight decay flat and then a cosine."""

    def factors(self, steps_per_epoch: int) -> Any:
        n_steps = EPOCHS * steps_per_epoch
        return CosLog(1.0, n_steps), FlatCosine(1.0, n_steps)


class Constant(RegularizationCallback):
    def factors(self, steps_per_epoch: int) -> Any:
        return LinearWarmup(1.0, 0), LinearWarmup(1.0, 0)


class Waits(keras.callbacks.Callback):
    """Makes Model.fit train."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        pass


def network(seed: int = 0, **options: Any) -> Any:
    with isolated(seed=seed):
        return build_model(**{"n_neurons": 6, "learning_rate": 0.05, "input_shape": 5, **options})


def dropout_factors() -> np.ndarray:
    share = np.arange(EPOCHS * STEPS) / (EPOCHS * STEPS)
    return 0.5 * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * share)))


def decay_factors() -> np.ndarray:
    share = np.arange(EPOCHS * STEPS) / (EPOCHS * STEPS)
    return np.where(share < 0.5, 1, 0.5 * (1 + np.cos(np.pi * (2 * share - 1))))


def trained_by_keras(model: Any, **options: Any) -> None:
    arguments = {"epochs": EPOCHS, "batch_size": BATCH, "shuffle": False, "verbose": 0, **options}
    keras.Model.fit(model, X, Y, **arguments)


def trained_by_kerashp(model: Any, **options: Any) -> None:
    arguments = {"epochs": EPOCHS, "batch_size": BATCH, "shuffle": False, "verbose": 0, **options}
    fit(model, X, Y, fallback="error", **arguments)


@pytest.mark.parametrize("train", [pytest.param(trained_by_keras, marks=BY_MODEL_FIT), trained_by_kerashp])
def test_weight_decay_has_its_closed_form(train: Callable[..., None]) -> None:
    model = network(n_hidden=0, weight_decay=0.8, learning_rate=0.1)
    kernel = model.layers[-1].get_weights()[0]
    zeros = keras.Sequential([keras.Input((5,)), keras.layers.Rescaling(0.0), *model.layers])
    zeros.compile(model.optimizer, lambda y, outputs: 0 * keras.ops.sum(outputs + y, axis=-1))
    train(zeros, callbacks=[Both()])
    expected = kernel * np.prod(1 - 0.1 * 0.8 * decay_factors())
    np.testing.assert_allclose(model.layers[-1].get_weights()[0], expected, rtol=1e-5)
    assert zeros.optimizer.weight_decay == 0.8


def scaled_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all units be kept: then dropout only divides by 1 - rate, here and under Keras."""
    monkeypatch.setattr(draws, "draw_kept_units", lambda *draw: np.ones((draw[2], *draw[3]), bool))
    monkeypatch.setattr(
        keras.src.layers.regularization.dropout.backend.random,
        "dropout",
        lambda inputs, rate, **_: inputs * keras.ops.convert_to_tensor(1 / (1 - rate), inputs.dtype),
    )


@BY_MODEL_FIT
def test_dropout_and_weight_decay_are_those_of_model_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    scaled_only(monkeypatch)
    options = {"dropout": 0.6, "weight_decay": 0.5, "optimizer": "adamw", "activation": "tanh"}
    ours, theirs = network(**options), network(**options)
    trained_by_kerashp(ours, callbacks=[Both()])
    trained_by_keras(theirs, callbacks=[Both()])
    for actual, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
    for model in (ours, theirs):
        assert model.layers[1].rate == 0.6
        assert model.optimizer.weight_decay == 0.5
    constant = network(**options)
    trained_by_keras(constant)
    assert np.abs(constant.get_weights()[0] - theirs.get_weights()[0]).max() > 1e-3
    trained_by_keras(theirs)  # as without the callback from here on
    trained_by_kerashp(ours)
    np.testing.assert_allclose(ours.get_weights()[0], theirs.get_weights()[0], rtol=1e-4, atol=1e-4)


def test_units_are_kept_at_the_rate_of_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    shares, draw = [], draws.draw_kept_units

    def watched(*arguments: Any) -> np.ndarray:
        kept = draw(*arguments)
        shares.extend(kept.mean(axis=(1, 2)))
        return kept

    monkeypatch.setattr(draws, "draw_kept_units", watched)
    trained_by_kerashp(network(n_neurons=500, dropout=0.7), callbacks=[Both()])
    np.testing.assert_allclose(shares[: EPOCHS * STEPS], 1 - 0.7 * dropout_factors(), atol=0.03)


def test_a_constant_factor_changes_no_number() -> None:
    plain, constant = network(dropout=0.3, weight_decay=0.2), network(dropout=0.3, weight_decay=0.2)
    trained_by_kerashp(plain)
    trained_by_kerashp(constant, callbacks=[Constant()])
    for actual, expected in zip(constant.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-7)


CASES = {
    "both": {"dropout": 0.4, "weight_decay": 0.5},
    "dropout": {"dropout": 0.2, "n_neurons": 9},
    "weight decay": {"weight_decay": 0.3, "n_hidden": 2},
    "neither": {},
}


def test_members_are_trained_as_alone() -> None:
    def members(paused: Any = None) -> list[Member]:
        options = [(options, Both()) for options in CASES.values()] + [(CASES["both"], None)]
        return [
            Member(
                network(index, **own),
                random_state=index,
                regularization=callback,
                paused=None if paused is None else paused[index],
            )
            for index, (own, callback) in enumerate(options)
        ]

    population = Population(members(), X, Y, batch_size=BATCH)
    together = population.train(EPOCHS)
    first = Population(members(), X, Y, batch_size=BATCH)
    first.train(EPOCHS // 2)
    later = Population(members([first.paused(index) for index in range(5)]), X, Y, batch_size=BATCH)
    in_parts = later.train(EPOCHS)
    for index, member in enumerate(members()):
        with isolated(seed=index):
            callbacks = [member.regularization] if member.regularization else []
            history = fit(member.model, X, Y, BATCH, EPOCHS, 0, callbacks, fallback="error").history
        np.testing.assert_allclose(together[index].history["loss"], history["loss"], rtol=1e-4)
        np.testing.assert_allclose(in_parts[index].history["loss"], history["loss"], rtol=1e-4)
        for actual, expected in zip(
            population.write(index).get_weights(), member.model.get_weights(), strict=True
        ):
            if actual.dtype.kind == "f":
                np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@BY_MODEL_FIT
def test_the_callback_alone_leaves_training_compiled() -> None:
    assert is_only_a_regularization(Both())
    assert batch_hook([Both()]) is None
    callback = Both()
    callback.on_epoch_end = lambda *_: None
    assert not is_only_a_regularization(callback)
    with pytest.warns(FallbackWarning, match="Waits.on_train_batch_end is called at every batch"):
        fit(network(), X, Y, callbacks=[Both(), Waits()], verbose=0)


@BY_MODEL_FIT
def test_what_it_cannot_do_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotImplementedError, match="RegularizationCallback must have a method factors"):
        trained_by_keras(network(), callbacks=[RegularizationCallback()])
    model = network()
    model.compile("sgd", "mse", steps_per_execution=2)
    with pytest.raises(ValueError, match="Both acts at every step, but steps_per_execution=2"):
        trained_by_keras(model, callbacks=[Both()])
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    callback = Both()
    callback.on_train_begin()
    with pytest.raises(
        ValueError, match="Both needs compiled training on the jax backend; remove what makes"
    ):
        callback.on_train_batch_begin(0)
