"""Ensembles: selected from what a search predicted, trained together, predicting together."""

import copy
import pickle
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss, make_scorer, mean_squared_error
from sklearn.model_selection import KFold, RepeatedKFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from kerashp import KerasMLPClassifier, KerasMLPRegressor, KerasRegressor, build_model
from kerashp._compat.sklearn import version
from kerashp.estimators._training import joint_prediction
from kerashp.model_selection import (
    CoarseToFineSearchCV,
    GridSearchCV,
    HalvingGridSearchCV,
    KerasEnsembleClassifier,
    KerasEnsembleRegressor,
    OptunaSearchCV,
    OracleSearchCV,
    RandomizedSearchCV,
)
from kerashp.model_selection._ensembles.greedy import greedy_selection
from kerashp.model_selection._ensembles.refit import fitted
from kerashp.model_selection._fits import heldout_predictions
from kerashp.model_selection._fits.heldout_predictions import (
    HeldoutPredictions,
    out_of_fold,
    predictions_by_candidate,
)
from kerashp.model_selection._fits.result import FitResult
from kerashp.model_selection._running.local import LocalRunner
from kerashp.training import Costs, FallbackWarning, Population
from kerashp.training._engine.program import Program

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
Y = X[:, 0] - X[:, 1] ** 2 + RNG.normal(0, 0.1, 90)
RATES = {"learning_rate": [0.03, 0.1]}
LABELS = np.where(Y > 0.3, "up", np.where(Y > -1, "even", "down"))


def mlp(kind: Any = KerasMLPRegressor, **params: Any) -> Any:
    arguments = {"n_neurons": 4, "learning_rate": 0.03, "epochs": 3, "batch_size": 32, "random_state": 0}
    return kind(1, **(arguments | params))


def one_by_one(ensemble: Any, rows: Any) -> np.ndarray:
    """The weighted mean of what the members say by themselves."""
    method = "predict_proba" if is_classifier(ensemble) else "predict"
    own = [getattr(member, method)(rows) for member in ensemble.members_]
    return np.tensordot(ensemble.weights_, np.stack(own), axes=1)


def together(ensemble: Any, rows: Any) -> np.ndarray:
    return (ensemble.predict_proba if is_classifier(ensemble) else ensemble.predict)(rows)


@pytest.mark.slow
@pytest.mark.parametrize("early_stopping", [False, True])
def test_members_are_trained_by_the_programs_of_the_search(
    early_stopping: bool, compiles: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "kerashp.model_selection._running.evaluation.measured", lambda: Costs(1e3, 0, 0, 0, 1e9)
    )
    grid = {"n_neurons": [3, 5], "learning_rate": [0.03, 0.1]}
    # Without a refit, whose program is of one network, which a small ensemble might use.
    search = GridSearchCV(mlp(early_stopping=early_stopping), grid, cv=3, refit=False, refit_epochs="cv").fit(
        X, Y
    )
    n_compiled = len(compiles)
    ensemble = search.ensemble(3)
    assert len(compiles) == n_compiled
    compiling_anew = copy.deepcopy(ensemble)
    epochs = [search._epochs_of(search.cv_results_["params"].index(own)) for own in ensemble.candidates]
    compiling_anew._fit(X, Y, {}, epochs)
    assert len(compiles) > n_compiled
    np.testing.assert_allclose(ensemble.predict(X), compiling_anew.predict(X), rtol=1e-4, atol=1e-5)


def test_a_program_of_one_width_trains_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    path = "kerashp.model_selection._running.evaluation.measured"
    monkeypatch.setattr(path, lambda: Costs(0, 0, 0, 0, 1e9))  # a group for each width
    search = GridSearchCV(mlp(), {"n_neurons": [4, 8]}, cv=3, refit=False).fit(X, Y)
    assert [group.room.spare for group in search.plan_.groups] == [(False, False)] * 2
    monkeypatch.setattr(path, lambda: Costs(1e6, 0, 1.0, 0, 1e9))  # one block is cheaper than two
    trained = fitted(
        [mlp(), mlp(n_neurons=8)], X, Y, {}, [None, None], search._ensemble_inputs.programs, "a test"
    )
    assert [member.model_.get_layer("hidden_1").units for member in trained] == [4, 8]


