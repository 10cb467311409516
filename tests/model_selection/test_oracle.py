"""A search whose candidates keras-tuner's oracles propose."""

import itertools
import math
import os
import pickle
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
import pytest
from scipy.stats import loguniform, uniform
from sklearn.base import BaseEstimator, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_regression
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import make_scorer, mean_squared_error
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerashp import KerasMLPRegressor
from kerashp.model_selection import OracleSearchCV
from kerashp.model_selection._oracles.adapter import OracleAdapter, new_oracle
from kerashp.model_selection._oracles.gaussian_process import FastGaussianProcess
from kerashp.spaces import one_minus_loguniform, to_hyperparameters

pytestmark = pytest.mark.slow

X, Y = make_regression(60, 4, random_state=0)
Y = Y / Y.std()
SPACE = {"rate": loguniform(1e-6, 1.0), "kind": ["a", "b", "c"], "width": range(1, 100)}
MAXIMIZE = keras_tuner.Objective("score", "max")


class Peak(BaseEstimator):
    """Scores best, 0, at rate=0.01, width=30 and kind="b"; fails where `kind` is "bad"."""

    def __init__(self, rate: float = 1.0, kind: Any = "a", width: int = 1, epochs: int = 9):
        self.rate = rate
        self.kind = kind
        self.width = width
        self.epochs = epochs

    def fit(self, X: Any, y: Any) -> "Peak":
        if self.kind == "bad":
            raise ValueError("it is bad")
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.zeros(len(X))

    def score(self, X: Any, y: Any) -> float:
        return -(abs(np.log10(self.rate) + 2) + abs(self.width - 30) / 100 + (self.kind != "b"))


def search(space: Any = SPACE, **options: Any) -> OracleSearchCV:
    arguments = {"oracle": "random", "cv": 2}
    seed = {} if isinstance(options.get("oracle", ""), keras_tuner.Oracle) else {"random_state": 0}
    return OracleSearchCV(Peak(), space, **(arguments | seed | options)).fit(X, Y)


def random_oracle(**options: Any) -> Any:
    return keras_tuner.oracles.RandomSearchOracle(**({"objective": MAXIMIZE, "seed": 3} | options))


def test_batches_and_results() -> None:
    found = search(n_trials=10, batch=4)
    assert list(found.cv_results_["batch"]) == [0] * 4 + [1] * 4 + [2] * 2
    assert {type(params["width"]) for params in found.cv_results_["params"]} == {int}
    assert found.best_score_ == max(found.cv_results_["mean_test_score"])
    assert found.best_params_ in found.cv_results_["params"]
    assert len(search().cv_results_["params"]) == 10  # keras-tuner's own


def test_random_state_decides() -> None:
    params = search(n_trials=5).cv_results_["params"]
    assert search(n_trials=5).cv_results_["params"] == params
    assert search(n_trials=5, batch=2).cv_results_["params"] == params
    assert search(n_trials=5, random_state=1).cv_results_["params"] != params
    guided = [
        search({"rate": SPACE["rate"]}, oracle="bayesian", n_trials=4, batch=2).cv_results_["params"]
        for _ in range(2)
    ]
    assert guided[0] == guided[1]


def test_the_grid_is_whole_and_then_it_ends() -> None:
    space = {"kind": ["a", "b", None], "width": [10, 30], "rate": [0.01, 0.1]}
    found = search(space, oracle="grid", batch=5)
    assert len(found.cv_results_["params"]) == 12
    assert all(params in found.cv_results_["params"] for params in ParameterGrid(space))
    assert list(np.bincount(found.cv_results_["batch"])) == [5, 5, 2]
    assert found.best_params_ == {"kind": "b", "width": 30, "rate": 0.01}


def test_a_list_of_spaces() -> None:
    spaces = [{"kind": ["a"], "width": [1, 2, 3]}, {"kind": ["b", "c"], "rate": [0.1, 0.01]}]
    found = search(spaces, oracle="grid")
    assert len(found.cv_results_["params"]) == 7
    assert all(params in found.cv_results_["params"] for params in ParameterGrid(spaces))
    assert found.best_params_ == {"kind": "b", "rate": 0.01}


def test_an_oracle_ends_before_n_trials() -> None:
    assert len(search({"kind": ["a", "b"], "width": [3]}, n_trials=50).cv_results_["params"]) == 2


