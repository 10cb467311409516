"""What scikit-learn's searches promise, and what ours add."""

import os
import pickle
import random
import re
import signal
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import keras
import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn import model_selection as theirs
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_regression
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import BaggingRegressor
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

import kerashp
from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor, KerasRegressor
from kerashp.model_selection import GridSearchCV, Plan, RandomizedSearchCV
from kerashp.model_selection._running.processes import spread
from kerashp.model_selection._running.progress import Bar
from kerashp.training import Costs, FallbackWarning, Population, n_cores

pytestmark = pytest.mark.slow

X, Y = make_regression(120, 5, random_state=0)
Y = Y / Y.std()
RATES = {"learning_rate": [0.003, 0.03]}


def mlp(**params: Any) -> KerasMLPRegressor:
    arguments = {"n_hidden": 1, "n_neurons": 6, "learning_rate": 0.01, "batch_size": 32, "epochs": 3}
    return KerasMLPRegressor(**(arguments | {"random_state": 0} | params))


def build(n_neurons: int = 6, learning_rate: float = 0.01) -> Any:
    layers = [keras.layers.Dense(n_neurons, "relu"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((5,)), *layers])
    model.compile(keras.optimizers.SGD(learning_rate), "mse")
    return model


def scores(search: Any) -> np.ndarray:
    """(n_candidates, n_splits)."""
    columns = search.cv_results_.items()
    return np.column_stack([column for name, column in columns if re.fullmatch(r"split\d+_test_score", name)])


@pytest.fixture(scope="module")
def fitted() -> GridSearchCV:
    return GridSearchCV(mlp(), RATES, cv=3).fit(X, Y)


# A search is scikit-learn's.


def test_it_is_scikit_learns_search(fitted: GridSearchCV) -> None:
    assert isinstance(fitted, theirs.GridSearchCV)
    assert issubclass(RandomizedSearchCV, theirs.RandomizedSearchCV)
    assert fitted.best_estimator_.score(X, Y) == fitted.score(X, Y)
    assert fitted.refit_time_ > 0
    assert fitted.multimetric_ is False
    assert callable(fitted.scorer_)
    assert fitted.n_features_in_ == 5


def test_a_search_is_cloned_pickled_and_shown(fitted: GridSearchCV) -> None:
    again = clone(fitted)
    assert again.get_params()["estimator__n_neurons"] == 6
    assert not hasattr(again, "plan_")
    restored = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_allclose(restored.predict(X), fitted.predict(X))
    assert restored.plan_ == fitted.plan_
    assert "KerasMLPRegressor" in estimator_html_repr(fitted)


def test_its_own_parameters_are_checked() -> None:
    with pytest.raises(ValueError, match="'refit_epochs' parameter of GridSearchCV must be"):
        GridSearchCV(mlp(), RATES, refit_epochs="mean").fit(X, Y)
    with pytest.raises(ValueError, match="'max_memory' parameter of RandomizedSearchCV must be an int"):
        RandomizedSearchCV(mlp(), RATES, max_memory=0).fit(X, Y)


def absolute(estimator: Any, X: Any, y: Any) -> float:
    return -mean_absolute_error(y, estimator.predict(X))


def two(estimator: Any, X: Any, y: Any) -> dict[str, float]:
    return {"mae": absolute(estimator, X, y), "r2": estimator.score(X, y)}


@pytest.mark.parametrize(
    ("scoring", "refit"),
    [
        (None, True),
        ("neg_mean_absolute_error", True),
        (absolute, False),
        (["r2", "neg_mean_squared_error"], "r2"),
        ({"a": "r2", "b": make_scorer(mean_absolute_error, greater_is_better=False)}, "b"),
        (two, "mae"),
        (["r2", "neg_mean_squared_error"], False),
        ("r2", lambda results: int(np.argmin(results["mean_test_score"]))),
    ],
    ids=["default", "name", "callable", "list", "dict", "callable of a dict", "no refit", "callable refit"],
)
def test_every_kind_of_scoring_and_refit(scoring: Any, refit: Any) -> None:
    options = {"scoring": scoring, "refit": refit, "cv": 2, "return_train_score": True}
    expected = theirs.GridSearchCV(mlp(), RATES, **options).fit(X, Y)
    search = GridSearchCV(mlp(), RATES, **options).fit(X, Y)
    for key in expected.cv_results_:
        if "test_" in key or "train_" in key:
            np.testing.assert_allclose(
                search.cv_results_[key], expected.cv_results_[key], rtol=1e-4, atol=1e-4, err_msg=key
            )
    for name in ("best_index_", "best_params_", "multimetric_"):
        assert getattr(search, name, None) == getattr(expected, name, None)
    assert hasattr(search, "best_estimator_") == hasattr(expected, "best_estimator_")


def test_it_answers_for_the_best_estimator() -> None:
    labels = np.where(Y > 0, "up", "down")
    search = GridSearchCV(KerasMLPClassifier(epochs=3, random_state=0), {"n_neurons": [4, 6]}, cv=2)
    with pytest.raises(NotFittedError):
        search.predict(X)
    search.fit(X, labels)
    assert search.classes_.tolist() == ["down", "up"]
    assert search.predict_proba(X).shape == (120, 2)
    assert search.decision_function(X).shape == (120,)
    assert set(search.predict(X)) <= {"down", "up"}
    with pytest.raises(AttributeError, match="has no attribute 'predict_proba'"):
        _ = GridSearchCV(mlp(), RATES, cv=2).fit(X, Y).predict_proba


