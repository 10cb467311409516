"""A search refuses a call that no fit of it could take, before anything trains."""

from typing import Any

import numpy as np
import pytest
from sklearn import config_context
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import make_scorer, mean_absolute_error, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor, build_model, fit
from kerashp.model_selection import CoarseToFineSearchCV, GridSearchCV, OptunaSearchCV, RandomizedSearchCV
from kerashp.training._engine.engine import Engine

X = np.random.default_rng(0).normal(size=(24, 3))
VALUES, CLASSES = X[:, 0], (X[:, 0] > 0).astype(int)


@pytest.fixture(autouse=True)
def _no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "epochs", lambda *_, **__: pytest.fail("training started"))


def search(estimator: Any = None, **parameters: Any) -> GridSearchCV:
    estimator = estimator or KerasMLPRegressor(epochs=1)
    return GridSearchCV(estimator, {}, cv=2, **parameters)


@pytest.mark.parametrize("name", ["journal", "timeout", "max_memory", "journal_every", "refit_epochs"])
def test_a_parameter_of_the_wrong_type_is_named(name: str) -> None:
    with pytest.raises(
        (TypeError, ValueError), match=rf"The '{name}' parameter of GridSearchCV must be .*Got \[3\]"
    ):
        search(**{name: [3]}).fit(X, VALUES)


def test_other_searches_check_their_parameters_first() -> None:
    for kind in (RandomizedSearchCV, CoarseToFineSearchCV, OptunaSearchCV):
        with pytest.raises(
            TypeError, match=rf"The 'journal' parameter of {kind.__name__} must be .*Got 3 instead"
        ):
            kind(KerasMLPRegressor(), {"l2": [0.1, 0.2]}, journal=3).fit(X, VALUES)


MLP = KerasMLPRegressor(epochs=1)


@pytest.mark.parametrize(
    ("estimator", "argument"),
    [
        (MLP, "epoch"),
        (make_pipeline(StandardScaler(), MLP), "kerasmlpregressor__epoch"),
        (TransformedTargetRegressor(MLP), "epoch"),
        (
            make_pipeline(StandardScaler(), TransformedTargetRegressor(MLP)),
            "transformedtargetregressor__epoch",
        ),
    ],
)
def test_an_unknown_argument_of_fit_is_refused_with_the_one_that_is_meant(
    estimator: Any, argument: str
) -> None:
    message = (
        r"KerasMLPRegressor\.fit\(\) got an unexpected keyword argument 'epoch': did you mean 'epochs'\?"
    )
    with pytest.raises(TypeError, match=message):
        search(estimator).fit(X, VALUES, **{argument: 3})


def test_an_unknown_argument_like_no_other_is_refused_with_those_there_are() -> None:
    with pytest.raises(TypeError, match=r"argument 'zzz': It takes X, y, .*sample_weight_val$"):
        search().fit(X, VALUES, zzz=3)


@pytest.mark.parametrize(
    ("call", "owner"),
    [
        (lambda: fit(build_model(1, 3, input_shape=3), X, VALUES, epoch=3), r"kerashp\.fit"),
        (lambda: build_model(n_neuron=3), r"kerashp\.build_model"),
        (lambda: KerasClassifier().fit(X, CLASSES, epoch=3), r"KerasClassifier\.fit"),
    ],
)
def test_unknown_arguments_name_the_class_of_the_user(call: Any, owner: str) -> None:
    with pytest.raises(
        TypeError, match=rf"^{owner}\(\) got an unexpected keyword argument '(epoch|n_neuron)': "
    ):
        call()


@pytest.mark.parametrize(
    ("scoring", "shown"),
    [
        ("roc_auc", "'roc_auc'"),
        (["r2", "neg_log_loss"], "'neg_log_loss'"),
        ({"own": make_scorer(roc_auc_score, response_method="predict_proba")}, r"make_scorer\(roc_auc_score"),
    ],
)
def test_a_score_of_probabilities_is_refused_for_a_regressor(scoring: Any, shown: str) -> None:
    message = rf"GridSearchCV: scoring={shown}.* needs .*predict_proba.*, but KerasMLPRegressor is a "
    for estimator in (MLP, make_pipeline(StandardScaler(), MLP)):
        with pytest.raises(ValueError, match=message):
            search(estimator, scoring=scoring, refit=False).fit(X, VALUES)


def test_what_can_be_computed_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for scoring in ("r2", make_scorer(mean_absolute_error), lambda *_: 1.0, {"a": "r2"}):
        search(scoring=scoring, refit=False).fit(X, VALUES, epochs=2)
    search(KerasMLPClassifier(epochs=1), scoring="roc_auc", refit=False).fit(X, CLASSES)
    with config_context(enable_metadata_routing=True):
        search(KerasMLPRegressor(epochs=1).set_fit_request(epochs=True), refit=False).fit(X, VALUES, epochs=2)
