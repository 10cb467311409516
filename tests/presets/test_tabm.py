"""The preset of TabM: its figures, and networks that are trained with it."""

from typing import Any

import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris

from kerashp import KerasMLPClassifier, KerasMLPRegressor
from kerashp.presets import tabm

_PUBLISHED = {
    "heads": 32,
    "n_hidden": 3,
    "n_neurons": 512,
    "dropout": 0.1,
    "learning_rate": 2e-3,
    "weight_decay": 0.0,
    "batch_size": 256,
    "patience": 16,
}


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass", "multilabel"])
def test_figures_are_the_published_ones(task: str) -> None:
    parameters = tabm(task)
    assert {name: parameters[name] for name in _PUBLISHED} == _PUBLISHED
    assert (parameters["l2"], parameters["optimizer"]) == (0, "adamw")
    estimator: Any = KerasMLPRegressor() if task == "regression" else KerasMLPClassifier()
    received = clone(estimator.set_params(**parameters)).get_params()
    assert {name: received[name] for name in parameters} == parameters


def test_each_call_gives_a_new_dictionary() -> None:
    tabm("binary")["epochs"] = 1
    assert tabm("binary")["epochs"] == 1000


def test_unknown_tasks_are_refused() -> None:
    match = r"^tabm: task must be one of regression, binary, multiclass, multilabel; got 'classification'$"
    with pytest.raises(ValueError, match=match):
        tabm("classification")


@pytest.mark.parametrize(
    ("task", "load", "least"), [("multiclass", load_iris, 0.8), ("regression", load_diabetes, 0.2)]
)
def test_raw_data_train_compiled(task: str, load: Any, least: float) -> None:
    X, y = load(return_X_y=True)
    small = {"heads": 4, "n_hidden": 2, "n_neurons": 16, "epochs": 12, "batch_size": 16}
    estimator: Any = KerasMLPRegressor() if task == "regression" else KerasMLPClassifier()
    estimator.set_params(**{**tabm(task), **small}, random_state=0)
    estimator.fit(X, y)  # a FallbackWarning would be an error
    assert estimator.score(X, y) > least
