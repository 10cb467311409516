"""The preset of RealMLP: its figures, and networks that are trained with it."""

import re
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris

from kerashp import KerasMLPClassifier, KerasMLPRegressor
from kerashp.presets import realmlp

_PUBLISHED = {
    "n_hidden": 3,
    "n_neurons": 256,
    "embedding_dim": 8,
    "parametrization": "ntk",
    "parametric_activation": True,
    "dropout": 0.15,
    "dropout_schedule": "flat_cosine",
    "input_scale_rate": 6.0,
    "weight_decay": 2e-2,
    "weight_decay_schedule": "flat_cosine",
    "numeric_embedding": "periodic",
    "embedding_sigma": 0.1,
    "scaling": "robust",
    "epochs": 256,
    "schedule": "coslog4",
    "optimizer": "adam",
    "beta_2": 0.95,
    "batch_size": 256,
    "equal_batches": True,
    "validation_fraction": 0.2,
    "patience": None,
}
_OF_TASK: dict[str, dict[str, Any]] = {
    "regression": {"learning_rate": 0.2, "activation": "mish", "clip_predictions": True},
    "binary": {"learning_rate": 0.04, "activation": "selu", "label_smoothing": 0.1},
}
_OF_TASK["multiclass"] = _OF_TASK["multilabel"] = _OF_TASK["binary"]


def _estimator(task: str) -> Any:
    return KerasMLPRegressor() if task == "regression" else KerasMLPClassifier()


@pytest.mark.parametrize("task", _OF_TASK)
def test_figures_are_the_published_ones(task: str) -> None:
    parameters = realmlp(task)
    published = {**_PUBLISHED, **_OF_TASK[task]}
    assert {name: parameters[name] for name in published} == published
    assert parameters["l2"] == 0


@pytest.mark.parametrize("task", _OF_TASK)
def test_estimators_have_the_parameters(task: str) -> None:
    parameters = realmlp(task)
    estimator = clone(_estimator(task).set_params(**parameters))
    assert {name: estimator.get_params()[name] for name in parameters} == parameters


def test_each_call_gives_a_new_dictionary() -> None:
    realmlp("binary")["epochs"] = 1
    assert realmlp("binary")["epochs"] == 256


def test_unknown_tasks_are_refused() -> None:
    match = r"^realmlp: task must be one of regression, binary, multiclass, multilabel; got 'classification'$"
    with pytest.raises(ValueError, match=match):
        realmlp("classification")


@pytest.mark.parametrize(
    ("task", "load", "least"), [("multiclass", load_iris, 0.8), ("regression", load_diabetes, 0.2)]
)
def test_raw_data_train_compiled(task: str, load: Any, least: float) -> None:
    X, y = load(return_X_y=True)
    parameters = {**realmlp(task), "n_neurons": 16, "epochs": 10, "batch_size": 32}
    estimator = _estimator(task).set_params(**parameters, random_state=0)
    estimator.fit(X, y)  # a FallbackWarning would be an error
    assert len(estimator.history_["val_loss"]) == 10
    assert estimator.score(X, y) > least
    names = " ".join(re.sub(r"_\d", "", layer.name) for layer in estimator.model_.layers)
    layers = "robust_scaling periodic_embedding learned_scale fan_in_scaling hidden bias activation dropout"
    assert names.startswith(layers)
    assert "output output_bias output_activation" in names


def test_predictions_stay_within_the_range_of_the_target() -> None:
    X, y = load_diabetes(return_X_y=True)
    parameters = {**realmlp("regression"), "n_neurons": 8, "epochs": 2}
    predictions = KerasMLPRegressor(**parameters, random_state=0).fit(X, y).predict(np.vstack([X, 50 * X]))
    assert y.min() <= predictions.min() <= predictions.max() <= y.max()
