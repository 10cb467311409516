"""A search whose candidates an Optuna study proposes."""

import logging
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner, PercentilePruner, SuccessiveHalvingPruner
from optuna.samplers import (
    BruteForceSampler,
    GridSampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import make_regression
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import ParameterGrid, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerashp import KerasMLPRegressor
from kerashp.model_selection import JournalError, OptunaSearchCV
from kerashp.model_selection._optuna.halving import Bracket, Halving
from kerashp.spaces import one_minus_loguniform

X, Y = make_regression(60, 4, random_state=0)
Y = Y / Y.std()
SPACE = {"rate": loguniform(1e-6, 1.0), "kind": ["a", "b", "c"], "width": range(1, 100)}
FITS: list[Any] = []


class Peak(BaseEstimator):
    """Scores best, 0, at rate=0.01, width=30 and kind="b"; fails where `kind` is "bad"."""

    def __init__(self, rate: float = 1.0, kind: Any = "a", width: int = 1, epochs: int = 9):
        self.rate = rate
        self.kind = kind
        self.width = width
        self.epochs = epochs

    def fit(self, X: Any, y: Any) -> "Peak":
        FITS.append(self.get_params())
        if self.kind == "bad":
            raise ValueError("it is bad")
        if self.kind == "stop":
            raise KeyboardInterrupt
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.zeros(len(X))

    def score(self, X: Any, y: Any) -> float:
        return -(abs(np.log10(self.rate) + 2) + abs(self.width - 30) / 100 + (self.kind != "b"))


@pytest.fixture(autouse=True)
def _no_fits() -> None:
    FITS.clear()


def search(space: Any = SPACE, **options: Any) -> OptunaSearchCV:
    seed = {} if options.keys() & {"study", "sampler"} else {"random_state": 0}
    return OptunaSearchCV(Peak(), space, **({"cv": 2} | seed | options)).fit(X, Y)


def params(found: OptunaSearchCV) -> list[dict[str, Any]]:
    return list(found.cv_results_["params"])


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.trials]


def test_batches_and_results() -> None:
    found = search(n_trials=10, batch=4)
    assert list(found.cv_results_["batch"]) == [0] * 4 + [1] * 4 + [2] * 2
    assert {type(each["width"]) for each in params(found)} == {int}
    assert found.best_score_ == max(found.cv_results_["mean_test_score"])
    assert states(found.study_) == ["COMPLETE"] * 10
    assert found.study_.best_params == found.best_params_
    assert found.study_.best_value == found.best_score_
    assert [trial.value for trial in found.study_.trials] == list(found.cv_results_["mean_test_score"])
    attributes = found.study_.trials[3].user_attrs
    assert attributes["candidate"] == 3
    splits = [found.cv_results_[f"split{split}_test_score"][3] for split in range(2)]
    assert attributes["split_test_score"] == splits
    assert attributes["seconds"] > 0


def test_defaults_make_four_batches() -> None:
    found = OptunaSearchCV(Peak(), {"rate": loguniform(1e-6, 1.0)}).fit(X, Y)
    assert Counter(found.cv_results_["batch"]) == {0: 8, 1: 8, 2: 8, 3: 8}
    assert isinstance(found.study_.sampler, TPESampler)


def test_random_state_decides() -> None:
    first = params(search(n_trials=12, batch=5))
    assert params(search(n_trials=12, batch=5)) == first
    assert params(search(n_trials=12, batch=5, random_state=1)) != first


def test_the_sampler_learns() -> None:
    found = search({"rate": loguniform(1e-6, 1.0), "kind": ["b", "c"]}, n_trials=32)
    scores, batches = found.cv_results_["mean_test_score"], np.array(found.cv_results_["batch"])
    assert np.mean(scores[batches == 3]) > np.mean(scores[batches == 0])
    assert found.best_params_["kind"] == "b"


def test_candidates_of_a_batch_differ_where_running_trials_count() -> None:
    space = {"rate": loguniform(1e-6, 1.0)}
    found = search(space, n_trials=40, batch=20)
    rates = np.log10([each["rate"] for each in params(found)[20:]])
    assert np.ptp(rates) > 0.5


def test_random_trials_of_several_batches_differ() -> None:
    found = search({"rate": loguniform(1e-6, 1.0)}, n_trials=40, batch=2)
    assert len({trial.params["rate"] for trial in found.study_.trials[:10]}) == 10