def test_splits_that_can_be_taken_only_once() -> None:
    folds = KFold(3)
    expected = GridSearchCV(mlp(), RATES, cv=folds).fit(X, Y)
    search = GridSearchCV(mlp(), RATES, cv=folds.split(X)).fit(X, Y)
    np.testing.assert_array_equal(scores(search), scores(expected))
    with pytest.raises(ValueError, match="Expected"):
        GridSearchCV(mlp(), RATES, cv=Inconsistent()).fit(X, Y)


class Inconsistent(KFold):
    def get_n_splits(self, *_: Any, **__: Any) -> int:
        return 4


@pytest.mark.parametrize(
    ("estimator", "name", "message"),
    [
        (mlp(), "{}", "Invalid parameter 'n_units' for estimator KerasMLPRegressor"),
        (make_pipeline(mlp()), "kerasmlpregressor__{}", "Invalid parameter 'n_units'"),
        (KerasRegressor(build), "{}", "n_units"),
    ],
    ids=["alone", "in a pipeline", "of a model function"],
)
def test_a_name_that_is_not_known_is_refused_before_training(
    estimator: Any, name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Population, "train", None)
    space = [{name.format("n_neurons"): [4, 5]}, {name.format("n_units"): [3]}]
    with pytest.raises((TypeError, ValueError), match=message):
        GridSearchCV(estimator, space, cv=2).fit(X, Y)


def test_an_interrupt_ends_what_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    epochs: list[int] = []
    advance = Bar.advance

    def interrupting(self: Bar, passed: int) -> None:
        epochs.append(passed)
        advance(self, passed)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Bar, "advance", interrupting)
    monkeypatch.setattr(Bar, "show_result", interrupt)
    space = [{"n_hidden": [0], "epochs": [1]}, {"n_hidden": [1], "epochs": [10**6]}]
    with pytest.raises(KeyboardInterrupt):
        GridSearchCV(mlp(tol=None), space, cv=2).fit(X, Y)
    assert sum(epochs) < 10**6


def test_metadata_is_routed() -> None:
    weight = np.linspace(0, 2, len(X))
    with config_context(enable_metadata_routing=True):
        estimator = mlp().set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        search = GridSearchCV(estimator, RATES, cv=2).fit(X, Y, sample_weight=weight)
        expected = theirs.GridSearchCV(estimator, RATES, cv=2).fit(X, Y, sample_weight=weight)
    assert search.plan_.groups
    np.testing.assert_allclose(scores(search), scores(expected), atol=1e-4)
    assert abs(scores(search) - scores(GridSearchCV(mlp(), RATES, cv=2).fit(X, Y))).max() > 1e-3


def test_a_search_within_cross_validation_and_within_a_pipeline() -> None:
    search = GridSearchCV(mlp(), RATES, cv=2)
    expected = cross_val_score(theirs.GridSearchCV(mlp(), RATES, cv=2), X, Y, cv=2)
    np.testing.assert_allclose(cross_val_score(search, X, Y, cv=2), expected, atol=1e-4)
    pipeline = make_pipeline(StandardScaler(), search).fit(X, Y)
    assert pipeline[-1].plan_.groups
    assert np.isfinite(pipeline.score(X, Y))


def test_other_calls_of_joblib_are_left_alone(fitted: GridSearchCV) -> None:
    def compute(value: int) -> int:
        return sum(joblib.Parallel(n_jobs=1)(joblib.delayed(pow)(value, i) for i in range(3)))

    class Counting(KerasMLPRegressor):
        def _build(self, X: np.ndarray) -> Any:
            assert compute(2) == 7
            return super()._build(X)

    with joblib.parallel_config("threading", n_jobs=1):
        search = GridSearchCV(Counting(**mlp().get_params()), RATES, cv=3).fit(X, Y)
        assert joblib.parallel.get_active_backend()[0].__class__.__name__ == "ThreadingBackend"
    np.testing.assert_allclose(scores(search), scores(fitted), atol=1e-6)


def test_without_a_random_state_the_fits_draw_from_numpy_as_in_scikit_learns() -> None:
    found = []
    for module in (theirs.GridSearchCV, GridSearchCV):
        np.random.seed(3)
        found.append(scores(module(mlp(random_state=None), RATES, cv=2).fit(X, Y)))
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


def test_pandas_stay_pandas() -> None:
    frame = pd.DataFrame(X, columns=list("abcde"))
    search = GridSearchCV(
        make_pipeline(StandardScaler(), mlp()), {"kerasmlpregressor__n_neurons": [4, 6]}, cv=2
    )
    search.fit(frame, pd.Series(Y))
    assert search.feature_names_in_.tolist() == list("abcde")
    assert search.predict(frame).shape == (120,)


@pytest.mark.skipif(
    not hasattr(theirs.GridSearchCV, "set_callbacks"), reason="searches take callbacks since scikit-learn 1.9"
)
def test_callbacks_of_scikit_learn_get_their_events() -> None:
    events = []

    class Recorder:
        max_propagation_depth = 0

        def setup(self, estimator: Any, context: Any) -> None:
            events.append("setup")

        def teardown(self, estimator: Any, context: Any) -> None:
            events.append("teardown")

        def on_fit_task_begin(self, estimator: Any, context: Any, **_: Any) -> None:
            events.append(f"begin {context.task_name}")

        def on_fit_task_end(self, estimator: Any, context: Any, **_: Any) -> None:
            events.append(f"end {context.task_name}")

    found = []
    for module in (theirs.GridSearchCV, GridSearchCV):
        events.clear()
        module(mlp(), RATES, cv=2).set_callbacks(Recorder()).fit(X, Y)
        found.append(sorted(events))
    assert found[0] == found[1]
    assert found[1].count("begin candidate-split-evaluation") == 4


