"""What a search tells its loggers, when, and what it does with one that fails."""

import pickle
import threading
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.model_selection import KFold

from kerashp import KerasMLPRegressor
from kerashp.integrations import CandidateResult, LoggerWarning, SearchDescription
from kerashp.model_selection import (
    CoarseToFineSearchCV,
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    JournalError,
    OptunaSearchCV,
    OracleSearchCV,
    RandomizedSearchCV,
)
from kerashp.model_selection._fits.result import FitResult
from kerashp.model_selection._logging.plain_values import plain_value
from kerashp.model_selection._logging.reporter import candidate_result
from kerashp.model_selection._running import evaluation
from kerashp.model_selection._storage.records import Records

pytestmark = pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")

X = np.random.default_rng(0).normal(size=(60, 3))
Y = X @ [1.0, -1.0, 0.5]
RATES = {"rate": [0.1, 0.01, 0.001]}
FITS: list[float] = []
ERRORS: dict[float, BaseException] = {}


class Counted(BaseEstimator):
    """Scores best at rate=0.01; tells of its fits, and fails at the rates in `ERRORS`."""

    def __init__(self, rate: float = 1.0):
        self.rate = rate

    def fit(self, X: Any, y: Any) -> "Counted":
        FITS.append(self.rate)
        if self.rate in ERRORS:
            raise ERRORS[self.rate]
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.zeros(len(X))

    def score(self, X: Any, y: Any) -> float:
        return -abs(np.log10(self.rate) + 2)


class Recorder:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def begin(self, search: SearchDescription) -> None:
        self.calls.append(("begin", search))

    def candidate(self, result: CandidateResult) -> None:
        self.calls.append(("candidate", result))

    def best(self, estimator: Any) -> None:
        self.calls.append(("best", estimator))

    def end(self, status: str) -> None:
        self.calls.append(("end", status))

    @property
    def methods(self) -> list[str]:
        return [method for method, _ in self.calls]

    @property
    def search(self) -> SearchDescription:
        return self.calls[0][1]

    @property
    def candidates(self) -> list[CandidateResult]:
        return [argument for method, argument in self.calls if method == "candidate"]

    @property
    def status(self) -> str:
        return self.calls[-1][1]


class Failing(Recorder):
    """Raises an error in one of its methods."""

    def __init__(self, method: str, error: BaseException):
        super().__init__()

        def fail(argument: Any) -> None:
            self.calls.append((method, argument))
            raise error

        setattr(self, method, fail)


@pytest.fixture(autouse=True)
def _no_fits() -> None:
    FITS.clear()
    ERRORS.clear()


def grid(loggers: Any, estimator: Any = None, **options: Any) -> GridSearchCV:
    return GridSearchCV(estimator or Counted(), RATES, **{"cv": KFold(2), "loggers": loggers, **options})


# What it is told, and when.


def test_calls_come_in_order() -> None:
    order: list[Any] = []

    class Ordered(Recorder):
        def candidate(self, result: CandidateResult) -> None:
            order.append(("logged", result.params["rate"], len(FITS)))
            super().candidate(result)

    logger = Ordered()
    search = grid(logger).fit(X, Y)
    assert logger.methods == ["begin", "candidate", "candidate", "candidate", "best", "end"]
    assert order == [("logged", 0.1, 2), ("logged", 0.01, 4), ("logged", 0.001, 6)]
    assert logger.calls[-2][1] is search.best_estimator_
    assert logger.status == "finished"


def test_the_search_is_described() -> None:
    first, second = Recorder(), Recorder()
    search = grid(first).fit(X, Y)
    assert first.search == SearchDescription(search.search_id_, "GridSearchCV of Counted", RATES, 2)
    assert first.search.space is search.param_grid
    assert len(first.search.id) == 32
    int(first.search.id, 16)
    grid(second).fit(X, Y)
    assert second.search.id != first.search.id