@pytest.mark.parametrize(
    "sampler",
    [
        RandomSampler(seed=1),
        TPESampler(seed=1, multivariate=False),
        NSGAIISampler(seed=1),
    ],
    ids=lambda sampler: type(sampler).__name__,
)
def test_samplers_of_optuna_are_copied(sampler: Any) -> None:
    space = {"rate": loguniform(1e-6, 1.0), "width": range(1, 100)}
    first, again = (search(space, sampler=sampler, n_trials=6, batch=3) for _ in range(2))
    assert params(first) == params(again)
    assert type(first.study_.sampler) is type(sampler)
    assert first.study_.sampler is not sampler


@pytest.mark.filterwarnings("ignore:BruteForceSampler is experimental")
def test_samplers_of_finite_spaces_end_the_search() -> None:
    space = {"kind": ["a", "b"], "width": [10, 20, 30]}
    for sampler in (GridSampler(space, seed=0), BruteForceSampler(seed=0)):
        found = search(space, sampler=sampler, batch=4)
        assert len(params(found)) == 6
        assert all(each in params(found) for each in ParameterGrid(space))
        assert found.best_params_ == {"kind": "b", "width": 30}


@pytest.mark.filterwarnings("ignore:BruteForceSampler is experimental")
def test_a_list_of_spaces() -> None:
    spaces = [{"kind": ["a"], "width": [1, 2, 3]}, {"kind": ["b", "c"], "rate": [0.1, 0.01]}]
    found = search(spaces, sampler=BruteForceSampler(seed=0))
    assert len(params(found)) == 7
    assert all(each in params(found) for each in ParameterGrid(spaces))
    assert found.best_params_ == {"kind": "b", "rate": 0.01}
    assert {name for trial in found.study_.trials for name in trial.params} == {
        "kerashp/space",
        "kerashp/0/kind",
        "kerashp/1/kind",
        "width",
        "rate",
    }


def test_distributions_of_optuna_and_others_mixed() -> None:
    space = {
        "rate": FloatDistribution(1e-3, 1e-1, log=True),
        "width": IntDistribution(10, 50, step=10),
        "kind": CategoricalDistribution(["b", None]),
        "epochs": [(1, 2), None],
    }
    found = search(space, n_trials=12)
    assert {each["width"] for each in params(found)} <= {10, 20, 30, 40, 50}
    assert {each["kind"] for each in params(found)} == {"b", None}
    assert {each["epochs"] for each in params(found)} == {(1, 2), None}
    assert {trial.params["position of epochs"] for trial in found.study_.trials} == {0, 1}


def test_one_minus_log_comes_out_as_beta() -> None:
    found = search({"rate": one_minus_loguniform(0.9, 0.999)}, sampler=RandomSampler(seed=0), n_trials=20)
    rates = [each["rate"] for each in params(found)]
    assert 0.9 <= min(rates) < 0.95 < 0.99 < max(rates) <= 0.999
    assert found.study_.trials[0].params == {"1 - rate": pytest.approx(1 - rates[0])}


def test_what_is_proposed_twice_is_trained_once() -> None:
    found = search({"kind": ["a", "b"]}, n_trials=12, batch=3, refit=False)
    assert sorted(each["kind"] for each in params(found)) == ["a", "b"]
    assert len(FITS) == 4
    values = {(trial.params["kind"], trial.value) for trial in found.study_.trials}
    assert states(found.study_) == ["COMPLETE"] * 12
    assert len(values) == 2


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_failure_is_a_failed_trial_and_the_search_goes_on() -> None:
    space = {"kind": ["bad", "b"], "rate": [1.0, 0.1, 0.01, 0.001]}
    with pytest.warns(FitFailedWarning, match="fits failed|it is bad"):
        found = search(space, sampler=GridSampler(space, seed=0), batch=1)
    for trial, each in zip(found.study_.trials, params(found), strict=True):
        assert trial.state.name == ("FAIL" if each["kind"] == "bad" else "COMPLETE")
    assert found.best_params_ == {"kind": "b", "rate": 0.01}


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_where_all_failed() -> None:
    with (
        pytest.warns(FitFailedWarning, match="it is bad"),
        pytest.raises(ValueError, match="OptunaSearchCV: all 2 candidates failed"),
    ):
        search({"kind": ["bad"], "rate": [0.1, 0.01]}, n_trials=9)
    storage = optuna.storages.InMemoryStorage()
    with pytest.raises(ValueError, match="it is bad"):
        search({"kind": ["bad"]}, error_score="raise", storage=storage, study_name="raised", n_trials=1)
    assert states(optuna.load_study(study_name="raised", storage=storage)) == ["FAIL"]