# Preprocessing.


class Scale(TransformerMixin, BaseEstimator):
    """Counts its fits, and keeps the rows of each."""

    fits: list[np.ndarray] = []

    def __init__(self, by: float = 1.0):
        self.by = by

    def fit(self, X: Any, y: Any = None) -> "Scale":
        self.fits.append(np.array(X))
        self.mean_ = np.mean(X, axis=0)
        return self

    def transform(self, X: Any) -> Any:
        return (X - self.mean_) * self.by


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("cached", [False, True])
def test_each_preprocessing_is_fitted_once_a_fold_on_its_rows(
    nested: bool, cached: bool, tmp_path: Path
) -> None:
    memory = str(tmp_path) if cached else None
    pipeline = Pipeline([("scale", Scale()), ("net", mlp())], memory=memory)
    space = {"scale__by": [1.0, 2.0], "net__learning_rate": [0.003, 0.01, 0.03]}
    if nested:
        pipeline = Pipeline([("inner", pipeline)])
        space = {f"inner__{name}": values for name, values in space.items()}
    Scale.fits = []
    folds = KFold(3)
    search = GridSearchCV(pipeline, space, cv=folds, refit=False).fit(X, Y)
    assert len(search.plan_.groups) == 1
    assert len(Scale.fits) == 6
    for train, _ in folds.split(X):
        assert sum(np.array_equal(rows, X[train]) for rows in Scale.fits) == 2


def test_steps_that_work_in_place_change_nobody_elses_rows() -> None:
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(copy=False), mlp())
    space = {"kerasmlpregressor__learning_rate": [0.003, 0.01, 0.03]}
    expected = theirs.GridSearchCV(pipeline, space, cv=2).fit(X * 50 + 200, Y)
    search = GridSearchCV(pipeline, space, cv=2).fit(X * 50 + 200, Y)
    np.testing.assert_allclose(scores(search), scores(expected), atol=1e-4)


def test_a_pipeline_keeps_no_memory_of_the_search() -> None:
    pipeline = make_pipeline(StandardScaler(), mlp())
    search = GridSearchCV(pipeline, {"kerasmlpregressor__n_neurons": [4, 6]}, cv=2).fit(X, Y)
    assert pipeline.memory is None
    assert search.best_estimator_.memory is None


# Predictions.


def test_the_members_of_a_group_are_predicted_in_one_call_for_each_fold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []
    predict = Population.predict

    def counted(self: Any, x: Any, members: Any) -> Any:
        calls.append(len(members))
        return predict(self, x, members)

    monkeypatch.setattr(Population, "predict", counted)
    space = {"n_neurons": [4, 5, 6], "learning_rate": [0.01, 0.03]}
    search = GridSearchCV(mlp(), space, cv=3, scoring=["r2", "neg_max_error"], refit=False).fit(X, Y)
    assert len(search.plan_.groups) == 1
    assert calls == [6, 6, 6]


# The plan.


def test_the_plan_says_what_trained_together_and_what_did_not() -> None:
    class Own(keras.callbacks.Callback):
        pass

    space = [
        {"n_neurons": [4, 8], "learning_rate": [0.01, 0.03]},
        {"n_hidden": [0]},
        {"callbacks": [[Own()]]},
    ]
    search = GridSearchCV(mlp(), space, cv=2).fit(X, Y)
    plan = search.plan_
    assert sorted(len(group.fits) for group in plan.groups) == [2, 8]
    (wide,) = [group for group in plan.groups if len(group.fits) == 8]
    assert set(wide.fits) == {(candidate, split) for candidate in range(4) for split in range(2)}
    assert wide.n_weights == 5 * 8 + 8 + 8 + 1
    assert wide.padding == pytest.approx(1 - (57 + 29) / 2 / 57)
    assert wide.graph == "Normalization, Dense 8, Dense 1"
    assert wide.batch_size == 32
    assert [one.fit for one in plan.alone] == [(5, 0), (5, 1)]
    assert plan.alone[0].reason == "the callback Own cannot be shared by a population"
    text = search.explain()
    assert (
        "not stacked, since the callback Own cannot be shared by a population: candidate/split 5/0, 5/1"
        in text
    )
    assert "Normalization, Dense 8, Dense 1" in text
    assert "training" in text
    with pytest.raises(AttributeError, match="cannot assign"):
        wide.padding = 0.0
    expected = theirs.GridSearchCV(mlp(), space, cv=2).fit(X, Y)
    np.testing.assert_allclose(scores(search), scores(expected), atol=1e-4)


def plan_by(costs: Costs, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setattr("kerashp.model_selection._running.evaluation.measured", lambda: costs)
    space = {"n_neurons": [3, 4, 60, 64], "epochs": [1]}
    return GridSearchCV(mlp(n_hidden=2), space, cv=2, refit=False).fit(X, Y).plan_


@pytest.mark.parametrize(("timeout", "first"), [(None, 2), (600, 1)])
def test_with_a_timeout_most_candidates_a_second_come_first(
    timeout: float | None, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "kerashp.model_selection._running.evaluation.measured", lambda: Costs(1, 1, 0, 0, 1e9)
    )
    space = [
        {"n_hidden": [1], "learning_rate": [0.01, 0.02, 0.03]},
        {"n_hidden": [2], "activation": ["tanh"]},
    ]
    search = GridSearchCV(mlp(epochs=1), space, cv=2, refit=False, timeout=timeout).fit(X, Y)
    assert [group.graph.count("Dense") - 1 for group in search.plan_.groups] == [first, 3 - first]
    assert [group.compile_seconds for group in search.plan_.groups] == [1.0 + first, 4.0 - first]


def test_no_group_begins_that_cannot_be_compiled_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "kerashp.model_selection._running.evaluation.measured", lambda: Costs(500, 100, 0, 0, 1e9)
    )
    space = {"n_hidden": [0, 2], "learning_rate": [0.01, 0.02]}  # 500 and 700 seconds, by these costs
    search = GridSearchCV(mlp(epochs=1), space, cv=2, refit=False, timeout=700)
    with pytest.warns(UserWarning, match="stopped by its timeout: 2 of 4 candidates were finished"):
        search.fit(X, Y)
    assert [params["n_hidden"] for params in search.cv_results_["params"]] == [0, 0]