# Selection.


def test_greedy_selection_approaches_the_weights_of_least_squares() -> None:
    # y = 0.7 a + 0.3 b: the counts of ten picks are the weights times ten.
    a, b = RNG.normal(size=(2, 50))
    y = 0.7 * a + 0.3 * b
    found = greedy_selection([b, a, -a], lambda mean: -np.mean((mean - y) ** 2), 10)
    assert [found.picks.count(index) for index in range(3)] == [3, 7, 0]
    assert found.picks[0] == 1
    assert found.scores[-1] == pytest.approx(0, abs=1e-12)
    assert found.scores == [
        -np.mean((np.mean([(b, a, -a)[pick] for pick in found.picks[: size + 1]], axis=0) - y) ** 2)
        for size in range(len(found.picks))
    ]


def test_selection_ends_where_the_mean_was_best_and_takes_the_first_of_equals() -> None:
    y = np.zeros(3)
    exact, off = y, y + 1
    assert greedy_selection([off, exact, exact], lambda mean: -abs(mean).max(), 5) == ([1], [0.0])
    assert greedy_selection([off, off], lambda _: 1.0, 5).picks == [0]


def test_scores_that_are_not_finite_are_never_picked() -> None:
    bad, good = np.full(3, 2.0), np.ones(3)
    found = greedy_selection([bad, good], lambda mean: np.nan if mean.max() > 1 else -1.0, 3)
    assert found.picks == [1]
    assert greedy_selection([bad], lambda _: np.inf, 3) == ([], [])


# What is kept.


def result(score: Any, value: float = 0.0, n_rows: int = 2) -> FitResult:
    return FitResult(score, predictions=np.full(n_rows, value), test_rows=np.arange(n_rows))


@pytest.mark.parametrize("reverse", [False, True])
def test_predictions_of_the_best_candidates_are_kept(monkeypatch: pytest.MonkeyPatch, reverse: bool) -> None:
    monkeypatch.setattr(heldout_predictions, "MOST_CANDIDATES", 2)
    scores = [0.1, 0.5, np.nan, 0.5, 0.9]
    fits = [(number, split) for number in range(5) for split in range(2)]
    results: dict[Any, FitResult] = {}
    predictions = HeldoutPredictions(True, results)
    for fit in sorted(fits, reverse=reverse):
        results[fit] = result(scores[fit[0]])
        predictions.add(fit)
    kept = {number for (number, _), one in results.items() if one.predictions is not None}
    assert kept == {1, 4}


def test_predictions_are_kept_within_a_limit_by_the_score_that_refits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heldout_predictions, "MOST_BYTES", 3 * 16)
    results = {(0, 0): result({"a": 0, "b": 0})}  # the first was there before
    predictions = HeldoutPredictions("b", results)
    for number in range(1, 5):
        results[number, 0] = result({"a": number, "b": -number})
        predictions.add((number, 0))
    kept = [one.predictions is not None for one in results.values()]
    assert kept == [True, True, True, False, False]
    assert list(predictions_by_candidate(list(results.values()), 1)) == [0, 1, 2]


def test_predictions_of_a_row_are_averaged_over_the_splits_that_held_it_out() -> None:
    # Row 3 is in no split, row 1 in both.
    whole = [(np.array([0, 1]), np.array([1.0, 2.0])), (np.array([1, 2]), np.array([4.0, 5.0]))]
    part = [(np.array([0]), np.array([9.0])), (np.array([2]), np.array([9.0]))]
    masked = [(np.array([2, 1]), np.array([7.0, 8.0])), (np.array([0]), np.array([6.0]))]
    found = out_of_fold({0: part, 1: whole, 5: masked}, [5, 3, 1, 0], 4)
    assert found.candidates == [5, 1]
    assert found.rows.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(found.predictions, [[6, 8, 7], [1, 3, 5]])


