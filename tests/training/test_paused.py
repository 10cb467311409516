"""A member that is paused and goes on, in this population or another, ends as if it had not been paused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerashp import build_model
from kerashp.callbacks import CosineRestarts
from kerashp.training import Member, Paused, Population

N_ROWS, EPOCHS = 90, 7


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise each member would be in a block of its own."""
    monkeypatch.setattr("kerashp.training._population.n_cores", lambda: 1)


def data() -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).normal(size=(N_ROWS, 4)).astype("float32")
    return X, np.tanh(X[:, :1] - X[:, 1:2])


def mlp(n_neurons: int, rate: float, dropout: float, n_hidden: int = 1) -> Any:
    keras.utils.set_random_seed(n_neurons)
    return build_model(
        n_hidden, n_neurons, rate, 4, optimizer="adam", dropout=dropout, batch_normalization=True
    )


def varied() -> list[Member]:
    """Widths, depths, dropout, statistics, Adam's state, rows, stopping, schedules, the order of the rows."""
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    halves = {"rows": np.arange(40), "validation_rows": np.arange(40, N_ROWS)}
    return [
        Member(mlp(5, 0.01, 0.2), random_state=0, **halves, early_stopping=stopping),
        Member(mlp(9, 0.3, 0.1), random_state=1, **halves, early_stopping=stopping),
        Member(mlp(9, 0.02, 0.3, 2), random_state=2, **halves, schedule=CosineRestarts(2)),
        Member(mlp(4, 0.01, 0.2), random_state=np.random.default_rng(3), **halves),
    ]


def two_outputs() -> list[Member]:
    """A short last batch by itself, and averaged weights."""
    members = []
    for rate in (0.05, 0.02):
        keras.utils.set_random_seed(0)
        inputs = layers.Input((4,))
        hidden = layers.Dense(6, "relu")(inputs)
        outputs = [layers.Dense(1, name=name)(hidden) for name in ("a", "b")]
        model = keras.Model(inputs, outputs)
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, use_ema=True, ema_overwrite_frequency=5)
        model.compile(optimizer, ["mse", "mae"])
        members.append(Member(model, random_state=0))
    return members


def population(members: list[Member]) -> Population:
    X, y = data()
    targets = [y, y] if len(members[0].model.outputs) == 2 else y
    return Population(members, X, targets, batch_size=16)


def paused_at(members: list[Member], epochs: int) -> list[Member]:
    first = population(members)
    first.train(epochs)
    return [replace(member, paused=first.paused(index)) for index, member in enumerate(members)]


def weights(trained: Population, member: int) -> list[np.ndarray]:
    model = trained.write(member)
    return [ops.convert_to_numpy(v).copy() for v in (*model.variables, *model.optimizer.variables)]


@pytest.mark.parametrize("made", [varied, two_outputs])
def test_going_on_is_as_if_there_had_been_no_pause(made: Callable[[], list[Member]]) -> None:
    whole, members = population(made()), paused_at(made(), 3)
    expected = whole.train(EPOCHS)
    again = [replace(m, paused=p.paused) for m, p in zip(members, paused_at(members, 5), strict=True)]
    later = population(again)
    assert later.train(EPOCHS) == expected
    for member in range(len(members)):
        for one, other in zip(weights(later, member), weights(whole, member), strict=True):
            np.testing.assert_array_equal(one, other)


def test_some_go_on_beside_others() -> None:
    whole, members = population(varied()), paused_at(varied(), 3)
    expected = whole.train(EPOCHS)
    later = population([members[2], members[0], varied()[3]])
    trained = later.train(EPOCHS)
    for place, member in enumerate([2, 0, 3]):
        assert trained[place].n_epochs == expected[member].n_epochs
        assert trained[place].best_epoch == expected[member].best_epoch
        np.testing.assert_allclose(
            trained[place].history["loss"], expected[member].history["loss"], rtol=1e-4
        )
        for one, other in zip(weights(later, place), weights(whole, member), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_what_has_stopped_early_stays_as_it_is() -> None:
    members = paused_at(varied(), EPOCHS)
    trained = population(members).train(50)
    stopped = members[1].paused
    assert stopped is not None
    assert stopped.best is not None
    assert trained[1].stopped_by == "early stopping"
    assert trained[1].n_epochs == stopped.n_epochs < EPOCHS
    assert trained[3].n_epochs == 50


def test_what_was_paused_of_another_model_is_refused() -> None:
    member = varied()[0]
    paused = Paused({}, [[np.zeros((4, 2))], [], []], None, None)
    with pytest.raises(
        ValueError, match=r"members\[0\].paused must come from a model of the same architecture"
    ):
        population([replace(member, paused=paused)])
