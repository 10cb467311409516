"""A fallback is warned of once a cause, whatever Keras calls its layers."""

import warnings
from typing import Any

import keras
import numpy as np
import pytest

from kerashp import KerasMLPRegressor, KerasRegressor
from kerashp.model_selection import GridSearchCV
from kerashp.model_selection._running.local import warn_of_fallbacks
from kerashp.training import FallbackWarning, one_warning_a_cause
from kerashp.training._runtime.fallbacks import is_new, without_counters

X = np.random.default_rng(0).normal(size=(30, 4))


class Batches(keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Keeps training from being compiled."""


class WithoutXla(keras.layers.Layer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.supports_jit = False

    def call(self, x: Any) -> Any:
        return 1.0 * x


def build() -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), WithoutXla(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def fallbacks(call: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(one.message) for one in caught if issubclass(one.category, FallbackWarning)]


def test_a_search_warns_once_of_a_callback() -> None:
    search = GridSearchCV(KerasMLPRegressor(epochs=1, callbacks=[Batches()]), {"n_neurons": [2, 3]}, cv=2)
    assert fallbacks(lambda: search.fit(X, X[:, 0])) == [
        "Model.fit trains this model: Batches.on_train_batch_end is called at every batch"
    ]


def test_fits_of_equal_models_have_equal_causes() -> None:
    messages_by_fit = [fallbacks(lambda: KerasRegressor(build).fit(X, X[:, 0])) for _ in range(2)]
    assert messages_by_fit[0] == messages_by_fit[1]
    assert not any("without_xla" in message for messages in messages_by_fit for message in messages)


def test_causes_are_new_again_outside() -> None:
    with one_warning_a_cause():
        assert is_new("a")
        with one_warning_a_cause():
            assert [is_new("a"), is_new("b")] == [False, True]
        assert not is_new("b")
    assert is_new("a")
    assert is_new("a")


def test_only_the_counters_of_keras_own_names_are_left_out() -> None:
    layers = [keras.layers.Dense(1, name=name) for name in ("dense_3", "block_2", "dense_31")]
    model = keras.Sequential(layers, name="mlp")
    text = without_counters("'dense_3', dense_31 and block_2 of while_body_31960_const_0[]", model)
    assert text == "'dense', dense and block_2 of while_body_const_0[]"


def test_groups_that_cannot_train_together_are_counted_by_reason() -> None:
    class Group:
        fits = ((0, 0), (0, 1))

    with pytest.warns(FallbackWarning) as caught:
        warn_of_fallbacks([(Group(), "a"), (Group(), "b"), (Group(), "a")], [])  # type: ignore[list-item]
    assert [str(one.message) for one in caught] == [
        "4 fits are trained one by one: a",
        "2 fits are trained one by one: b",
    ]