def test_rows_may_be_given_by_a_mask() -> None:
    masked = FitResult(0.0, predictions=np.zeros(2), test_rows=np.array([False, True, True]))
    assert predictions_by_candidate([masked], 1)[0][0][0].tolist() == [1, 2]


def test_classes_that_a_split_did_not_train_on_have_the_probability_0() -> None:
    y = np.array(["a", "b", "c"] * 10)
    train = np.flatnonzero(y != "b")
    fitted = mlp(KerasMLPClassifier, epochs=1).fit(X[train], y[train])

    def first_rows(_: Any) -> tuple[np.ndarray, np.ndarray]:
        return X[:5], y[:5]

    proba = heldout_predictions.heldout_predictions(fitted, first_rows, y)
    np.testing.assert_allclose(proba[:, [0, 2]], fitted.predict_proba(X[:5]), rtol=1e-6)
    assert not proba[:, 1].any()
    assert heldout_predictions.heldout_predictions(mlp(), first_rows, Y) is None
    assert heldout_predictions.heldout_predictions(Ridge().fit(X, Y), first_rows, Y) is None


# Ensembles of a search.


@pytest.fixture(scope="module")
def searched() -> GridSearchCV:
    pipeline = make_pipeline(StandardScaler(), mlp())
    grid = [
        {"kerasmlpregressor__n_neurons": [3, 5], "kerasmlpregressor__learning_rate": [0.01, 0.1]},
        {"kerasmlpregressor__n_hidden": [2]},
        {"kerasmlpregressor__learning_rate": [1e9]},
    ]
    with warnings.catch_warnings(action="ignore"):
        return GridSearchCV(pipeline, grid, cv=KFold(3)).fit(X, Y)


@pytest.fixture(scope="module")
def ensemble(searched: GridSearchCV) -> KerasEnsembleRegressor:
    return searched.ensemble(6, scoring="neg_mean_squared_error")


@pytest.mark.slow
def test_members_are_those_that_the_held_out_rows_ask_for(
    searched: GridSearchCV, ensemble: KerasEnsembleRegressor
) -> None:
    params = searched.cv_results_["params"]
    held = []
    for one in params[:-1]:
        values = np.zeros(len(X))
        for train, test in KFold(3).split(X):
            fitted = clone(searched.estimator).set_params(**one).fit(X[train], Y[train])
            values[test] = fitted.predict(X[test])
        held.append(values)
    order = np.argsort(-searched.cv_results_["mean_test_score"][:-1], kind="stable")
    best = greedy_selection([held[i] for i in order], lambda mean: -mean_squared_error(Y, mean), 6)
    np.testing.assert_allclose(ensemble.selection_scores_, best.scores, rtol=1e-4)
    picked = [params[order[pick]] for pick in best.picks]
    assert ensemble.candidates == [one for i, one in enumerate(picked) if one not in picked[:i]]
    assert ensemble.weights == [picked.count(one) for one in ensemble.candidates]
    assert len(ensemble.candidates) > 1
    assert ensemble.selection_scores_[-1] > ensemble.selection_scores_[0]


def test_members_are_trained_as_refit_trains(ensemble: KerasEnsembleRegressor) -> None:
    for params, member in zip(ensemble.candidates, ensemble.members_, strict=True):
        alone = clone(ensemble.estimator).set_params(**params).fit(X, Y)
        np.testing.assert_allclose(member.predict(X), alone.predict(X), rtol=1e-3, atol=1e-4)
        assert member.memory is None