# Pruning.


def test_the_best_of_all_that_reached_a_rung_go_on() -> None:
    halving = Halving([Bracket((1, 3, 9), factor=3, bootstrap=0)])
    for score in (1.0, 2.0):
        halving.add(0, 1, score)
    assert [halving.goes_on(0, 1, score) for score in (1.0, 2.0)] == [False, True]  # the best of fewer than 3
    for score in (5.0, 4.0, 3.0, 0.0):
        halving.add(0, 1, score)
    assert [score for score in (5.0, 4.0, 3.0, 0.0) if halving.goes_on(0, 1, score)] == [5.0, 4.0]
    patient = Halving([Bracket((1, 9), factor=3, bootstrap=2)])
    patient.add(0, 1, 1.0)
    patient.add(0, 1, 2.0)
    assert not patient.goes_on(0, 1, 2.0)
    patient.add(0, 1, 3.0)
    assert patient.goes_on(0, 1, 3.0)


def test_successive_halving_gives_epochs() -> None:
    found = search(pruner=SuccessiveHalvingPruner(1, reduction_factor=3), n_trials=9, batch=9)
    results = found.cv_results_
    assert list(results["n_resources"]) == [1] * 9 + [3] * 3 + [9]
    assert list(results["round"]) == [0] * 9 + [1] * 3 + [2]
    assert [each["epochs"] for each in params(found)] == list(results["n_resources"])
    assert Counter(states(found.study_)) == {"PRUNED": 8, "COMPLETE": 1}
    best = sorted(results["mean_test_score"][:9])[-3]
    for position, parent in enumerate(results["parent"]):
        assert (parent == -1) == (results["round"][position] == 0)
        if parent >= 0:
            before = {**params(found)[position], "epochs": results["n_resources"][parent]}
            assert params(found)[parent] == before
            assert results["mean_test_score"][parent] >= best
    (complete,) = (trial for trial in found.study_.trials if trial.state.name == "COMPLETE")
    assert list(complete.intermediate_values) == [1, 3, 9]
    assert complete.value == complete.intermediate_values[9]