def test_a_candidate_has_what_the_results_have() -> None:
    logger = Recorder()
    mlp = KerasMLPRegressor(1, 4, epochs=3, tol=None, random_state=0)
    search = GridSearchCV(
        mlp, {"learning_rate": [0.1, 0.01]}, cv=KFold(3), return_train_score=True, loggers=[logger]
    ).fit(X, Y)
    results = search.cv_results_
    assert sorted(result.index for result in logger.candidates) == [0, 1]
    for result in logger.candidates:
        row = {name: column[result.index] for name, column in results.items()}
        assert result.params == row["params"]
        for kind, scores in (("test", result.test_scores), ("train", result.train_scores)):
            assert scores["score"].tolist() == [row[f"split{split}_{kind}_score"] for split in range(3)]
        assert result.mean_test_scores() == {"score": pytest.approx(row["mean_test_score"])}
        assert result.histories == search.histories_[result.index]
        assert result.best_epochs == [row[f"split{split}_best_epoch"] for split in range(3)]
        seconds = 3 * (row["mean_fit_time"] + row["mean_score_time"])
        assert result.seconds == pytest.approx(seconds)
        assert (result.status, result.error) == ("finished", None)
        losses = [history["loss"] for history in search.histories_[result.index]]
        np.testing.assert_allclose(result.mean_history()["loss"], np.mean(losses, axis=0))


def test_several_scores_have_their_names() -> None:
    logger = Recorder()
    scoring = ["neg_mean_absolute_error", "r2"]
    search = grid(logger, scoring=scoring, refit="r2").fit(X, Y)
    for result in logger.candidates:
        assert list(result.test_scores) == scoring
        means = [search.cv_results_[f"mean_test_{name}"][result.index] for name in scoring]
        assert list(result.mean_test_scores().values()) == pytest.approx(means)