def test_an_ensemble_of_a_search_predicts_the_weighted_mean(ensemble: KerasEnsembleRegressor) -> None:
    np.testing.assert_allclose(ensemble.predict(X), one_by_one(ensemble, X), rtol=1e-5, atol=1e-6)
    assert ensemble.n_features_in_ == 4
    assert ensemble.score(X, Y) == pytest.approx(1 - mean_squared_error(Y, ensemble.predict(X)) / Y.var())


def test_a_diverged_candidate_is_never_picked(searched: GridSearchCV) -> None:
    assert np.isnan(searched.cv_results_["mean_test_score"][-1])
    assert sorted(searched._ensemble_inputs.predictions) == [0, 1, 2, 3, 4]


def test_a_search_that_was_copied_or_pickled_makes_no_ensembles(searched: GridSearchCV) -> None:
    for again in (pickle.loads(pickle.dumps(searched)), copy.deepcopy(searched)):
        with pytest.raises(ValueError, match="has been copied or pickled, without its data"):
            again.ensemble()
    assert searched._ensemble_inputs.X is X


def test_scores_of_splits_need_no_second_computation(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    predict = Population.predict

    def counted(self: Any, x: Any, members: Any) -> Any:
        calls.append(len(x))
        return predict(self, x, members)

    monkeypatch.setattr(Population, "predict", counted)
    target = TransformedTargetRegressor(make_pipeline(StandardScaler(), mlp()), transformer=StandardScaler())
    grid = {"regressor__kerasmlpregressor__learning_rate": [0.01, 0.1]}
    search = GridSearchCV(target, grid, cv=3, refit=False).fit(X, Y)
    assert calls == [30, 30, 30]
    found = search.ensemble(3)
    np.testing.assert_allclose(found.predict(X), one_by_one(found, X), rtol=1e-5, atol=1e-6)


def test_a_large_offset_of_the_targets_makes_no_difference() -> None:
    target = TransformedTargetRegressor(mlp(), transformer=StandardScaler())
    options = {"param_grid": {"regressor__learning_rate": [0.01, 0.1]}, "cv": 2, "refit": False}
    near, far = (GridSearchCV(target, **options).fit(X, 60 * Y + offset).ensemble(3) for offset in (0, 1.7e9))
    for pick in (0, -1):
        assert far.selection_scores_[pick] == pytest.approx(near.selection_scores_[pick], rel=1e-4)
    assert far.candidates == near.candidates


def classifier_search(**options: Any) -> GridSearchCV:
    arguments = {"cv": 2, "refit": False}
    grid = {"learning_rate": [0.03, 0.1, 0.3]}
    return GridSearchCV(mlp(KerasMLPClassifier), grid, **(arguments | options))


def test_labels_and_the_searchs_own_score() -> None:
    search = classifier_search(scoring="neg_log_loss").fit(X, LABELS)
    found = search.ensemble(4)
    assert isinstance(found, KerasEnsembleClassifier)
    assert found.classes_.tolist() == ["down", "even", "up"]
    np.testing.assert_allclose(together(found, X), one_by_one(found, X), rtol=1e-5, atol=1e-6)
    assert found.predict(X).tolist() == found.classes_[together(found, X).argmax(axis=1)].tolist()
    rows, values = zip(*search._ensemble_inputs.predictions[search._ranked()[0]], strict=True)
    alone = -log_loss(LABELS[np.concatenate(rows)], np.concatenate(values), labels=found.classes_)
    assert found.selection_scores_[0] == pytest.approx(alone)
    assert search.ensemble(1, scoring="accuracy").selection_scores_[0] in np.arange(91) / 90


def two(estimator: Any, X: Any, y: Any) -> dict[str, float]:
    return {"accuracy": estimator.score(X, y), "zero": 0.0}


@pytest.mark.parametrize("scoring", [["accuracy", "neg_log_loss"], two], ids=["list", "function"])
def test_of_several_scores_one_is_named(scoring: Any) -> None:
    search = classifier_search(scoring=scoring).fit(X, LABELS)
    with pytest.raises(ValueError, match="several scores, and refit=False names none of them: pass the name"):
        search.ensemble()
    assert search.ensemble(1, scoring="accuracy").selection_scores_[0] in np.arange(91) / 90


@pytest.mark.parametrize("cv", [RepeatedKFold(n_splits=2, n_repeats=2, random_state=0), ShuffleSplit(3)])
def test_splits_that_hold_rows_out_not_exactly_once(cv: Any) -> None:
    search = GridSearchCV(mlp(), {"learning_rate": [0.01, 0.1]}, cv=cv, refit=False).fit(X, Y)
    rows = {row for own, _ in search._ensemble_inputs.predictions[0] for row in own}
    assert (len(rows) == 90) == isinstance(cv, RepeatedKFold)
    seen = []

    def remember(estimator: Any, X: Any, y: Any) -> float:
        seen.append(X)
        return -mean_squared_error(y, estimator.predict(X))

    search.ensemble(2, scoring=remember)
    np.testing.assert_array_equal(seen[0], X[sorted(rows)])


WEIGHT = np.r_[np.zeros(30), np.linspace(1, 2, 60)]


def weighted_accuracy(search: Any, classes: np.ndarray) -> float:
    """Of the best candidate's predictions for all held-out rows."""
    values = np.concatenate(
        [values for _, values in search._ensemble_inputs.predictions[search._ranked()[0]]]
    )
    return float(np.average(classes[values.argmax(axis=1)] == LABELS, weights=WEIGHT))


def test_routed_sample_weights_count() -> None:
    with config_context(enable_metadata_routing=True):
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        search = classifier_search(cv=KFold(2), scoring={"own": scorer}, refit="own")
        search.estimator.set_fit_request(sample_weight=True)
        found = search.fit(X, LABELS, sample_weight=WEIGHT).ensemble(1)
    assert found.selection_scores_[0] == pytest.approx(weighted_accuracy(search, found.classes_))


@pytest.mark.skipif(
    version() < (1, 7), reason="searches hand their scorers sample weights since scikit-learn 1.7"
)
def test_sample_weights_count_as_in_the_searchs_scores() -> None:
    search = classifier_search(cv=KFold(2)).fit(X, LABELS, sample_weight=WEIGHT)
    found = search.ensemble(1)
    assert found.selection_scores_[0] == pytest.approx(weighted_accuracy(search, found.classes_))
    alone = clone(search.estimator).set_params(**found.candidates[0]).fit(X, LABELS, sample_weight=WEIGHT)
    np.testing.assert_allclose(found.predict_proba(X), alone.predict_proba(X), rtol=1e-4, atol=1e-5)


def test_members_train_for_as_long_as_was_best_in_the_splits() -> None:
    stopping = mlp(early_stopping=True, patience=1, epochs=12)
    search = GridSearchCV(stopping, {"learning_rate": [0.03, 0.2]}, cv=2, refit_epochs="cv").fit(X, Y)
    found = search.ensemble(8)
    for params, member in zip(found.candidates, found.members_, strict=True):
        place = search.cv_results_["params"].index(params)
        best = [search.cv_results_[f"split{split}_best_epoch"][place] for split in range(2)]
        assert len(member.history_["loss"]) == round(np.mean(best)) + 1
        assert "val_loss" not in member.history_
    assert all("val_loss" in member.history_ for member in clone(found).fit(X, Y).members_)


@pytest.mark.slow
def test_every_search_makes_ensembles() -> None:
    options = {"n_iter": 2, "cv": 2, "random_state": 0, "refit": False}
    space = {"n_neurons": [3, 4, 5, 6]}
    random = RandomizedSearchCV(mlp(), space, **options).fit(X, Y)
    fine = CoarseToFineSearchCV(mlp(), space, n_rounds=2, **options).fit(X, Y)
    assert sorted(fine._ensemble_inputs.predictions) == [0, 1, 2, 3]
    halving = HalvingGridSearchCV(mlp(), space, cv=2, factor=2, max_resources=4, refit=False).fit(X, Y)
    assert len(halving._ensemble_inputs.predictions) == len(halving.cv_results_["params"]) > 4
    oracle = {"cv": 2, "random_state": 0, "refit": False}
    guided = OracleSearchCV(mlp(), space, n_trials=3, batch=2, **oracle).fit(X, Y)
    hyperband = OracleSearchCV(mlp(), space, oracle="hyperband", n_trials=6, **oracle).fit(X, Y)
    assert max(hyperband.cv_results_["round"]) > 0
    pruner = optuna.pruners.SuccessiveHalvingPruner(1, 3)
    pruned = OptunaSearchCV(mlp(), space, n_trials=6, pruner=pruner, **oracle).fit(X, Y)
    assert max(pruned.cv_results_["round"]) > 0
    for search in (random, fine, halving, guided, hyperband, pruned):
        found = search.ensemble(2)
        assert [member.epochs for member in found.members_] == [
            params.get("epochs", 3) for params in found.candidates
        ]


def test_a_search_that_is_resumed_has_the_predictions_of_what_was_finished(tmp_path: Path) -> None:
    searches = [GridSearchCV(mlp(), RATES, cv=2, journal=tmp_path, refit=False).fit(X, Y) for _ in range(2)]
    first, again = [search._ensemble_inputs.predictions for search in searches]
    assert first.keys() == again.keys() == {0, 1}
    for candidate, held in first.items():
        for (rows, values), (same_rows, same_values) in zip(held, again[candidate], strict=True):
            np.testing.assert_array_equal(rows, same_rows)
            np.testing.assert_array_equal(values, same_values)
    assert searches[0].ensemble(2).candidates == searches[1].ensemble(2).candidates


def test_what_a_search_cannot_make_an_ensemble_of() -> None:
    with pytest.raises(NotFittedError):
        GridSearchCV(mlp(), {}).ensemble()
    others = GridSearchCV(DummyRegressor(), {"strategy": ["mean"]}, cv=2).fit(X, Y)
    with pytest.raises(
        ValueError, match="needs a search of an estimator of kerashp, alone or in a pipeline; got D"
    ):
        others.ensemble()


def count(estimator: Any, *_: Any) -> int:
    return estimator.model_.count_params()


def test_wrong_arguments_of_ensemble(searched: GridSearchCV, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="ensemble: n_members must be an integer >= 1; got 0"):
        searched.ensemble(0)
    message = "^scoring=<function .*count.* needs more than predictions: AttributeError: .*Pass scoring"
    with pytest.raises(ValueError, match=message):
        searched.ensemble(scoring=count)
    with pytest.raises(TypeError, match=r"ensemble: scoring must be a str, a callable or None; got \['r2'\]"):
        searched.ensemble(scoring=["r2"])
    with pytest.raises(ValueError, match="^scoring=.* gives no finite score for any candidate. Pass scoring"):
        searched.ensemble(scoring=lambda *_: np.nan)
    monkeypatch.setattr(searched, "_ensemble_inputs", replace(searched._ensemble_inputs, predictions={}))
    with pytest.raises(ValueError, match="No candidate has predictions for all of its held-out rows"):
        searched.ensemble()


# Ensembles by themselves.


def test_networks_of_one_graph_shape_predict_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    outputs = Program.outputs

    def counted(self: Any, model: Any, state: Any, constants: Any, x: Any) -> Any:
        calls.append(len(x))
        return outputs(self, model, state, constants, x)

    monkeypatch.setattr(Program, "outputs", counted)
    pipeline = make_pipeline(StandardScaler(), mlp())
    candidates: list[dict[str, Any]] = [
        {"kerasmlpregressor__n_neurons": 3},
        {"kerasmlpregressor__n_neurons": 6, "standardscaler": MinMaxScaler()},
        {"kerasmlpregressor__n_hidden": 2},
        {"kerasmlpregressor__dropout": 0.2, "kerasmlpregressor__activation": "tanh"},
        {"kerasmlpregressor__n_hidden": 2, "kerasmlpregressor__activation": "tanh"},
    ]
    found = KerasEnsembleRegressor(pipeline, candidates, weights=[1, 2, 3, 4, 5]).fit(X, np.c_[Y, -Y])
    assert found.predict(X).shape == (90, 2)
    assert sorted(calls) == [2, 3]
    np.testing.assert_allclose(found.predict(X), one_by_one(found, X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.predict(X[:1]), found.predict(X)[:1], rtol=1e-6)
    assert len(calls) == 8


def test_members_that_are_trained_on_predict_what_they_have_learned() -> None:
    found = KerasEnsembleRegressor(mlp(), 2, random_state=0).fit(X, Y)
    before = found.predict(X)
    found.members_[0].partial_fit(X, Y)
    assert abs(found.predict(X) - before).max() > 1e-4
    np.testing.assert_allclose(found.predict(X), one_by_one(found, X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "y", [LABELS == "up", np.c_[Y > 0, X[:, 1] > 0].astype(int)], ids=["binary", "labels"]
)
def test_two_classes_and_several_labels(y: np.ndarray) -> None:
    found = KerasEnsembleClassifier(mlp(KerasMLPClassifier), [{}, {"n_neurons": 6}]).fit(X, y)
    np.testing.assert_allclose(found.predict_proba(X), one_by_one(found, X), rtol=1e-5, atol=1e-6)
    positive = found.predict_proba(X)[:, 1] if y.ndim == 1 else found.predict_proba(X)
    assert np.array_equal(found.predict(X), positive > 0.5)
    assert np.array_equal(found.decision_function(X) > 0, positive > 0.5)


def test_seeds() -> None:
    def drawn(ensemble: Any) -> list[int]:
        return [member.random_state for member in ensemble._unfitted()]

    deep = drawn(KerasEnsembleRegressor(mlp(), 3, random_state=0))
    assert len(set(deep)) == 3
    assert deep == drawn(KerasEnsembleRegressor(mlp(), 3, random_state=0))
    assert drawn(KerasEnsembleRegressor(mlp(), [{}, {"random_state": 5}])) == [0, 5]
    assert drawn(KerasEnsembleRegressor(mlp(), [{}, {}], random_state=0)) == deep[:2]
    assert [type(one) for one in KerasEnsembleClassifier()._unfitted()] == [KerasMLPClassifier] * 5
    assert [type(one) for one in KerasEnsembleRegressor()._unfitted()] == [KerasMLPRegressor] * 5


def test_sample_weights_reach_the_networks() -> None:
    weight = np.r_[np.zeros(45), np.ones(45)]
    target = TransformedTargetRegressor(make_pipeline(StandardScaler(), mlp()))
    found = KerasEnsembleRegressor(target, [{}]).fit(X, Y, sample_weight=weight)
    expected = clone(target).fit(X, Y, kerasmlpregressor__sample_weight=weight)
    np.testing.assert_allclose(found.predict(X), expected.predict(X), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="fit got both sample_weight and kerasmlpregressor__sample_weight"):
        found.fit(X, Y, sample_weight=weight, kerasmlpregressor__sample_weight=weight)


def test_an_ensemble_is_pickled_and_copied(ensemble: KerasEnsembleRegressor) -> None:
    expected = ensemble.predict(X)
    for again in (pickle.loads(pickle.dumps(ensemble)), copy.deepcopy(ensemble)):
        np.testing.assert_allclose(again.predict(X), expected, rtol=1e-6)
        assert again.selection_scores_ == ensemble.selection_scores_
    assert not hasattr(clone(ensemble), "members_")


def test_names_of_features_and_what_was_passed_is_left_as_it_was() -> None:
    frame = pd.DataFrame(X, columns=list("abcd"))
    pipeline, candidates = make_pipeline(StandardScaler(), mlp()), [{"kerasmlpregressor__epochs": 1}]
    found = KerasEnsembleRegressor(pipeline, candidates)
    for name in ("n_features_in_", "feature_names_in_"):
        with pytest.raises(AttributeError, match=f"is not fitted: it has no {name} yet"):
            getattr(found, name)
    found.fit(frame, Y)
    assert found.feature_names_in_.tolist() == list("abcd")
    assert pipeline.memory is None
    assert not hasattr(pipeline[-1], "model_")
    assert candidates == [{"kerasmlpregressor__epochs": 1}]


def test_networks_that_cannot_be_computed_together_predict_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def own_code(n_neurons: int = 3) -> Any:
        model = build_model(1, n_neurons, input_shape=4)
        model.layers[0].activation = lambda x: x * 0.5
        return model

    def broken(*_: Any) -> Any:
        raise RuntimeError("no room")

    own = KerasEnsembleRegressor(KerasRegressor(own_code, epochs=1, random_state=0), 2).fit(X, Y)
    np.testing.assert_allclose(own.predict(X), one_by_one(own, X), rtol=1e-6)
    found = KerasEnsembleRegressor(mlp(), 2, random_state=0).fit(X, Y)
    monkeypatch.setattr(joint_prediction.Predictor, "predict", broken)
    with pytest.warns(FallbackWarning, match="2 networks predict one by one: RuntimeError: no room"):
        found.predict(X)
    np.testing.assert_allclose(found.predict(X), one_by_one(found, X), rtol=1e-6)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"candidates": []}, ValueError, "candidates must have the parameters of at least one member"),
        ({"candidates": 0}, ValueError, "'candidates' parameter of KerasEnsembleRegressor must be an int"),
        ({"candidates": [3]}, TypeError, r"candidates\[0\] must be a dict of parameters .*; got 3"),
        ({"candidates": [{"n_units": 3}]}, ValueError, "Invalid parameter 'n_units'"),
        (
            {"weights": [1.0]},
            ValueError,
            r"weights must have the shape \(2,\), one for each .* \(1,\)",
        ),
        ({"weights": [1.0, -1.0]}, ValueError, r"finite, at least 0 and not all 0; got \[1.0, -1.0\]"),
        ({"weights": [0, 0]}, ValueError, "not all 0"),
        ({"weights": [1, np.nan]}, ValueError, "weights must be finite"),
        ({"estimator": Ridge()}, TypeError, r"takes a regressor of kerashp, .*; member 0 is Ridge\(\)"),
        ({"estimator": mlp(KerasMLPClassifier)}, TypeError, "takes a regressor of kerashp,"),
    ],
)
def test_wrong_parameters(params: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        KerasEnsembleRegressor(**({"estimator": mlp(), "candidates": 2} | params)).fit(X, Y)


def test_a_classifier_takes_classifiers_and_predicts_when_fitted() -> None:
    with pytest.raises(TypeError, match="KerasEnsembleClassifier takes a classifier of kerashp,"):
        KerasEnsembleClassifier(LogisticRegression()).fit(X, LABELS)
    with pytest.raises(NotFittedError):
        KerasEnsembleClassifier().predict(X)


def test_an_interrupt_ends_the_training_of_an_ensemble(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalRunner, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        KerasEnsembleRegressor(mlp(), 2).fit(X, Y)


def test_a_member_that_diverges_is_named() -> None:
    with pytest.raises(ValueError, match="Training diverged") as caught:
        KerasEnsembleRegressor(mlp(), [{}, {"learning_rate": 1e9}]).fit(X, Y)
    assert any("In the member at index 1" in note for note in caught.value.__notes__)