@pytest.fixture(scope="module")
def bayesian() -> OracleSearchCV:
    space = {"rate": loguniform(1e-6, 1.0), "kind": ["b", "c"]}
    return search(space, oracle="bayesian", n_trials=14, batch=5)


def test_bayesian_optimization_learns(bayesian: OracleSearchCV) -> None:
    results = bayesian.cv_results_
    at_random = [score for score, batch in zip(results["mean_test_score"], results["batch"], strict=True)][:4]
    assert bayesian.best_score_ > max(at_random)
    assert abs(math.log10(bayesian.best_params_["rate"]) + 2) < 0.5
    assert bayesian.best_params_["kind"] == "b"


def test_running_trials_are_not_proposed_again(bayesian: OracleSearchCV) -> None:
    results = bayesian.cv_results_
    for batch in set(results["batch"]):
        points = [
            (params["kind"], math.log10(params["rate"]) / 6)
            for params, own in zip(results["params"], results["batch"], strict=True)
            if own == batch
        ]
        for one, other in itertools.combinations(points, 2):
            assert one[0] != other[0] or abs(one[1] - other[1]) >= 0.01


def test_bayesian_optimization_tries_nothing_twice_and_ends() -> None:
    adapter = OracleAdapter(new_oracle("bayesian", {"kind": ["a", "b", "c", "d"]}, 6, 1, None))
    kinds: list[str] = []
    while not adapter.stopped:
        proposals = adapter.batch(2)
        kinds += [one.params["kind"] for one in proposals]
        adapter.report(proposals, [float(one.params["kind"] == "b") for one in proposals])
    assert sorted(kinds) == ["a", "b", "c", "d"]