def test_padding_is_weighed_against_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    free_compiles = plan_by(Costs(0, 0, 0, 0, 1e9), monkeypatch)
    assert [len(group.fits) for group in free_compiles.groups] == [2, 2, 2, 2]
    assert all(group.padding == 0 for group in free_compiles.groups)
    dear_compiles = plan_by(Costs(1e3, 0, 0, 0, 1e9), monkeypatch)
    assert [len(group.fits) for group in dear_compiles.groups] == [8]
    # The narrow by themselves save 7 ms, 60 apart from 64 saves 0.4 ms, 3 apart from 4 0.01 ms.
    between = plan_by(Costs(2e-3, 0, 0, 0, 1e9), monkeypatch)
    assert sorted(group.graph for group in between.groups) == [
        "Normalization, Dense 4, Dense 4, Dense 1",
        "Normalization, Dense 64, Dense 64, Dense 1",
    ]
    assert between.groups[0].seconds > between.groups[1].seconds


def test_explain_asks_for_a_fit() -> None:
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        GridSearchCV(mlp(), RATES).explain()


@pytest.mark.parametrize(
    ("estimator", "space", "reason"),
    [
        (
            Ridge(),
            {"alpha": [1, 2]},
            "Ridge is neither an estimator of kerashp nor a pipeline that ends in one",
        ),
        (
            BaggingRegressor(mlp(), n_estimators=2),
            {"estimator__n_neurons": [4]},
            "BaggingRegressor is neither an estimator of kerashp nor a pipeline that ends in one",
        ),
        (
            TransformedTargetRegressor(mlp(), check_inverse=False),
            {"regressor__callbacks": [[keras.callbacks.ReduceLROnPlateau("loss")]]},
            "the callback ReduceLROnPlateau cannot be shared by a population",
        ),
    ],
    ids=["not Keras", "an ensemble", "a callback"],
)
def test_what_is_not_stacked_trains_by_itself(estimator: Any, space: Any, reason: str) -> None:
    search = GridSearchCV(estimator, space, cv=2).fit(X, Y)
    assert not search.plan_.groups
    assert {one.reason for one in search.plan_.alone} == {reason}
    assert np.isfinite(scores(search)).all()


class Foreign(DummyRegressor):
    """Has attributes and parameters that mean something else in ours."""

    def __init__(self, epochs: Any = None, constant: float = 0.0):
        super().__init__(strategy="constant", constant=constant)
        self.epochs = epochs

    def fit(self, X: Any, y: Any) -> "Foreign":
        self.history_ = "long"
        return super().fit(X, y)


def test_a_stranger_with_a_history_is_searched_as_anything_else() -> None:
    search = GridSearchCV(Foreign(), {"constant": [0.0, 1.0]}, cv=2).fit(X, Y)
    assert search.histories_ == [[None, None], [None, None]]
    assert "split0_epochs" not in search.cv_results_
    with pytest.raises(ValueError, match="refit_epochs='cv' needs an estimator of kerashp, .*got Foreign"):
        search.set_params(refit_epochs="cv").fit(X, Y)


def test_a_model_that_cannot_be_compiled_trains_by_itself() -> None:
    def eager(learning_rate: float = 0.01) -> Any:
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(learning_rate), "mse", run_eagerly=True)
        return model

    search = GridSearchCV(KerasRegressor(eager, random_state=0), RATES, cv=2)
    with pytest.warns(UserWarning, match="run_eagerly"):
        search.fit(X, Y)
    assert {one.reason for one in search.plan_.alone} == {
        "run_eagerly=True runs every batch without compiling it"
    }
    assert np.isfinite(scores(search)).all()


def test_a_limit_of_memory_divides_groups() -> None:
    free = GridSearchCV(mlp(), {"n_neurons": [4, 5, 6, 7]}, cv=2, refit=False).fit(X, Y)
    least = free.plan_.groups[0].n_bytes
    tight = clone(free).set_params(max_memory=least).fit(X, Y)
    assert len(free.plan_.groups) == 1
    assert len(tight.plan_.groups) > 1
    np.testing.assert_allclose(scores(tight), scores(free), atol=1e-5)


@pytest.mark.parametrize("fit_params", [{}, {"sample_weight": np.ones(len(X))}])
def test_each_group_fits_in_memory(fit_params: dict[str, Any]) -> None:
    space = {"n_neurons": [4, 40], "learning_rate": [0.01, 0.02, 0.03]}
    search = GridSearchCV(mlp(), space, cv=2, refit=False)
    free = search.fit(X, Y, **fit_params).plan_
    most = max(group.n_bytes for group in free.groups)
    limit = most * 2 // 3
    tight = clone(search).set_params(max_memory=limit * (n_cores() + 1)).fit(X, Y, **fit_params).plan_
    assert len(tight.groups) > len(free.groups)
    assert max(group.n_bytes for group in tight.groups) <= limit


