"""What `explain()` says of groups that train apart, and of seconds."""

import json
from typing import Any

import keras
import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.model_selection import KFold

from kerashp import KerasClassifier, KerasMLPClassifier, build_model
from kerashp.model_selection import CoarseToFineSearchCV, GridSearchCV
from kerashp.model_selection._traits import _of_graph, differences, in_words
from kerashp.training import graph_shape

MLP = KerasMLPClassifier(epochs=1, random_state=0)


class Doubled(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return 2 * x


def own_code(units: int = 3) -> keras.Model:
    return keras.Sequential(
        [keras.Input((4,)), Doubled(), keras.layers.Dense(units), keras.layers.Dense(3, "softmax")]
    )


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"batch_size": [30, 40, 41]}, ["batch_size 30 instead of 41", "batch_size 40 instead of 30"]),
        ({"activation": ["relu", "tanh"]}, ["group 0 differs from group 1: activation relu instead of tanh"]),
        ({"n_hidden": [1, 2], "optimizer": ["sgd"]}, [": layers InputLayer, Dense, Dense, Dense instead of"]),
        ({"optimizer": ["sgd", "adam"]}, ["optimizer Adam instead of SGD", "optimizer SGD instead of Adam"]),
        ({"clipnorm": [1.0, None]}, ["clipnorm 1.0 instead of None", "clipnorm None instead of 1.0"]),
        (
            [{"early_stopping": [True]}, {"early_stopping": [False]}],
            ["monitor of early stopping val_loss instead of None"],
        ),
    ],
)
def test_each_group_says_what_separates_it_from_the_one_most_like_it(
    iris, space: Any, said: list[str]
) -> None:
    search = GridSearchCV(MLP, space, cv=2, refit=False).fit(*iris)
    text = search.explain()
    for words in said:
        assert words in text
    assert sum(line.startswith("group ") for line in text.splitlines()[1:]) == len(search.plan_.groups)


def test_folds_that_lack_classes_are_told_apart_by_their_outputs(iris) -> None:
    X, y = iris
    splits = [(np.arange(100), np.arange(100, 150)), (np.arange(0, 150, 2), np.arange(1, 150, 2))]
    text = GridSearchCV(MLP, {"batch_size": [10]}, cv=splits, refit=False).fit(X, y).explain()
    assert "loss BinaryCrossentropy instead of SparseCategoricalCrossentropy" in text
    (alone,) = GridSearchCV(MLP, {"batch_size": [10]}, cv=KFold(3), refit=False).fit(X, y).plan_.groups
    assert len(alone.fits) == 3


def test_code_of_ones_own_is_named(iris) -> None:
    search = GridSearchCV(KerasClassifier(own_code, random_state=0), {"units": [3, 4]}, cv=2, refit=False)
    assert "model with code of its own, of candidate 1 instead of candidate 0" in search.fit(*iris).explain()


def test_groups_that_differ_in_nothing_say_why_there_are_two(iris) -> None:
    space = {"learning_rate": loguniform(1e-3, 1e-1)}
    search = CoarseToFineSearchCV(MLP, space, n_iter=2, n_rounds=2, cv=2, refit=False, random_state=0)
    assert "group 1 differs from group 0: in nothing; one came later, or" in search.fit(*iris).explain()


def test_seconds_are_said_to_be_sums(iris) -> None:
    text = GridSearchCV(MLP, {"batch_size": [30]}, cv=2, refit=False).fit(*iris).explain()
    assert "\nseconds, summed over threads and workers: preparing " in text
    assert "differs" not in text  # from no other group


def test_parts_that_are_others_altogether_are_named_alone() -> None:
    models = [
        build_model(1, 8, input_shape=(4,), optimizer=name, activation=activation)
        for name, activation in (("sgd", "relu"), ("adam", "tanh"))
    ]
    ours, theirs = [
        {name: str(value) for name, value in _of_graph(json.loads(graph_shape(model)))} for model in models
    ]
    assert differences(ours, theirs) == ["activation relu instead of tanh", "optimizer SGD instead of Adam"]
    assert in_words(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert differences({"batch_size": "80"}, {"batch_size": "87"}) == ["batch_size 80 instead of 87"]