def test_a_later_batch_competes_with_those_before() -> None:
    found = search(pruner=SuccessiveHalvingPruner(3, reduction_factor=2), n_trials=12, batch=4)
    results = found.cv_results_
    at_rung: list[float] = []
    for batch in range(3):
        of_batch = [row for row in range(len(params(found))) if results["batch"][row] == batch]
        first = [row for row in of_batch if results["round"][row] == 0]
        at_rung += [results["mean_test_score"][row] for row in first]
        gone_on = {results["parent"][row] for row in of_batch if results["round"][row] == 1}
        bar = sorted(at_rung)[-len(at_rung) // 2]
        assert gone_on == {row for row in first if results["mean_test_score"][row] >= bar}


def test_trials_of_an_earlier_search_compete() -> None:
    study = optuna.create_study(direction="maximize", pruner=SuccessiveHalvingPruner(1, reduction_factor=3))
    space = {"rate": SPACE["rate"]}
    for rate in (0.01, 0.011, 0.012):
        study.enqueue_trial({"rate": rate})
    search(space, study=study, n_trials=3)
    assert sorted(states(study)) == ["COMPLETE", "PRUNED", "PRUNED"]
    for rate in (1e-5, 1e-6):  # the better one of them would go on if it were alone
        study.enqueue_trial({"rate": rate})
    search(space, study=study, n_trials=5)
    assert states(study)[3:] == ["PRUNED", "PRUNED"]


def test_hyperband_has_the_brackets_that_optuna_gives() -> None:
    found = search(pruner=HyperbandPruner(1), n_trials=16, batch=8)
    results = found.cv_results_
    firsts = {
        (b, n)
        for b, r, n in zip(results["bracket"], results["round"], results["n_resources"], strict=True)
        if r == 0
    }
    assert firsts == {(0, 1), (1, 3), (2, 9)}
    pruner = found.study_.pruner
    brackets = [pruner._get_bracket_id(found.study_, trial) for trial in found.study_.trials]
    assert brackets == [b for b, r in zip(results["bracket"], results["round"], strict=True) if r == 0]
    assert params(search(pruner=HyperbandPruner(1), n_trials=16, batch=8)) == params(found)


@pytest.mark.slow
def test_survivors_go_on_from_their_weights() -> None:
    mlp = KerasMLPRegressor(1, 4, epochs=4, batch_size=32, random_state=0, tol=None)
    pipeline = make_pipeline(StandardScaler(), mlp)
    space = {"kerasmlpregressor__learning_rate": loguniform(1e-3, 1e-1)}
    pruner = SuccessiveHalvingPruner(2, reduction_factor=2)
    arguments = {"pruner": pruner, "n_trials": 4, "batch": 4, "cv": 2, "random_state": 0}
    found = OptunaSearchCV(pipeline, space, **arguments).fit(X, Y)
    assert list(found.cv_results_["n_resources"]) == [2, 2, 2, 2, 4, 4]
    for row in (4, 5):
        parent = found.cv_results_["parent"][row]
        for curves, before in zip(found.histories_[row], found.histories_[parent], strict=True):
            assert curves["loss"][:2] == before["loss"]
    assert found.epochs_saved_ == 2 * 2 * 2
    best = clone(pipeline).set_params(**found.best_params_)
    found_again = cross_val_score(best, X, Y, cv=2)
    splits = [found.cv_results_[f"split{split}_test_score"][found.best_index_] for split in range(2)]
    np.testing.assert_allclose(found_again, splits, rtol=1e-4)


# Studies that exist, and storages.


def test_a_study_of_the_users() -> None:
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=3))
    study.enqueue_trial({"rate": 0.01, "kind": "b"})
    space = {"rate": SPACE["rate"], "kind": SPACE["kind"]}
    first = search(space, study=study, n_trials=5, batch=2)
    assert params(first)[0] == first.best_params_ == {"rate": 0.01, "kind": "b"}
    assert len(study.trials) == 5
    assert isinstance(study.pruner, MedianPruner)
    FITS.clear()
    second = search(space, study=study, n_trials=8, batch=2)
    assert len(study.trials) == 8
    assert len(params(second)) == 1 + 3  # the best of the earlier ones, too
    assert params(second)[0] == second.best_params_ == {"rate": 0.01, "kind": "b"}
    assert list(second.cv_results_["batch"]) == [0, 0, 0, 1]
    only_best = search(space, study=study, n_trials=8)
    assert params(only_best) == [{"rate": 0.01, "kind": "b"}]


def test_a_storage_continues(tmp_path: Path) -> None:
    storage = {"storage": f"sqlite:///{tmp_path}/study.db", "study_name": "peak"}
    search(**storage, n_trials=6, batch=3)
    found = search(**storage, n_trials=10, batch=3)
    assert states(found.study_) == ["COMPLETE"] * 10
    assert found.best_score_ == found.study_.best_value
    assert len(params(found)) == 1 + 4
    assert pickle.loads(pickle.dumps(found)).best_params_ == found.best_params_
    new = search(storage=storage["storage"], n_trials=2)
    assert len(new.study_.trials) == 2
    assert len(optuna.get_all_study_names(storage["storage"])) == 2


def test_earlier_trials_of_another_space_are_not_trained_again() -> None:
    study = optuna.create_study(direction="maximize")
    search({"rate": SPACE["rate"]}, study=study, n_trials=2)
    found = search({"width": [1, 2]}, study=study, n_trials=4)
    assert {tuple(each) for each in params(found)} == {("width",)}
    with pytest.raises(ValueError, match="has 4 trials already, and n_trials=4 allows no more"):
        search({"kind": ["a"]}, study=study, n_trials=4)


@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError])
def test_a_stopped_search_leaves_no_trial_running(error: type[BaseException]) -> None:
    study = optuna.create_study(direction="maximize", sampler=GridSampler({"kind": ["b", "stop"]}, seed=0))
    options: dict[str, Any] = {"study": study, "batch": 2}
    kinds = ["b", "stop"]
    if error is TimeoutError:
        options["timeout"] = 1e-9
    with pytest.raises(error, match="No candidate was finished"):
        search({"kind": kinds}, **options)
    assert set(states(study)) <= {"FAIL"}