def test_a_failed_fit_may_have_one_score_for_several_names() -> None:
    """Where `scoring` is a function, scikit-learn does not know what it would have returned."""
    scores = [FitResult(np.nan, fit_error="no"), FitResult({"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 4.0})]
    result = candidate_result(0, {}, scores)
    np.testing.assert_array_equal(result.test_scores["a"], [np.nan, 1.0])
    np.testing.assert_array_equal(result.test_scores["b"], [np.nan, 2.0])
    assert (result.status, result.error) == ("failed", "no")


def test_a_mean_curve_is_over_the_splits_that_have_the_epoch() -> None:
    histories = [{"loss": [4.0, 2.0, 1.0]}, None, {"loss": [2.0], "val_loss": [5.0]}]
    result = CandidateResult(0, {}, {"score": np.array([1.0, np.nan, 1.0])}, {}, histories, [2, None, 0], 0.0)
    assert result.mean_history() == {"loss": [3.0, 2.0, 1.0], "val_loss": [5.0]}
    assert np.isnan(result.mean_test_scores()["score"])


def test_without_refit_there_is_no_best() -> None:
    logger = Recorder()
    grid(logger, refit=False).fit(X, Y)
    assert logger.methods == ["begin", *["candidate"] * 3, "end"]


@pytest.mark.parametrize("loggers", [None, []])
def test_no_logger_is_needed(loggers: Any) -> None:
    assert grid(loggers).fit(X, Y).best_params_ == {"rate": 0.01}


@pytest.mark.parametrize(
    "search",
    [
        GridSearchCV(Counted(), RATES),
        RandomizedSearchCV(Counted(), RATES, n_iter=3, random_state=0),
        HalvingGridSearchCV(Counted(), RATES, resource="n_samples", min_resources=20),
        HalvingRandomSearchCV(
            Counted(), RATES, resource="n_samples", min_resources=20, n_candidates=3, random_state=0
        ),
        CoarseToFineSearchCV(Counted(), {"rate": loguniform(1e-4, 1.0)}, n_iter=3, random_state=0),
        OracleSearchCV(Counted(), RATES, oracle="grid", n_trials=3),
        OptunaSearchCV(Counted(), RATES, n_trials=3, batch=2, random_state=0),
    ],
    ids=lambda search: type(search).__name__,
)
def test_every_search_reports_all_candidates(search: Any) -> None:
    logger = Recorder()
    search = clone(search).set_params(cv=KFold(2), loggers=logger)
    results = search.fit(X, Y).cv_results_
    assert logger.methods == ["begin", *["candidate"] * len(results["params"]), "best", "end"]
    logged = {result.index: result for result in logger.candidates}
    assert sorted(logged) == list(range(len(results["params"])))
    assert logger.search.name.startswith(type(search).__name__)
    for index, params in enumerate(results["params"]):
        assert logged[index].params == params
        assert logged[index].mean_test_scores()["score"] == results["mean_test_score"][index]


def test_survivors_of_halving_are_candidates_of_each_iteration_with_whole_curves() -> None:
    logger = Recorder()
    mlp = KerasMLPRegressor(1, 4, epochs=4, tol=None, random_state=0)
    search = HalvingGridSearchCV(
        mlp, {"learning_rate": [0.1, 0.01]}, factor=2, cv=2, min_resources=2, refit=False, loggers=logger
    ).fit(X, Y)
    assert search.n_resources_ == [2, 4]
    by_index = {result.index: result for result in logger.candidates}
    assert [by_index[index].params["epochs"] for index in range(3)] == [2, 2, 4]
    assert [len(by_index[index].mean_history()["loss"]) for index in range(3)] == [2, 2, 4]


# Failures, and ends before the end.


def test_a_candidate_that_fails_says_why() -> None:
    logger = Recorder()
    ERRORS[0.01] = ValueError("no such rate\nin words")
    with pytest.warns(FitFailedWarning):
        grid(logger).fit(X, Y)
    failed = logger.candidates[1]
    assert (failed.index, failed.status, failed.error) == (1, "failed", "in words")
    assert np.isnan(failed.test_scores["score"]).all()
    assert [result.status for result in logger.candidates] == ["finished", "failed", "finished"]
    assert logger.status == "finished"


def test_a_search_whose_candidates_all_fail_has_failed() -> None:
    logger = Recorder()
    ERRORS[0.01] = ValueError("no")
    with pytest.raises(ValueError, match="All the 2 fits failed"):
        grid(logger).set_params(param_grid={"rate": [0.01]}).fit(X, Y)
    assert [result.error for result in logger.candidates] == ["ValueError: no"]
    assert logger.methods == ["begin", "candidate", "end"]
    assert logger.status == "failed"


def test_a_batch_of_an_oracle_that_fails_keeps_its_errors() -> None:
    logger = Recorder()
    ERRORS[0.1] = ValueError("no")
    search = OracleSearchCV(Counted(), RATES, oracle="grid", batch=1, cv=KFold(2), loggers=logger)
    with pytest.warns(FitFailedWarning, match="All 2 fits of a batch failed"):
        search.fit(X, Y)
    by_rate = {result.params["rate"]: result for result in logger.candidates}
    assert (by_rate[0.1].status, by_rate[0.1].error) == ("failed", "ValueError: no")
    assert by_rate[0.01].status == "finished"


def test_what_is_refused_before_training_is_not_logged() -> None:
    logger = Recorder()
    with pytest.raises(ValueError, match="needs an estimator of kerashp"):
        grid(logger, refit_epochs="cv").fit(X, Y)
    assert logger.calls == []


def test_a_scorer_that_fails_on_all_splits_leaves_no_log() -> None:
    logger = Recorder()
    mlp = KerasMLPRegressor(1, 4, epochs=1)
    with pytest.raises(ValueError, match="so nothing was trained"):
        grid(logger, mlp, scoring="neg_mean_gamma_deviance").set_params(param_grid={"l2": [0.1]}).fit(X, Y)
    assert logger.calls == []


def test_an_interrupted_search_has_stopped() -> None:
    logger = Recorder()
    ERRORS[0.01] = KeyboardInterrupt()
    with pytest.warns(UserWarning, match=r"stopped by Ctrl-C: 1 of 3 candidates"):
        search = grid(logger).fit(X, Y)
    assert logger.methods == ["begin", "candidate", "best", "end"]
    assert logger.status == "stopped"
    assert search.best_params_ == {"rate": 0.1}


def test_a_search_that_finished_nothing_in_its_time_has_stopped() -> None:
    class Slow(Counted):
        def fit(self, X: Any, y: Any) -> "Slow":
            time.sleep(0.3)
            return self

    logger = Recorder()
    with pytest.raises(TimeoutError, match="No candidate was finished within"):
        grid(logger, Slow(), timeout=0.2).fit(X, Y)
    assert logger.methods == ["begin", "end"]
    assert logger.status == "stopped"


def test_candidates_keep_their_numbers_where_others_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def backwards(function: Any, jobs: Any, *_: Any) -> Any:
        for index in reversed(range(len(jobs))):
            yield index, function(*jobs[index])

    monkeypatch.setattr(evaluation, "spread", backwards)
    ERRORS[0.1] = KeyboardInterrupt()
    live, later = Recorder(), Recorder()
    with joblib.parallel_config("threading"), pytest.warns(UserWarning, match="by Ctrl-C: 2 of 3 candidates"):
        search = grid(live, n_jobs=2).fit(X, Y)
    assert [result.index for result in live.candidates] == [2, 1]
    search.log_to(later)
    assert [result.index for result in later.candidates] == [1, 2]
    assert live.status == later.status == "stopped"


# Loggers that fail.


@pytest.mark.parametrize("method", ["begin", "candidate", "best", "end"])
def test_a_logger_that_fails_warns_once_and_is_left_alone(method: str) -> None:
    failing, other = Failing(method, OSError("the disk is full")), Recorder()
    expected = rf"^Failing.{method} failed: OSError: the disk is full. The search continues .*search.log_to"
    with pytest.warns(LoggerWarning, match=expected) as caught:
        search = grid([failing, other]).fit(X, Y)
    assert len([warning for warning in caught if warning.category is LoggerWarning]) == 1
    assert failing.methods.count(method) == 1
    assert failing.methods[-1] == method
    assert other.methods == ["begin", *["candidate"] * 3, "best", "end"]
    assert search.best_params_ == {"rate": 0.01}


def test_the_next_fit_calls_a_logger_again() -> None:
    failing = Failing("candidate", OSError("the disk is full"))
    search = grid(failing)
    for _ in range(2):
        with pytest.warns(LoggerWarning):
            search.fit(X, Y)
    assert failing.methods == ["begin", "candidate"] * 2


def test_ctrl_c_in_a_logger_stops_the_search() -> None:
    failing = Failing("candidate", KeyboardInterrupt())
    with pytest.warns(UserWarning, match="stopped by Ctrl-C: 1 of 3"):
        grid(failing).fit(X, Y)


@pytest.mark.parametrize("loggers", ["a.csv", [Recorder(), None], Recorder, object(), {"a": Recorder()}])
def test_what_is_no_logger_is_refused(loggers: Any) -> None:
    expected = (
        r"GridSearchCV: loggers must be an object with the methods begin, candidate, best, end, such as"
    )
    with pytest.raises(TypeError, match=expected):
        grid(loggers).fit(X, Y)
    assert FITS == []


# Afterwards.


def test_a_search_is_logged_afterwards() -> None:
    live, later = Recorder(), Recorder()
    search = grid(live).fit(X, Y)
    assert search.log_to(later) is search
    assert later.methods == live.methods
    for (_, first), (_, second) in zip(live.calls, later.calls, strict=True):
        assert first is second


def test_a_search_that_was_pickled_is_logged() -> None:
    live, later = Recorder(), Recorder()
    search = grid(live).fit(X, Y).set_params(loggers=None)
    pickle.loads(pickle.dumps(search)).log_to(later)
    assert later.methods == live.methods
    assert later.search == live.search
    assert [result.params for result in later.candidates] == [result.params for result in live.candidates]


def test_a_search_whose_refit_failed_is_logged_without_a_best() -> None:
    class Once(Counted):
        def fit(self, X: Any, y: Any) -> "Once":
            if len(X) == 60:
                raise ValueError("not on all rows")
            return self

    live, later = Recorder(), Recorder()
    search = grid(live, Once())
    with pytest.raises(ValueError, match="not on all rows"):
        search.fit(X, Y)
    search.log_to(later)
    assert live.methods == later.methods == ["begin", *["candidate"] * 3, "end"]
    assert live.status == later.status == "failed"


def test_errors_of_a_logger_are_raised_afterwards() -> None:
    search = grid(None).fit(X, Y)
    failing = Failing("candidate", OSError("the disk is full"))
    with pytest.raises(OSError, match="the disk is full"):
        search.log_to(failing)
    assert failing.calls[-1] == ("end", "failed")


def test_log_to_checks_search_and_logger() -> None:
    with pytest.raises(NotFittedError, match="GridSearchCV instance is not fitted"):
        grid(None).log_to(Recorder())
    with pytest.raises(TypeError, match=r"^GridSearchCV.log_to: logger must be an object with the methods"):
        grid(None).fit(X, Y).log_to("results.csv")


# Journals.


def test_a_search_that_resumes_is_the_same_search(tmp_path: Path) -> None:
    first, second, third = Recorder(), Recorder(), Recorder()
    ERRORS[0.01] = OSError("lights off")
    with pytest.raises(OSError, match="lights off"):
        grid(first, journal=tmp_path, error_score="raise").fit(X, Y)
    assert first.methods == ["begin", "candidate", "end"]
    assert first.status == "failed"
    ERRORS.clear()
    for logger in (second, third):
        search = grid(logger, journal=tmp_path, error_score="raise").fit(X, Y)
        assert [result.index for result in logger.candidates] == [0, 1, 2]
        assert logger.search.id == first.search.id == search.search_id_
    assert len(FITS) == 2 + 1 + 4 + 2  # before the error, at it, after it, and two refits


def test_candidates_of_a_journal_are_logged_before_others_train(tmp_path: Path) -> None:
    ERRORS[0.01] = OSError("lights off")
    with pytest.raises(OSError, match="lights off"):
        grid(None, journal=tmp_path, error_score="raise").fit(X, Y)
    failing = Failing("candidate", KeyboardInterrupt())
    FITS.clear()
    with pytest.warns(UserWarning, match="stopped by Ctrl-C: 1 of 3"):
        grid(failing, journal=tmp_path, error_score="raise", refit=False).fit(X, Y)
    assert FITS == []


@pytest.mark.parametrize("content", ["not hexadecimal", [3], "12"])
def test_a_journal_with_a_wrong_id_is_refused(tmp_path: Path, content: Any) -> None:
    grid(None, journal=tmp_path).fit(X, Y)
    records = Records(tmp_path / "journal.sqlite")
    records.put("journal", {"search_id": content})
    records.close()
    with pytest.raises(JournalError, match="is damaged: a record journal has contents that no search writes"):
        grid(None, journal=tmp_path).fit(X, Y)


def test_a_journal_without_an_id_gets_one(tmp_path: Path) -> None:
    """Journals of kerashp 0.1 have none."""
    first = grid(None, journal=tmp_path).fit(X, Y)
    records = Records(tmp_path / "journal.sqlite")
    records.remove("journal", ["search_id"])
    records.close()
    second, third = (grid(None, journal=tmp_path).fit(X, Y).search_id_ for _ in range(2))
    assert first.search_id_ != second == third


# Workers.


class WithLock(Recorder):
    """Cannot be pickled."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()
        self.threads: set[Any] = set()

    def candidate(self, result: CandidateResult) -> None:
        self.threads.add(threading.current_thread())
        super().candidate(result)


@pytest.mark.slow
def test_with_two_workers_loggers_stay_in_this_process() -> None:
    logger = WithLock()
    mlp = KerasMLPRegressor(epochs=2, random_state=0)
    search = GridSearchCV(mlp, {"n_hidden": [0, 1]}, cv=2, n_jobs=2, loggers=logger).fit(X, Y)
    assert sorted(result.index for result in logger.candidates) == [0, 1]
    assert logger.threads == {threading.main_thread()}
    assert search.loggers is logger


def test_with_threads_as_workers_loggers_are_called_from_the_main_thread() -> None:
    logger = WithLock()
    with joblib.parallel_config("threading"):
        grid(logger, n_jobs=2).fit(X, Y)
    assert logger.threads == {threading.main_thread()}
    assert len(logger.candidates) == 3


def lose_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the worker of the first job be killed."""
    spread = evaluation.spread

    def losing(*arguments: Any) -> Any:
        for index, done in spread(*arguments):
            yield index, RuntimeError("a worker was killed") if index == 0 else done

    monkeypatch.setattr(evaluation, "spread", losing)


def test_a_candidate_whose_worker_was_killed_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    lose_first(monkeypatch)
    logger = Recorder()
    with joblib.parallel_config("threading"), pytest.warns(FitFailedWarning):
        grid(logger, n_jobs=2).fit(X, Y)
    by_index = {result.index: result for result in logger.candidates}
    assert by_index[0].error == "RuntimeError: a worker was killed"
    assert [by_index[index].status for index in range(3)] == ["failed", "finished", "finished"]


def test_with_a_journal_it_is_logged_when_it_has_been_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, later = Recorder(), Recorder(), Recorder()
    with monkeypatch.context() as patch, joblib.parallel_config("threading"):
        lose_first(patch)
        with pytest.warns(FitFailedWarning):
            search = grid(first, n_jobs=2, journal=tmp_path).fit(X, Y)
    assert sorted(result.index for result in first.candidates) == [1, 2]
    search.log_to(later)
    assert [result.status for result in later.candidates] == ["failed", "finished", "finished"]
    grid(second, journal=tmp_path).fit(X, Y)
    assert [result.status for result in second.candidates] == ["finished"] * 3


# Parameters in plain types.


class Secret:
    def __repr__(self) -> str:
        return "hunter2"


def function_of_user() -> None:
    """Any function."""


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (True, True),
        (np.bool_(False), False),
        (3, 3),
        (np.int64(3), 3),
        (0.5, 0.5),
        (np.float32(0.5), 0.5),
        ("relu", "relu"),
        ("x" * 300, "x" * 247 + "..."),
        (None, "None"),
        ((30, 20), "(30, 20)"),
        ((np.int64(30),), "(30,)"),
        (["adam", None], "['adam', None]"),
        ({0: 1.0, 1: np.float64(5.0)}, "{0: 1.0, 1: 5.0}"),
        (list(range(21)), "list of 21 items"),
        (np.ones((7, 2)), "array of shape (7, 2)"),
        (function_of_user, "function_of_user"),
        (Secret, "Secret"),
        (Secret(), "Secret"),
        ((Secret(), {"key": Secret()}), "(Secret, {'key': Secret})"),
    ],
)
def test_parameters_are_written_in_plain_types(value: Any, plain: Any) -> None:
    found = plain_value(value)
    assert found == plain
    assert type(found) is type(plain)


def test_a_candidate_has_its_parameters_in_plain_types() -> None:
    result = CandidateResult(0, {"a": (1, 2), "b": np.float64(0.5)}, {}, {}, [], [], 0.0)
    assert result.plain_params() == {"a": "(1, 2)", "b": 0.5}
