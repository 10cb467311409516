"""Ensembles of the networks that a search has trained on its splits."""

import gc
import pickle
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerashp import KerasMLPClassifier, KerasMLPRegressor
from kerashp.model_selection import GridSearchCV, HalvingGridSearchCV, OracleSearchCV, RandomizedSearchCV
from kerashp.model_selection._fits import heldout_predictions
from kerashp.model_selection._running import stacked
from kerashp.training import Population

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
Y = X[:, 0] - X[:, 1] ** 2 + RNG.normal(0, 0.1, 90)
LABELS = np.where(Y > 0.3, "up", np.where(Y > -1, "even", "down"))
OPTIONS: dict[str, Any] = {"epochs": 3, "batch_size": 32, "random_state": 0, "learning_rate": 0.03}


def regressor(**params: Any) -> KerasMLPRegressor:
    return KerasMLPRegressor(1, 4, **(OPTIONS | params))


def outputs(estimator: Any, rows: Any) -> np.ndarray:
    return estimator.predict_proba(rows) if is_classifier(estimator) else estimator.predict(rows)


ESTIMATORS: dict[str, tuple[Any, dict[str, list[Any]]]] = {
    "widths": (regressor(), {"n_neurons": [3, 5]}),
    "early stopping": (regressor(early_stopping=True, epochs=6), {"learning_rate": [0.03, 0.3]}),
    "a classifier with dropout": (KerasMLPClassifier(1, 4, **OPTIONS), {"dropout": [0.0, 0.3]}),
    "batch normalization": (regressor(batch_normalization=True), {"l2": [0.0, 0.1]}),
    "a pipeline": (
        make_pipeline(StandardScaler(), regressor()),
        {"kerasmlpregressor__learning_rate": [0.03, 0.1]},
    ),
    "a transformed target": (
        TransformedTargetRegressor(regressor(), transformer=StandardScaler()),
        {"regressor__n_neurons": [3, 5]},
    ),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_members_are_the_networks_that_were_trained_on_the_splits(name: str) -> None:
    estimator, grid = ESTIMATORS[name]
    y = LABELS if is_classifier(estimator) else Y
    cv = (StratifiedKFold if is_classifier(estimator) else KFold)(3, shuffle=True, random_state=0)
    search = GridSearchCV(estimator, grid, cv=cv, refit=False).fit(X, y)
    ensemble = search.ensemble(4, refit=False)
    splits = list(cv.split(X, y))
    assert len(ensemble.members_) == len(splits) * len(ensemble.candidates)
    members = iter(ensemble.members_)
    for candidate in ensemble.candidates:
        number = search.cv_results_["params"].index(candidate)
        for (train, test), (rows, predicted) in zip(
            splits, search._ensemble_inputs.predictions[number], strict=True
        ):
            member = next(members)
            alone = clone(estimator).set_params(**candidate).fit(X[train], y[train])
            np.testing.assert_allclose(outputs(member, X), outputs(alone, X), rtol=1e-4, atol=1e-5)
            np.testing.assert_array_equal(rows, test)
            np.testing.assert_allclose(outputs(member, X[test]), predicted, rtol=1e-4, atol=1e-5)
    stacked_outputs = np.stack([outputs(member, X) for member in ensemble.members_])
    mean = np.tensordot(ensemble.weights_, stacked_outputs, axes=1)
    np.testing.assert_allclose(outputs(ensemble, X), mean, rtol=1e-5, atol=1e-6)


def test_weights_are_those_of_the_picks_and_nothing_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    search = GridSearchCV(regressor(), {"n_neurons": [3, 5, 8]}, cv=3, refit=False).fit(X, Y)
    monkeypatch.setattr(Population, "train", None)
    ensemble = search.ensemble(5, refit=False)
    counts = np.repeat(ensemble.weights, 3)
    np.testing.assert_allclose(ensemble.weights_, counts / counts.sum())
    again = pickle.loads(pickle.dumps(ensemble))
    np.testing.assert_allclose(again.predict(X), ensemble.predict(X), rtol=1e-5)


def test_estimators_that_are_kept_hold_no_population_and_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    trainings: list[weakref.ref[Any]] = []
    train = stacked.StackedTraining.train

    def noted(self: Any, *arguments: Any) -> Any:
        trainings.append(weakref.ref(self))
        return train(self, *arguments)

    monkeypatch.setattr(stacked.StackedTraining, "train", noted)
    pipeline = make_pipeline(StandardScaler(), regressor())
    grid = {"kerasmlpregressor__n_neurons": [3, 5]}
    search = GridSearchCV(pipeline, grid, cv=2, refit=False).fit(X, Y)
    gc.collect()
    assert trainings
    assert not any(reference() for reference in trainings)
    assert all(member.memory is None for member in search.ensemble(refit=False).members_)


def test_a_member_can_be_trained_on() -> None:
    search = GridSearchCV(regressor(), {"n_neurons": [3, 5]}, cv=2, refit=False).fit(X, Y)
    member = search.ensemble(1, refit=False).members_[0]
    before = member.predict(X)
    member.partial_fit(X, Y)
    assert np.isfinite(member.predict(X)).all()
    assert not np.allclose(member.predict(X), before)


@pytest.mark.parametrize(
    "make",
    [
        lambda: HalvingGridSearchCV(
            regressor(epochs=4), {"n_neurons": [3, 5, 8]}, cv=2, min_resources=2, random_state=0
        ),
        lambda: OracleSearchCV(regressor(), {"n_neurons": [3, 5]}, n_trials=2, cv=2, random_state=0),
    ],
    ids=["halving", "oracle"],
)
def test_other_searches_keep_networks_too(make: Any) -> None:
    search = make().fit(X, Y)
    ensemble = search.ensemble(2, refit=False)
    assert len(ensemble.members_) == 2 * len(ensemble.candidates)
    assert np.isfinite(ensemble.predict(X)).all()


def test_networks_of_other_processes_and_of_journals_are_not_here(tmp_path: Path) -> None:
    message = "refit=False needs the networks of the splits, which are not here: other processes trained them"
    search = GridSearchCV(regressor(), {"n_neurons": [3, 5]}, cv=2, refit=False, journal=tmp_path)
    assert search.fit(X, Y).ensemble(refit=False).members_
    resumed = clone(search).fit(X, Y)
    with pytest.raises(ValueError, match=message):
        resumed.ensemble(refit=False)
    assert resumed.ensemble().members_


@pytest.mark.slow
def test_networks_of_worker_processes_are_not_sent() -> None:
    search = GridSearchCV(regressor(), {"n_neurons": [3, 5]}, cv=2, refit=False, n_jobs=2).fit(X, Y)
    with pytest.raises(ValueError, match="refit=False needs the networks of the splits, which are not here"):
        search.ensemble(refit=False)


def test_networks_are_kept_within_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heldout_predictions, "MOST_BYTES", 3_000)
    search = RandomizedSearchCV(
        regressor(), {"n_neurons": [40, 50, 60]}, n_iter=3, cv=2, refit=False, random_state=0
    ).fit(X, Y)
    assert list(search._ensemble_inputs.estimators) == [search.cv_results_["rank_test_score"].argmin()]
    with pytest.warns(UserWarning, match="refit=False leaves out 2 of 3 candidates, since the networks of"):
        ensemble = search.ensemble(refit=False)
    assert len(ensemble.members_) == 2


def test_splits_must_know_the_same_classes() -> None:
    y = np.array(["a", "b", "c"]).repeat(30)
    search = GridSearchCV(
        KerasMLPClassifier(1, 4, **OPTIONS), {"l2": [0.0, 0.1]}, cv=KFold(3), refit=False, scoring="accuracy"
    ).fit(X, y)
    with pytest.raises(ValueError, match="the training rows of some splits lack a class"):
        search.ensemble(refit=False)