def test_a_search_that_ctrl_c_ends_has_its_finished_trials() -> None:
    kinds = {"kind": ["b", "stop"]}
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial({"kind": "b"})
    study.enqueue_trial({"kind": "stop"})
    with pytest.warns(UserWarning, match="stopped by Ctrl-C: 1 of 2 candidates"):
        found = search(kinds, study=study, batch=1, n_trials=2)
    assert states(study) == ["COMPLETE", "FAIL"]
    assert found.best_params_ == {"kind": "b"}
    assert "stopped" in study.trials[1].user_attrs["kerashp"]
    study.enqueue_trial({"kind": "b"})
    search(kinds, study=study, batch=1, n_trials=2)  # one more: a stopped trial does not count
    assert states(study) == ["COMPLETE", "FAIL", "COMPLETE"]


# With a journal.


@pytest.mark.parametrize("pruner", [None, SuccessiveHalvingPruner(1, 3)], ids=["all epochs", "pruned"])
@pytest.mark.parametrize("where", ["memory", "storage"])
def test_a_journal_continues(
    tmp_path: Path, where: str, pruner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = search(n_trials=12, batch=4, pruner=pruner, journal=tmp_path / "whole")
    n_fits = len(FITS)
    options: dict[str, Any] = {"n_trials": 12, "batch": 4, "pruner": pruner, "journal": tmp_path / "journal"}
    if where == "storage":
        options |= {"storage": f"sqlite:///{tmp_path}/study.db", "study_name": "OptunaSearchCV"}
    FITS.clear()
    original, fit = Peak.fit, Peak.fit

    def interrupted(self: Peak, X: Any, y: Any) -> Peak:
        if len(FITS) == 11:
            raise KeyboardInterrupt
        return original(self, X, y)

    monkeypatch.setattr(Peak, "fit", interrupted)
    with pytest.warns(UserWarning, match="stopped by Ctrl-C"):
        search(**options, refit=False)
    monkeypatch.setattr(Peak, "fit", fit)
    FITS.clear()
    found = search(**options)
    assert 0 < len(FITS) <= n_fits - 11
    assert params(found) == params(expected)
    np.testing.assert_array_equal(
        found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    finished = [trial for trial in found.study_.trials if trial.state.name != "FAIL"]
    assert Counter(trial.state.name for trial in finished) == Counter(states(expected.study_))
    assert sorted(trial.value for trial in finished) == sorted(
        trial.value for trial in expected.study_.trials
    )
    n_trials = len(found.study_.trials)
    FITS.clear()
    again = search(**options)
    assert len(FITS) == 1  # the refit
    assert params(again) == params(expected)
    assert len(again.study_.trials) == (n_trials if where == "storage" else 12)
    with pytest.raises(
        JournalError, match="is the journal of another search, which differs in: the candidates"
    ):
        search(**{**options, "random_state": 1, "storage": None, "study_name": None})


def test_a_killed_search_continues_from_its_storage_and_journal(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "n_trials": 8,
        "batch": 4,
        "journal": tmp_path / "journal",
        "storage": f"sqlite:///{tmp_path}/study.db",
        "study_name": "killed",
    }
    expected = search(**options)
    study = expected.study_
    killed = optuna.create_study(storage=options["storage"], study_name="copy", direction="maximize")
    for trial in study.trials[:6]:
        killed.add_trial(trial)
    for trial in study.trials[6:]:  # running when the process was killed
        running = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs={"kerashp": trial.user_attrs["kerashp"]},
        )
        killed.add_trial(running)
    found = search(**{**options, "study_name": "copy"})
    assert params(found) == params(expected)
    assert Counter(states(killed)) == {"COMPLETE": 8, "FAIL": 2}


# Several scores.


def width_of(estimator: Any, *_: Any) -> float:
    return -abs(estimator.width - 90)


def score_of(estimator: Any, X: Any, y: Any) -> float:
    return estimator.score(X, y)


SCORING = {"peak": score_of, "width": width_of}


def test_one_of_several_scores() -> None:
    found = search(scoring=SCORING, refit="width", n_trials=8)
    assert found.best_index_ == np.argmax(found.cv_results_["mean_test_width"])
    assert found.study_.best_value == max(found.cv_results_["mean_test_width"])
    assert set(found.study_.trials[0].user_attrs) >= {"split_test_peak", "split_test_width"}
    with pytest.raises(ValueError, match="several, and refit=False names none of them"):
        search(scoring=SCORING, refit=False)


def test_all_of_several_scores() -> None:
    found = search(
        scoring=SCORING, refit="width", n_trials=8, sampler=NSGAIISampler(seed=0, population_size=4)
    )
    assert len(found.study_.directions) == 2
    assert found.study_.metric_names == ["peak", "width"]
    for trial, *scores in zip(
        found.study_.trials,
        found.cv_results_["mean_test_peak"],
        found.cv_results_["mean_test_width"],
        strict=True,
    ):
        assert trial.values == scores
    front = {trial.number for trial in found.study_.best_trials}
    assert found.best_index_ in front
    study = optuna.create_study(directions=["maximize"] * 2, sampler=TPESampler(seed=0))
    front = search(scoring=SCORING, refit=False, n_trials=4, study=study).study_.best_trials
    assert front
    again = search(scoring=SCORING, refit="width", n_trials=4, study=study)
    assert again.best_score_ == max(trial.values[1] for trial in study.trials)


# Side effects.


def test_nothing_is_logged_or_left_changed(caplog: pytest.LogCaptureFixture) -> None:
    optuna.logging.set_verbosity(optuna.logging.INFO)
    search(n_trials=3)
    assert not caplog.records
    assert optuna.logging.get_verbosity() == logging.INFO
    search(n_trials=3, verbose=1)
    assert "A new study created in memory" in caplog.text


def test_optuna_is_imported_at_use_and_missed_by_name() -> None:
    code = """
import sys
sys.modules["optuna"] = None
from kerashp.model_selection import OptunaSearchCV
from sklearn.linear_model import Ridge
try:
    OptunaSearchCV(Ridge(), {"alpha": [1.0]}).fit([[1.0]] * 9, [1.0] * 9)
except ImportError as error:
    print(error)
"""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert 'install it with: pip install "kerashp[optuna]"' in run.stdout


def minimizing() -> optuna.Study:
    return optuna.create_study()


def of_two() -> optuna.Study:
    return optuna.create_study(directions=["maximize"] * 2)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sampler": "tpe"}, ValueError, "'sampler' parameter of OptunaSearchCV must be"),
        ({"pruner": "halving"}, ValueError, "SuccessiveHalvingPruner or HyperbandPruner, .* got str"),
        ({"batch": 0}, ValueError, "'batch' parameter"),
        ({"n_trials": 0}, ValueError, "'n_trials' parameter"),
        ({"space": None}, ValueError, "'space' parameter"),
        ({"space": [3]}, TypeError, "space must be a dict from names to distributions"),
        ({"space": {"rate": 0.1}}, TypeError, "cannot translate parameter 'rate', got 0.1; .* and Optuna's"),
        ({"space": {"1 - rate": [0.1]}}, ValueError, "rename parameter '1 - rate'"),
        (
            {"sampler": RandomSampler(), "random_state": 1},
            ValueError,
            "random_state=1 is the seed of the default",
        ),
        (
            {"study": minimizing()},
            ValueError,
            r"got a study with the directions \['minimize'\]. Create it with",
        ),
        ({"study": of_two()}, ValueError, "the study has 2 objectives, but scoring names 0 scores"),
        (
            {"study": minimizing(), "storage": "sqlite://"},
            ValueError,
            "storage='sqlite://' has no effect on a study",
        ),
        ({"study": minimizing(), "pruner": NopPruner()}, ValueError, "pruner=.* has no effect on a study"),
        (
            {"study": minimizing(), "sampler": RandomSampler()},
            ValueError,
            "sampler=.* has no effect on a study",
        ),
        ({"study": minimizing(), "study_name": "a"}, ValueError, "study_name='a' has no effect on a study"),
        (
            {"pruner": MedianPruner()},
            ValueError,
            "SuccessiveHalvingPruner or HyperbandPruner, .* got MedianPruner",
        ),
        (
            {"study": optuna.create_study(direction="maximize", pruner=PercentilePruner(25.0))},
            ValueError,
            "got PercentilePruner. Leave pruner=None",
        ),
        (
            {"pruner": SuccessiveHalvingPruner(9)},
            ValueError,
            "SuccessiveHalvingPruner first compares candidates after at least 9 epochs, but they train for 9",
        ),
        (
            {"pruner": HyperbandPruner(), "space": {"epochs": [1, 2]}},
            ValueError,
            "the pruner decides 'epochs'; remove",
        ),
        (
            {"pruner": HyperbandPruner(), "sampler": NSGAIISampler(), "scoring": SCORING, "refit": "width"},
            ValueError,
            "HyperbandPruner compares candidates by one score, but the study has the obj",
        ),
    ],
)
def test_wrong_arguments_before_training(
    options: dict[str, Any], error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Peak, "fit", lambda *_: pytest.fail("it trains"))
    with pytest.raises(error, match=message):
        search(**options)