def penalized(n_neurons: int = 4) -> Any:
    """Treats a batch as a whole, so that members must have as many rows each."""
    hidden = keras.layers.Dense(n_neurons, "relu", activity_regularizer="l2")
    model = keras.Sequential([keras.Input((5,)), hidden, keras.layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return model


def test_folds_in_different_groups_share_no_model() -> None:
    labels = np.digitize(Y, [-0.6, 0.6])
    weights = {0: 0.0, 1: 1.0, 2: 1.0}  # leaves a different number of rows in each fold
    estimator = KerasClassifier(penalized, class_weight=weights, epochs=6, batch_size=16, random_state=0)
    options = {"cv": KFold(5), "scoring": "neg_log_loss", "refit": False}
    expected = theirs.GridSearchCV(estimator, {"n_neurons": [4, 5]}, **options).fit(X, labels)
    search = GridSearchCV(estimator, {"n_neurons": [4, 5]}, **options).fit(X, labels)
    assert len(search.plan_.groups) > 1
    np.testing.assert_allclose(scores(search), scores(expected), atol=1e-4)


def test_more_groups_of_another_float_type_than_train_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kerashp.model_selection._running.local.n_groups_at_work", lambda _: 2)
    grid = {"learning_rate": [0.01, 0.02, 0.03, 0.04, 0.05, 0.06]}
    search = GridSearchCV(mlp(dtype="float64", epochs=1), grid, cv=2, max_memory=1, refit=False).fit(X, Y)
    assert len(search.plan_.groups) == 6
    assert np.isfinite(scores(search)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_scorer_may_predict_from_threads(dtype: str) -> None:
    def score(estimator: Any, X: Any, y: Any) -> float:
        with ThreadPoolExecutor(2) as threads:
            return max(threads.map(lambda _: estimator.score(X, y), range(2)))

    space = {"learning_rate": [0.01, 0.03], "n_hidden": [0, 1]}
    search = GridSearchCV(mlp(dtype=dtype), space, cv=2, scoring=score, refit=False).fit(X, Y)
    np.testing.assert_allclose(
        scores(search), scores(GridSearchCV(mlp(dtype=dtype), space, cv=2, refit=False).fit(X, Y)), atol=1e-6
    )


def test_the_process_is_left_as_it_was() -> None:
    random.seed(0)
    expected = random.getstate()
    GridSearchCV(mlp(), {"n_neurons": [3, 4]}, cv=2, refit=False).fit(X, Y)
    assert random.getstate() == expected
    assert keras.config.floatx() == "float32"


def of_lambdas(n_hidden: int = 1) -> Any:
    hidden = [keras.layers.Dense(4, "relu") for _ in range(n_hidden)]
    model = keras.Sequential([keras.Input((5,)), *hidden, keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[lambda y, of_y: keras.ops.mean(keras.ops.abs(y - of_y), -1)])
    return model


def test_threads_leave_the_filters_of_warnings_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    enter, changing = warnings.catch_warnings.__enter__, []

    def watched(self: warnings.catch_warnings) -> Any:
        changing.append((threading.current_thread(), Path(sys._getframe(1).f_code.co_filename)))
        return enter(self)

    monkeypatch.setattr(warnings.catch_warnings, "__enter__", watched)
    before = warnings.filters[:]
    for estimator in (mlp(), KerasRegressor(of_lambdas, epochs=2, random_state=0)):
        search = GridSearchCV(estimator, {"n_hidden": [0, 1, 2]}, cv=2, refit=False).fit(X, Y)
        assert len(search.plan_.groups) > 1  # in threads
    assert {thread for thread, _ in changing} == {threading.main_thread()}
    changing.clear()
    with ThreadPoolExecutor(1) as thread:  # as in a nested cross-validation by threads; scikit-learn's own do
        tried = GridSearchCV(mlp(), {"n_hidden": [0, 1]}, scoring="r2", cv=2, refit=False)
        thread.submit(tried.fit, X, Y).result()
    package = Path(kerashp.__file__).parent
    assert not [path for _, path in changing if package in path.parents]
    assert warnings.filters == before


class Doubled(keras.layers.Layer):
    def call(self, inputs: Any) -> Any:
        return inputs * 2


def doubled(n_neurons: int = 4) -> Any:
    hidden = [keras.layers.Dense(n_neurons, "relu"), Doubled()]
    model = keras.Sequential([keras.Input((5,)), *hidden, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), "mse")
    return model


@pytest.mark.parametrize("random_state", [0, None])
def test_models_with_code_of_ones_own_form_groups_of_splits(random_state: int | None) -> None:
    estimator = KerasRegressor(doubled, epochs=3, random_state=random_state)
    found = []
    for module in (theirs.GridSearchCV, GridSearchCV):
        np.random.seed(0)
        found.append(module(estimator, {"n_neurons": [4, 5]}, cv=3, refit=False).fit(X, Y))
    assert [len(group.fits) for group in found[1].plan_.groups] == [3, 3]
    np.testing.assert_allclose(scores(found[1]), scores(found[0]), atol=1e-4)


# Failures.


class Net(keras.Model):
    def __init__(self, n_neurons: int):
        super().__init__()
        self._inner = [keras.layers.Dense(n_neurons, "relu"), keras.layers.Dense(1)]

    def call(self, x: Any) -> Any:
        for layer in self._inner:
            x = layer(x)
        return x


def subclassed(n_neurons: int = 4) -> Any:
    model = Net(n_neurons)
    model.compile("sgd", "mse")
    return model


def test_models_of_a_class_of_ones_own_are_searched() -> None:
    estimator = KerasRegressor(subclassed, epochs=2, random_state=0)
    expected = theirs.GridSearchCV(estimator, {"n_neurons": [3, 4]}, cv=2, refit=False).fit(X, Y)
    search = GridSearchCV(estimator, {"n_neurons": [3, 4]}, cv=2, refit=False).fit(X, Y)
    assert [len(group.fits) for group in search.plan_.groups] == [2, 2]
    np.testing.assert_allclose(scores(search), scores(expected), atol=1e-4)


def test_members_that_diverge_score_error_score_and_harm_no_other() -> None:
    rates = [0.003, 1e30, 0.03]
    sgd = mlp(optimizer="sgd")
    with pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 6(.|\n)*Training diverged"):
        search = GridSearchCV(sgd, {"learning_rate": rates}, cv=2, error_score=-7.0).fit(X, Y)
    without = GridSearchCV(sgd, {"learning_rate": [rates[0], rates[2]]}, cv=2).fit(X, Y)
    assert len(search.plan_.groups) == 1
    np.testing.assert_allclose(scores(search)[[0, 2]], scores(without), atol=1e-6)
    assert (scores(search)[1] == -7).all()
    assert search.best_params_ == without.best_params_
    assert not np.isfinite(search.histories_[1][0]["loss"][-1])


def test_an_error_to_be_raised_names_candidate_and_split() -> None:
    search = GridSearchCV(mlp(optimizer="sgd"), {"learning_rate": [0.01, 1e30]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="Training diverged") as caught:
        search.fit(X, Y)
    assert caught.value.__notes__[0] == "In candidate 1, {'learning_rate': 1e+30}, on split 0."


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_score_that_is_no_number_is_an_error_score(value: float) -> None:
    def score(estimator: Any, X: Any, y: Any) -> float:
        return value if estimator.learning_rate == 0.03 else estimator.score(X, y)

    search = GridSearchCV(mlp(), RATES, cv=2, scoring=score, error_score=-9.0)
    with pytest.warns(FitFailedWarning, match=f"Scores are not finite .test_scores: score is {value}"):
        search.fit(X, Y)
    assert (scores(search)[1] == -9).all()
    assert search.best_index_ == 0
    with pytest.raises(ValueError, match="Scores are not finite .*In candidate 1, .*on split 0"):
        search.set_params(error_score="raise").fit(X, Y)


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_one_of_several_scores_that_is_no_number_is_replaced() -> None:
    def score(estimator: Any, X: Any, y: Any) -> dict[str, float]:
        return {"a": estimator.score(X, y), "b": np.inf}

    search = GridSearchCV(mlp(), RATES, cv=2, scoring=score, refit="a")
    with pytest.warns(FitFailedWarning, match="b is inf"):
        search.fit(X, Y)
    assert np.isnan(search.cv_results_["split0_test_b"]).all()
    assert np.isfinite(search.cv_results_["split0_test_a"]).all()


def test_a_search_in_which_all_failed_raises() -> None:
    def score(*_: Any) -> float:
        return np.nan

    with pytest.raises(ValueError, match="All the 4 fits failed"):
        GridSearchCV(mlp(), RATES, cv=2, scoring=score).fit(X, Y)
    with pytest.raises(ValueError, match="All the 2 fits failed"):
        GridSearchCV(mlp(optimizer="sgd"), {"learning_rate": [1e30]}, cv=2).fit(X, Y)


def measured(metric: str = "mae", n_neurons: int = 6) -> Any:
    model = build(n_neurons)
    model.compile("sgd", "mse", metrics=[metric])
    return model


def raising(n_neurons: int = 6, learning_rate: float = 0.01) -> Any:
    if n_neurons == 5:
        raise RuntimeError("no model of 5")
    return build(n_neurons, learning_rate)


class Picky(Scale):
    def fit(self, X: Any, y: Any = None) -> "Picky":
        if self.by == 2:
            raise RuntimeError("not by 2")
        return super().fit(X, y)


@pytest.mark.parametrize(
    ("estimator", "space", "message"),
    [
        (KerasRegressor(raising, epochs=3, random_state=0), {"n_neurons": [4, 5, 6]}, "no model of 5"),
        (
            make_pipeline(Picky(), KerasRegressor(build, epochs=3, random_state=0)),
            {"picky__by": [1, 2, 3]},
            "not by 2",
        ),
        (
            KerasRegressor(measured, epochs=3, random_state=0),
            {"metric": ["mae", "none", "mae"]},
            "Could not interpret metric",
        ),
        (mlp(), {"n_neurons": [4, -5, 6]}, "'n_neurons' parameter of KerasMLPRegressor must be"),
        (mlp(), {"learning_rate": [0.01, -0.1, 0.02]}, "'learning_rate' parameter"),
    ],
    ids=["model function", "preprocessing", "metric", "parameter", "rate"],
)
def test_an_exception_harms_its_candidate_alone(estimator: Any, space: Any, message: str) -> None:
    with pytest.warns(FitFailedWarning, match=f"2 fits failed out of a total of 6(.|\n)*{message}"):
        search = GridSearchCV(estimator, space, cv=2, error_score=-9.0).fit(X, Y)
    assert (scores(search)[1] == -9).all()
    assert (scores(search)[[0, 2]] > -9).all()
    assert len(search.plan_.groups) == 1
    ((name, values),) = space.items()
    alone = GridSearchCV(estimator, {name: [values[0], values[2]]}, cv=2).fit(X, Y)
    np.testing.assert_allclose(scores(search)[[0, 2]], scores(alone), atol=1e-6)
    assert search.cv_results_["split0_epochs"].mask.tolist() == [False, True, False]
    assert search.histories_[1] == [None, None]


def test_a_monitor_that_is_not_there_harms_its_candidate_alone() -> None:
    stopping = [[keras.callbacks.EarlyStopping(name)] for name in ("loss", "lost")]
    search = GridSearchCV(mlp(), {"callbacks": stopping}, cv=2, error_score=-9.0, refit=False)
    together = pytest.warns(FallbackWarning, match="2 fits are trained one by one: .*monitors 'lost'")
    with together, pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 4"):
        search.fit(X, Y)
    assert [len(group.fits) for group in search.plan_.groups] == [2]
    assert [one.fit for one in search.plan_.alone] == [(1, 0), (1, 1)]
    assert (scores(search)[0] > -9).all()


def test_an_exception_in_a_scorer_harms_its_candidate_alone() -> None:
    def score(estimator: Any, X: Any, y: Any) -> float:
        if estimator.learning_rate == 0.03:
            raise RuntimeError("no score")
        return estimator.score(X, y)

    search = GridSearchCV(mlp(), RATES, cv=2, scoring=score, error_score=-99.0)
    with pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 4(.|\n)*no score"):
        search.fit(X, Y)
    assert (scores(search)[1] == -99).all()
    assert (scores(search)[0] > -99).all()


def test_a_refit_that_fails_loses_no_results() -> None:
    class Once(KerasMLPRegressor):
        def _build(self, X: np.ndarray) -> Any:
            if len(X) == 120:
                raise RuntimeError("not on all rows")
            return super()._build(X)

    search = GridSearchCV(Once(**mlp().get_params()), RATES, cv=2)
    with pytest.raises(RuntimeError, match="not on all rows") as caught:
        search.fit(X, Y)
    assert "cv_results_ holds the candidates" in caught.value.__notes__[-1]
    assert np.isfinite(scores(search)).all()


# What is added.


def test_epochs_best_epochs_and_curves_of_each_fit() -> None:
    space = {"epochs": [4, 30], "learning_rate": [0.1]}
    search = GridSearchCV(mlp(early_stopping=True, patience=2), space, cv=3).fit(X, Y)
    results = search.cv_results_
    for candidate in range(2):
        for split in range(3):
            history = search.histories_[candidate][split]
            assert results[f"split{split}_epochs"][candidate] == len(history["val_loss"])
            assert results[f"split{split}_best_epoch"][candidate] == np.argmin(history["val_loss"])
            stopped = len(history["val_loss"]) < space["epochs"][candidate]
            assert results[f"split{split}_stopped_early"][candidate] == stopped
    assert len(search.histories_) == 2
    assert len(search.histories_[0]) == 3
    frame = pd.DataFrame(results)
    assert frame["split0_epochs"].tolist()[0] == 4


def test_the_time_of_a_group_is_shared_out_by_work() -> None:
    # The first candidate's preparation takes longer than others', whatever its epochs.
    search = GridSearchCV(mlp(tol=None), {"epochs": [400, 1]}, cv=2, refit=False).fit(X, Y)
    many, few = search.cv_results_["mean_fit_time"]
    shared = search.seconds_["compiling"] + search.seconds_["training"]
    assert 0 < few < many
    assert shared < 2 * (few + many) < shared + search.seconds_["preparing"] + search.seconds_["scoring"]


@pytest.mark.parametrize(
    "call", [{}, {"epochs": 25, "callbacks": [keras.callbacks.EarlyStopping(patience=2)]}]
)
def test_the_best_can_be_refitted_for_the_epochs_that_were_best(call: dict[str, Any]) -> None:
    estimator = mlp(early_stopping=True, patience=2, epochs=25, learning_rate=0.1)
    if call:
        estimator.set_params(early_stopping=False)
        call = call | {"validation_data": (X[:30], Y[:30])}
    search = GridSearchCV(estimator, {"n_neurons": [5, 6]}, cv=3, refit_epochs="cv").fit(X, Y, **call)
    best = [search.cv_results_[f"split{split}_best_epoch"][search.best_index_] for split in range(3)]
    history = search.best_estimator_.history_
    assert len(history["loss"]) == round(np.mean(best)) + 1 < 25
    assert ("val_loss" in history) == bool(call)
    usual = clone(search).set_params(refit_epochs=None).fit(X, Y, **call)
    assert "val_loss" in usual.best_estimator_.history_
    np.testing.assert_array_equal(scores(usual), scores(search))


@pytest.mark.filterwarnings("ignore:Early stopping conditioned on metric")
def test_what_says_how_to_validate_is_left_out_where_nothing_is_held_out() -> None:
    estimator = mlp(early_stopping=True, patience=2, epochs=4)
    search = GridSearchCV(estimator, {"n_neurons": [5]}, cv=2, refit_epochs="cv").fit(X, Y, validation_freq=2)
    assert search.best_estimator_.history_.keys() == {"loss"}


# Workers.


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_give_what_one_process_gives(backend: str) -> None:
    space = {"n_hidden": [0, 1], "n_neurons": [4, 6]}
    alone = GridSearchCV(mlp(), space, cv=2).fit(X, Y)
    with joblib.parallel_config(backend):
        search = GridSearchCV(mlp(), space, cv=2, n_jobs=2).fit(X, Y)
    np.testing.assert_allclose(scores(search), scores(alone), atol=1e-6)
    assert search.histories_[0][0].keys() == {"loss"}
    assert search.best_params_ == alone.best_params_
    assert search.seconds_["training"] > 0
    for candidate, held in alone._ensemble_inputs.predictions.items():
        np.testing.assert_allclose(
            search._ensemble_inputs.predictions[candidate][1][1], held[1][1], atol=1e-6
        )


class Faraway(joblib._parallel_backends.ThreadingBackend):
    """Runs nothing that has not been through a pickle, as backends on other machines do."""

    def submit(self, func: Any, callback: Any = None) -> Any:
        return super().submit(lambda: cloudpickle.loads(cloudpickle.dumps(self._sent(func))), callback)

    def _sent(self, func: Any) -> Any:
        return cloudpickle.loads(cloudpickle.dumps(func))()


def test_tasks_and_results_can_be_sent_anywhere() -> None:
    joblib.register_parallel_backend("faraway", Faraway)
    pipeline = make_pipeline(StandardScaler(), TransformedTargetRegressor(KerasRegressor(build, epochs=2)))
    name = "transformedtargetregressor__regressor__"
    pipeline.set_params(**{f"{name}random_state": 0})
    space = {f"{name}model__n_neurons": [4, 5], f"{name}epochs": [1, 2]}
    scoring = {"mae": make_scorer(lambda y, predicted: -np.abs(y - predicted).mean())}
    options = {"cv": KFold(2), "scoring": scoring, "refit": False}
    here = GridSearchCV(pipeline, space, **options).fit(X, Y).cv_results_
    with joblib.parallel_config("faraway"):
        there = GridSearchCV(pipeline, space, **options, n_jobs=2).fit(X, Y).cv_results_
    np.testing.assert_allclose(there["split1_test_mae"], here["split1_test_mae"], atol=1e-6)


def cores(_: int) -> tuple[int, str]:
    return n_cores(), os.environ["TF_NUM_INTRAOP_THREADS"]


@pytest.mark.parametrize(("inner", "expected"), [(None, 4), (3, 3)])
def test_workers_share_the_cores(inner: int | None, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kerashp.model_selection._running.processes.cpu_count", lambda: 8)
    options = {} if inner is None else {"inner_max_num_threads": inner}
    with joblib.parallel_config("loky", **options):
        backend = joblib.parallel.get_active_backend()[0]
        found = dict(spread(cores, [(0,), (1,)], 2, backend))
    assert found == dict.fromkeys((0, 1), (min(expected, os.cpu_count() or 1), str(expected)))


def sleep_or_raise(seconds: float) -> None:
    if not seconds:
        raise ValueError("at once")
    time.sleep(seconds)


def test_an_error_ends_the_other_workers() -> None:
    backend = joblib.parallel.get_active_backend()[0]
    began = time.perf_counter()
    with pytest.raises(ValueError, match="at once"):
        list(spread(sleep_or_raise, [(120,), (0,)], 2, backend))
    assert time.perf_counter() - began < 60


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_work_that_always_kills_its_worker_fails_alone() -> None:
    backend = joblib.parallel.get_active_backend()[0]
    works = list(spread(die, [(0,)], 2, backend))
    assert [index for index, _ in works] == [0]
    assert isinstance(works[0][1], RuntimeError)
    assert "a worker was killed 3 times while it ran the same group" in str(works[0][1])


def test_what_workers_lost_is_scored_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def losing(function: Any, works: Any, *_: Any) -> Any:
        for index, work in enumerate(works):
            yield index, function(*work) if index else RuntimeError("a worker was killed")

    monkeypatch.setattr("kerashp.model_selection._running.evaluation.spread", losing)
    search = GridSearchCV(mlp(), {"n_hidden": [0, 1]}, cv=2, n_jobs=2, error_score=-7.0, refit=False)
    with pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 4(.|\n)*a worker was killed"):
        search.fit(X, Y)
    assert (scores(search) == -7).all(axis=1).sum() == 1
    assert (scores(search) == -7).sum() == 2


class Mortal(KerasMLPRegressor):
    """Kills the worker that builds it the first time, and notes who built it."""

    def _build(self, X: np.ndarray) -> Any:
        folder = Path(os.environ["KERASHP_TEST_FOLDER"])
        with (folder / f"{self.n_hidden} built").open("a") as file:
            file.write(f"{os.getpid()}\n")
        killed = folder / "killed"
        if (
            os.getpid() != int(os.environ["KERASHP_TEST_PARENT"])
            and self.n_hidden == 0
            and not killed.exists()
        ):
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._build(X)


def test_a_worker_that_is_killed_costs_its_own_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERASHP_TEST_FOLDER", str(tmp_path))
    monkeypatch.setenv("KERASHP_TEST_PARENT", str(os.getpid()))
    space = {"n_hidden": [0, 1], "learning_rate": [0.01, 0.03]}
    search = GridSearchCV(Mortal(**mlp().get_params()), space, cv=2, n_jobs=2, refit=False).fit(X, Y)
    assert (tmp_path / "killed").exists()
    expected = GridSearchCV(mlp(), space, cv=2, refit=False).fit(X, Y)
    np.testing.assert_allclose(scores(search), scores(expected), atol=1e-6)
    builders = (tmp_path / "1 built").read_text().split()
    assert len(set(builders) - {str(os.getpid())}) == 1  # the other group was trained once


# Progress.


def test_a_log_gets_lines_and_silence_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    GridSearchCV(mlp(), {"epochs": [20], **RATES}, cv=2, verbose=1, refit=False).fit(X, Y)
    printed = capsys.readouterr().out
    assert "Fitting 2 folds for each of 2 candidates, totalling 4 fits" in printed
    assert "80/80 epochs" in printed
    assert 1 <= printed.count(" s left") <= 10
    GridSearchCV(mlp(), RATES, cv=2, refit=False).fit(X, Y)
    assert capsys.readouterr().out == ""


def test_a_terminal_gets_one_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    GridSearchCV(mlp(), RATES, cv=2, verbose=1, refit=False).fit(X, Y)
    printed = capsys.readouterr().out
    assert "12/12" in printed
    assert "best score of a fold" in printed