class Same(keras_tuner.Oracle):
    """Proposes the same again and again."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        return {"status": "RUNNING", "values": {"width": 30}}


def test_what_is_proposed_twice_is_trained_once() -> None:
    oracle = Same(objective=MAXIMIZE, max_trials=5, hyperparameters=to_hyperparameters({"width": [30]}))
    assert len(search(None, oracle=oracle, batch=2).cv_results_["params"]) == 1
    adapter = OracleAdapter(oracle)
    (only,) = adapter.batch(2)
    adapter.report([only], [0.5])
    assert adapter.batch(9) == []
    assert adapter.stopped
    assert [(trial.status, trial.score) for trial in oracle.trials.values()] == [("COMPLETED", 0.5)] * 5


def test_quick_predictions_are_scikit_learns() -> None:
    random = np.random.default_rng(0)
    places = random.uniform(size=(12, 3))
    scores = np.sin(3 * places).sum(axis=1)
    reference = new_oracle("bayesian", SPACE, 5, 1, None).gpr.fit(places, scores)
    actual = FastGaussianProcess(**reference.get_params(deep=False)).fit(places, scores)
    for row in random.uniform(size=(5, 1, 3)):
        np.testing.assert_allclose(
            actual.predict(row, return_std=True), reference.predict(row, return_std=True)
        )
    np.testing.assert_allclose(actual.predict(places), reference.predict(places))


@pytest.fixture(scope="module")
def hyperband() -> OracleSearchCV:
    return search(oracle="hyperband", batch=20)


def test_hyperband_gives_epochs(hyperband: OracleSearchCV) -> None:
    results = hyperband.cv_results_
    assert [params["epochs"] for params in results["params"]] == list(results["n_resources"])
    counts = Counter(zip(results["bracket"], results["round"], results["n_resources"], strict=True))
    # keras-tuner's sizes for 9 epochs and a factor of 3: ceil(3 / (b + 1)) * 3^(b - r) rounded up
    assert counts == {(2, 0, 1): 9, (2, 1, 3): 3, (2, 2, 9): 1, (1, 0, 3): 5, (1, 1, 9): 2, (0, 0, 9): 3}


def test_hyperband_goes_on_with_the_best(hyperband: OracleSearchCV) -> None:
    results = hyperband.cv_results_
    scores = results["mean_test_score"]
    for place, parent in enumerate(results["parent"]):
        assert (parent == -1) == (results["round"][place] == 0)
        if parent >= 0:
            before = {**results["params"][place], "epochs": results["n_resources"][parent]}
            assert results["params"][parent] == before
            rivals = [
                i
                for i in range(len(scores))
                if (results["bracket"][i], results["round"][i])
                == (results["bracket"][parent], results["round"][parent])
            ]
            gone_on = sum(p in rivals for p in results["parent"])
            assert scores[parent] >= np.sort(scores[rivals])[-gone_on]


def test_hyperbands_epochs_are_the_innermost_estimators() -> None:
    mlp = KerasMLPRegressor(1, 4, epochs=4, batch_size=32, random_state=0)
    pipeline = TransformedTargetRegressor(make_pipeline(StandardScaler(), mlp), transformer=StandardScaler())
    name = "regressor__kerasmlpregressor__learning_rate"
    oracle = OracleSearchCV(
        pipeline,
        {name: loguniform(1e-3, 1e-1)},
        oracle="hyperband",
        n_trials=6,
        batch=5,
        cv=2,
        random_state=0,
    )
    message = (
        "hyperband ended after 6 candidates, before the last round of a bracket; the longest "
        "training had 4 of 4 epochs. All brackets have 10 candidates: set n_trials=10, or use fewer epochs or"
    )
    with pytest.warns(UserWarning, match=message):
        found = oracle.fit(X, Y)
    assert list(found.cv_results_["n_resources"]) == [2, 2, 2, 2, 2, 4]
    assert list(found.cv_results_["split0_epochs"]) == list(found.cv_results_["n_resources"])
    assert [len(group.fits) for group in found.plan_.groups] == [10, 2]
    assert "graph" in found.explain()
    parent = found.cv_results_["parent"][5]  # from whose weights it goes on
    assert parent >= 0
    for curves, before in zip(found.histories_[5], found.histories_[parent], strict=True):
        assert curves["loss"][:2] == before["loss"]
    assert found.epochs_saved_ == 2 * 2


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_failure_is_told_and_the_search_goes_on() -> None:
    with pytest.warns(FitFailedWarning, match="fits failed|it is bad"):
        found = search({"kind": ["bad", "b"], "rate": [1.0, 0.1, 0.01, 0.001]}, oracle="grid", batch=1)
    bad = np.array([params["kind"] == "bad" for params in found.cv_results_["params"]])
    assert len(bad) == 8
    assert np.isnan(found.cv_results_["mean_test_score"]).tolist() == bad.tolist()
    assert found.best_params_ == {"kind": "b", "rate": 0.01}


def test_failures_are_failed_trials_to_the_oracle() -> None:
    oracle = random_oracle(
        max_retries_per_trial=2, max_trials=6, hyperparameters=to_hyperparameters({"width": range(1, 50)})
    )
    adapter = OracleAdapter(oracle)
    proposals = adapter.batch(6)
    adapter.report(proposals, [math.nan] * 5 + [1.0])
    assert [trial.status for trial in oracle.trials.values()] == ["FAILED"] * 5 + ["COMPLETED"]
    assert adapter.batch(1) == []
    assert adapter.stopped


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_where_all_failed() -> None:
    with (
        pytest.warns(FitFailedWarning, match="it is bad"),
        pytest.raises(ValueError, match="all 3 candidates failed"),
    ):
        search({"kind": ["bad"], "rate": [1.0, 0.1, 0.01]}, oracle="grid")
    with (
        pytest.warns(FitFailedWarning, match="it is bad"),
        pytest.raises(ValueError, match="all 1 candidates failed"),
    ):
        search({"kind": ["bad"]}, oracle="grid", error_score=-9.0)
    with pytest.raises(ValueError, match="it is bad"):
        search({"kind": ["bad"]}, error_score="raise")


def size_of(estimator: Any, *_: Any) -> float:
    return -float(estimator.width)


def sizes_of(estimator: Any, *_: Any) -> dict[str, float]:
    return {"size": size_of(estimator), "zero": 0.0}


@pytest.mark.filterwarnings("ignore:One or more of the (test|train) scores are non-finite")
@pytest.mark.parametrize(
    ("kinds", "scoring", "options"),
    [
        (["bad", "b"], make_scorer(mean_squared_error, greater_is_better=False), {}),
        (["b", "bad"], size_of, {"error_score": -9.0}),
        (["b", "bad"], sizes_of, {"refit": "size", "return_train_score": True}),
        (["bad", "b"], ["neg_mean_squared_error", "r2"], {"refit": "r2"}),
    ],
    ids=["scorer", "function", "function of several", "names"],
)
def test_a_batch_that_failed_does_not_end_a_search_by_functions(
    kinds: list[str], scoring: Any, options: dict[str, Any]
) -> None:
    with pytest.warns(FitFailedWarning, match="All 2 fits of a batch failed. The last error.*it is bad"):
        found = search({"kind": [*kinds, "c"]}, oracle="grid", batch=1, scoring=scoring, **options)
    failed = np.array([kind == "bad" for kind in (*kinds, "c")])
    means = [name for name in found.cv_results_ if name.startswith(("mean_test_", "mean_train_"))]
    assert len(means) == len(set(means)) >= 1 + options.get("return_train_score", False)
    expected = options.get("error_score", np.nan)
    for name in means:
        np.testing.assert_array_equal(found.cv_results_[name][failed], expected)
        assert (found.cv_results_[name][~failed] != expected).all()
    assert "_run" not in vars(found)


def test_a_first_batch_that_failed_ends_a_search_by_a_function() -> None:
    with pytest.raises(ValueError, match="All the 2 fits failed(.|\n)*it is bad"):
        search({"kind": ["bad", "b"]}, oracle="grid", batch=1, scoring=size_of)
    with pytest.raises(ValueError, match="it is bad"):
        search({"kind": ["b", "bad"]}, oracle="grid", batch=1, scoring=size_of, error_score="raise")


def test_hyperband_on_few_candidates_says_that_it_trained_none_to_the_end() -> None:
    few = {"rate": [0.1, 0.01, 0.001], "kind": ["a", "b"]}
    options = {"oracle": "hyperband", "cv": 2, "random_state": 0}
    message = "hyperband ran out of different candidates; none .* more than 1 of 81 epochs. Use HalvingGrid"
    with pytest.warns(UserWarning, match=message):
        OracleSearchCV(Peak(epochs=81), few, **options).fit(X, Y)
    message = (
        "hyperband ended after 3 candidates, before the last round .* the longest training had 1 of 81 epochs"
    )
    with pytest.warns(UserWarning, match=message):
        OracleSearchCV(Peak(epochs=81), few, **options, n_trials=3).fit(X, Y)
    limited = keras_tuner.oracles.HyperbandOracle(objective=MAXIMIZE, max_epochs=81, seed=1)
    limited.max_trials = 3
    with pytest.warns(UserWarning, match=message):
        OracleSearchCV(Peak(), few, oracle=limited, cv=2).fit(X, Y)


def test_hyperband_says_nothing_where_all_brackets_are_finished() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = search(oracle="hyperband", n_trials=23, batch=8)
    assert Counter(found.cv_results_["n_resources"]) == {1: 9, 3: 8, 9: 6}
    with pytest.warns(UserWarning, match="after 10 candidates, .* 3 of 9 epochs. All brackets have 23"):
        cut = search(oracle="hyperband", n_trials=10)
    assert max(cut.cv_results_["n_resources"]) == 3


def test_an_oracle_of_ones_own() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-3, 1e-1, sampling="log")
    oracle = random_oracle(max_trials=4, hyperparameters=hp)
    before = repr(sorted(vars(oracle))), len(oracle.trials), oracle.verbose
    alone = search(None, oracle=oracle)
    assert {tuple(params) for params in alone.cv_results_["params"]} == {("rate",)}
    both = search({"kind": ["b", None]}, oracle=oracle, batch=3)
    assert {tuple(params) for params in both.cv_results_["params"]} == {("rate", "kind")}
    assert len(both.cv_results_["params"]) == 4
    assert (repr(sorted(vars(oracle))), len(oracle.trials), oracle.verbose) == before
    assert [one.name for one in oracle.hyperparameters.space] == ["rate"]
    assert len(search(None, oracle=oracle, n_trials=2).cv_results_["params"]) == 2
    assert len(clone(alone).set_params(n_trials=3).fit(X, Y).cv_results_["params"]) == 3


def test_one_minus_log_comes_out_as_beta() -> None:
    class Momentum(Peak):
        def score(self, X: Any, y: Any) -> float:
            return float(self.rate)

    space = {"rate": one_minus_loguniform(0.9, 0.999)}
    found = OracleSearchCV(Momentum(), space, oracle="random", n_trials=20, cv=2, random_state=0).fit(X, Y)
    rates = [params["rate"] for params in found.cv_results_["params"]]
    assert 0.9 <= min(rates) < 0.95 < 0.99 < max(rates) <= 0.999


def test_several_scores() -> None:
    def by_width(estimator: Any, *_: Any) -> float:
        return -abs(estimator.width - 90)

    scoring = {"peak": lambda estimator, X, y: estimator.score(X, y), "width": by_width}
    found = search(scoring=scoring, refit="width", n_trials=8)
    assert found.best_index_ == np.argmax(found.cv_results_["mean_test_width"])
    with pytest.raises(ValueError, match="several, and refit=False names none of them"):
        search(scoring=scoring, refit=False)
    with pytest.raises(ValueError, match="scoring returns several, and refit=True names none"):
        search(scoring=lambda *_: {"a": 1.0, "b": 2.0})


def test_nothing_is_printed_written_or_kept(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keras_tuner.src.engine import oracle as module

    monkeypatch.chdir(tmp_path)
    known = len(module.LOCKS)
    with pytest.warns(UserWarning, match="hyperband ended after 3 candidates"):
        found = search(n_trials=3, oracle="hyperband")
    assert capfd.readouterr().out == ""
    assert os.listdir(tmp_path) == []
    assert len(module.LOCKS) == known
    assert pickle.loads(pickle.dumps(found)).best_params_ == found.best_params_


def minimizing() -> Any:
    return random_oracle(objective=keras_tuner.Objective("score", "min"), max_trials=3)


def not_ending() -> Any:
    return random_oracle(max_trials=None, hyperparameters=to_hyperparameters({"epochs": [1, 2]}))


def with_width(values: Any) -> Any:
    return random_oracle(max_trials=3, hyperparameters=to_hyperparameters({"width": values}))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"oracle": "tpe"}, ValueError, "'oracle' parameter of OracleSearchCV must be"),
        ({"batch": 0}, ValueError, "'batch' parameter"),
        ({"n_trials": 0}, ValueError, "'n_trials' parameter"),
        ({"space": 3}, ValueError, "'space' parameter"),
        ({"space": None}, ValueError, "oracle='random' needs a space"),
        ({"space": {"rate": 0.1}}, TypeError, "cannot translate parameter 'rate'"),
        ({"oracle": minimizing()}, ValueError, "greater is better; got an oracle with the objective"),
        (
            {"oracle": random_oracle(objective=[MAXIMIZE, MAXIMIZE])},
            ValueError,
            "greater is better; got an oracle with",
        ),
        ({"oracle": random_oracle(), "space": None}, ValueError, "no hyperparameters; pass a space"),
        (
            {"oracle": not_ending()},
            ValueError,
            "RandomSearchOracle proposes trials without end",
        ),
        ({"oracle": with_width([1, 2])}, ValueError, "the oracle has Choice.*width.* space has Choice"),
        (
            {"oracle": with_width([1, 2]), "random_state": 1},
            ValueError,
            "random_state=1 has no effect",
        ),
        (
            {"oracle": with_width(one_minus_loguniform(0.1, 0.2)), "space": {"width": [1, 2]}},
            ValueError,
            "'width' has two ranges",
        ),
        (
            {"oracle": "hyperband", "space": {"epochs": [1, 2]}},
            ValueError,
            "decides 'epochs'; remove it",
        ),
    ],
)
def test_wrong_arguments_before_training(
    options: dict[str, Any], error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Peak, "fit", lambda *_: pytest.fail("it trains"))
    with pytest.raises(error, match=message):
        search(**options)


def test_hyperband_needs_epochs_to_share_out() -> None:
    options: dict[str, Any] = {"oracle": "hyperband", "cv": 2}
    with pytest.raises(ValueError, match="epochs, which must be at least 2; got epochs=1"):
        OracleSearchCV(Peak(epochs=1), {"rate": uniform(0.1, 1)}, **options).fit(X, Y)
    alone = OracleSearchCV(make_pipeline(StandardScaler()), {"standardscaler__copy": [True]}, **options)
    with pytest.raises(ValueError, match="has no parameter 'standardscaler__epochs'; use another oracle"):
        alone.set_params(scoring=lambda *_: 0.0).fit(X, Y)
    with pytest.raises(ValueError, match="OracleSearchCV.fit got epochs=3, but hyperband"):
        OracleSearchCV(KerasMLPRegressor(), {"l2": uniform(0.1, 1)}, **options).fit(X, Y, epochs=3)


def test_an_oracle_that_another_left_in_the_middle() -> None:
    oracle = keras_tuner.oracles.GridSearchOracle(
        objective=MAXIMIZE, hyperparameters=to_hyperparameters({"width": [1, 2]})
    )
    OracleAdapter(oracle).batch(2)
    with pytest.raises(RuntimeError, match="GridSearchOracle waits for the score of a trial, but none"):
        search(None, oracle=oracle)