def test_a_stored_study_of_other_directions_is_refused(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    optuna.create_study(storage=storage, study_name="peak")
    message = r"has a study 'peak' with the directions \['minimize'\], but this search needs \['maximize'\]"
    with pytest.raises(ValueError, match=message):
        search(storage=storage, study_name="peak")


@pytest.mark.parametrize(
    ("space", "held"),
    [
        (
            {"rate": loguniform(1e-3, 1.0), "width": [1, 2]},
            r"'width' is of Int\w+\(.*\); got Categorical\w+\(.*\)",
        ),
        (
            {"rate": FloatDistribution(1e-3, 1.0)},
            r"'rate' is of Float\w+\(.*log=True.*\); got Float.* log config",
        ),
        (
            [{"width": range(1, 9)}, {"kind": ["a", "b"]}],
            r"'kind' is of .*\('a', 'b', 'c'\)\); got .*\('a', 'b'\)\)",
        ),
    ],
    ids=["kind", "log", "choices"],
)
def test_distributions_that_a_study_cannot_have_are_refused(
    space: Any, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optuna.create_study(direction="maximize")
    search(study=study, n_trials=2)
    monkeypatch.setattr(Peak, "fit", lambda *_: pytest.fail("it trains"))
    message = (
        rf"the study '{study.study_name}' has trials in which {held}.* Pass that distribution, or another"
    )
    with pytest.raises(ValueError, match=message):
        search(space, study=study, n_trials=4)
    assert len(study.trials) == 2


def test_ranges_of_a_study_may_change() -> None:
    study = optuna.create_study(direction="maximize")
    search(study=study, n_trials=2)
    search({**SPACE, "rate": loguniform(1e-9, 1e-3), "width": range(1, 9, 2)}, study=study, n_trials=4)
    assert len(study.trials) == 4


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("study.db", r"URL of a database, .*; got 'study\.db'\. For a file, pass 'sqlite:///study\.db'"),
        (
            "sqlite:///no_such_folder/study.db",
            r"storage='sqlite://\.\.\.' cannot be opened: .* Check the URL, and",
        ),
        ("unknown://me:secret@host", r"storage='unknown://\.\.\.' cannot be opened: .*unknown"),
    ],
)
def test_a_storage_that_cannot_be_opened(storage: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Peak, "fit", lambda *_: pytest.fail("it trains"))
    with pytest.raises(ValueError, match=f"(?s)^OptunaSearchCV: .*{message}") as caught:
        search(storage=storage)
    assert "secret" not in str(caught.value)


def test_a_pruner_needs_epochs_to_share_out() -> None:
    options: dict[str, Any] = {"pruner": HyperbandPruner(), "cv": 2}
    with pytest.raises(ValueError, match="the pruner trains .* at least 2; got epochs=1"):
        OptunaSearchCV(Peak(epochs=1), {"rate": [0.1]}, **options).fit(X, Y)
    alone = OptunaSearchCV(make_pipeline(StandardScaler()), {"standardscaler__copy": [True]}, **options)
    with pytest.raises(ValueError, match="has no parameter 'standardscaler__epochs'; leave pruner=None"):
        alone.set_params(scoring=lambda *_: 0.0).fit(X, Y)
    with pytest.raises(ValueError, match="OptunaSearchCV.fit got epochs=3, but the pruner decides"):
        OptunaSearchCV(KerasMLPRegressor(), {"l2": [0.1]}, **options).fit(X, Y, epochs=3)
