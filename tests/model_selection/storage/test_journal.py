"""A search's journal: what is in it, who may use it, and when it is refused."""

import importlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import keras
import ml_dtypes
import numpy as np
import optuna
import pytest
from scipy.stats import loguniform
from sklearn.base import BaseEstimator
from sklearn.datasets import make_regression
from sklearn.model_selection import KFold

from kerashp import KerasMLPRegressor
from kerashp.model_selection import (
    CoarseToFineSearchCV,
    GridSearchCV,
    HalvingGridSearchCV,
    JournalError,
    OptunaSearchCV,
    OracleSearchCV,
    RandomizedSearchCV,
)
from kerashp.model_selection._fits.deadline import Stopped
from kerashp.model_selection._fits.task import Task
from kerashp.model_selection._planning.fingerprint import fingerprint
from kerashp.model_selection._running import evaluation, local
from kerashp.model_selection._storage.journal import _FORMAT, Journal
from kerashp.model_selection._storage.records import Records, RecordsError, from_bytes, to_bytes
from kerashp.training import FallbackWarning, Population

pytestmark = pytest.mark.slow

X, Y = make_regression(60, 4, random_state=0)
Y = Y / Y.std()
FITS: list[float] = []


class Counted(BaseEstimator):
    """Scores best at rate=0.01; tells of its fits."""

    def __init__(self, rate: float = 1.0, fails: bool = False, seconds: float = 0.0):
        self.rate = rate
        self.fails = fails
        self.seconds = seconds

    def fit(self, X: Any, y: Any) -> "Counted":
        FITS.append(self.rate)
        time.sleep(self.seconds)
        if self.fails:
            raise ValueError("it fails")
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.zeros(len(X))

    def score(self, X: Any, y: Any) -> float:
        return -abs(np.log10(self.rate) + 2)


@pytest.fixture(autouse=True)
def _no_fits() -> None:
    FITS.clear()


def searched(folder: Any, estimator: Any = None, **options: Any) -> GridSearchCV:
    grid = options.pop("grid", {"rate": [0.1, 0.01, 0.001]})
    arguments = {"cv": KFold(2), "refit": False, "journal": folder, **options}
    return GridSearchCV(estimator or Counted(), grid, **arguments).fit(X, Y)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@contextmanager
def recorded(folder: Path) -> Iterator[Records]:
    records = Records(folder / "journal.sqlite")
    yield records
    records.close()


def same(results: dict[str, Any], expected: dict[str, Any]) -> None:
    assert results.keys() == expected.keys()
    assert list(results["params"]) == list(expected["params"])
    for name in results.keys() - {"params"}:
        if not name.endswith("_time"):
            np.testing.assert_array_equal(results[name], expected[name], err_msg=name)


# What is in it.


def test_what_is_finished_is_not_done_again(tmp_path: Path) -> None:
    first = searched(tmp_path).cv_results_
    assert len(FITS) == 6
    again = searched(tmp_path).cv_results_
    assert len(FITS) == 6
    for name in first.keys() - {"params"}:
        np.testing.assert_array_equal(again[name], first[name])


def test_failures_are_kept_as_they_were(tmp_path: Path) -> None:
    grid = {"rate": [0.1], "fails": [False, True]}
    for _ in range(2):
        with warnings.catch_warnings(record=True, action="always") as caught:
            results = searched(tmp_path, grid=grid).cv_results_
        assert any("2 fits failed out of a total of 4" in str(warning.message) for warning in caught)
        assert np.isnan(results["mean_test_score"]).tolist() == [False, True]
    assert len(FITS) == 4


def test_rounds_are_kept_though_nobody_has_given_a_seed(tmp_path: Path) -> None:
    def rounds() -> Any:
        space = {"rate": loguniform(1e-6, 1.0)}
        return CoarseToFineSearchCV(Counted(), space, n_iter=4, n_rounds=3, cv=2, journal=tmp_path).fit(X, Y)

    first, again = rounds(), rounds()
    assert len(FITS) == 4 * 3 * 2 + 2  # and two refits
    assert list(first.cv_results_["params"]) == list(again.cv_results_["params"])
    drawn = np.random.get_state()[1]
    rounds()
    np.testing.assert_array_equal(np.random.get_state()[1], drawn)


@pytest.mark.parametrize(("every", "n_states"), [(0.0, range(2, 9)), (1e9, [1])])
def test_states_go_when_results_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: float, n_states: Any
) -> None:
    put, kinds = Records.put, []
    monkeypatch.setattr(
        Records, "put", lambda self, kind, own: kinds.append((kind, len(own))) or put(self, kind, own)
    )
    grid = {"learning_rate": [0.01, 0.1]}
    estimator = KerasMLPRegressor(1, 5, epochs=4, random_state=0)
    searched(tmp_path, estimator, grid=grid, journal_every=every)
    assert kinds[:3] == [("journal", 2), ("search", 1), ("plan", 1)]
    assert set(kinds[3:-4]) == {("state", 4)}
    assert len(kinds[3:-4]) in n_states
    assert kinds[-4:] == [("result", 1)] * 4
    with recorded(tmp_path) as records:
        assert not records.all("state")


# Who may use it.


def test_a_journal_in_use_is_refused(tmp_path: Path) -> None:
    begun, end = threading.Event(), threading.Event()

    class Waiting(Counted):
        def fit(self, X: Any, y: Any) -> "Waiting":
            begun.set()
            end.wait(60)
            return self

    thread = threading.Thread(target=searched, args=(tmp_path, Waiting()))
    thread.start()
    begun.wait(60)
    try:
        with pytest.raises(JournalError, match="is in use by another search. Wait for it to end"):
            searched(tmp_path, Waiting())
    finally:
        end.set()
        thread.join()


_HOLD = """
import sqlite3, sys, time
lock = sqlite3.connect(sys.argv[1] + "/lock.sqlite", isolation_level=None)
lock.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(60)
"""


def test_the_lock_of_a_process_that_was_killed_does_not_count(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(JournalError, match="in use"):
            searched(tmp_path)
        process.kill()
    assert len(searched(tmp_path).cv_results_["params"]) == 3


# When it is refused.


def build() -> Any:
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


OTHERS: dict[str, dict[str, Any]] = {
    "the candidates": {"grid": {"rate": [0.1, 0.01, 0.002]}},
    "the splits": {"cv": KFold(2, shuffle=True, random_state=0)},
    "the estimator": {"estimator": Counted(seconds=1e-9)},
    "the scoring": {"scoring": "r2"},
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_search_is_refused_by_what_differs(tmp_path: Path, what: str) -> None:
    searched(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(JournalError, match=f"is the journal of another search, which differs in: .*{what}"):
        searched(tmp_path, **OTHERS[what])
    assert contents(tmp_path) == before
    assert len(FITS) == 6


def test_other_data_and_versions_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search = searched(tmp_path)
    with pytest.raises(JournalError, match="which differs in: X; y. "):
        search.fit(X[::-1], Y[::-1])
    with pytest.raises(JournalError, match="which differs in: the fit parameters. "):
        search.fit(X, Y, verbose=1)
    for module in (keras, importlib.import_module(keras.backend.backend())):
        name = module.__name__.rpartition(".")[2]
        monkeypatch.setattr(module, "__version__", "0.1")
        with pytest.raises(JournalError, match=rf"the versions \(.*{name} \d.* then, .*{name} 0.1"):
            search.fit(X, Y)
        monkeypatch.undo()


DAMAGES: dict[str, Any] = {
    "bits": lambda raw: bytes(byte ^ 1 for byte in raw[:4096]) + raw[4096:],
    "cut": lambda raw: raw[: len(raw) // 2],
    "cut in a page": lambda raw: raw[: len(raw) - 100],
    "empty": lambda raw: raw[:0],
    "noise": lambda raw: np.random.default_rng(0).bytes(len(raw)),
    "text": lambda raw: b"no database" * len(raw),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    searched(tmp_path)
    path = tmp_path / "journal.sqlite"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"journal.sqlite is damaged.*nothing has been changed"):
        searched(tmp_path)
    assert path.read_bytes() == before
    assert len(FITS) == 6


@pytest.mark.parametrize(
    ("damage", "expected_message"),
    [
        (
            "UPDATE records SET content = substr(content, 1, 20) WHERE key = '1/0'",
            "the record result 1/0 has",
        ),
        ("UPDATE records SET content = 'text' WHERE key = '1/0'", "the record result 1/0 has changed since"),
        (
            "UPDATE records SET key = '3/0' WHERE key = '1/0'",
            "the record result 3/0 has changed since it was written",
        ),
        (
            "UPDATE records SET key = 'one' WHERE key = '1/0'",
            "the record result one has changed since it was written",
        ),
        ("UPDATE records SET key = CAST(x'ff' AS TEXT) WHERE key = '1/0'", "Could not decode to UTF-8"),
        ("UPDATE records SET kind = 'plan' WHERE kind = 'search'", "it has results, but no record search 0"),
        ("DELETE FROM records WHERE kind = 'journal'", "it has records, but no record journal"),
        ("DELETE FROM records WHERE kind = 'search'", "it has results, but no record search 0"),
    ],
)
def test_a_damaged_record_is_refused(tmp_path: Path, damage: str, expected_message: str) -> None:
    searched(tmp_path)
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("DELETE FROM records WHERE kind = 'plan'")
        connection.execute(damage)
    connection.close()
    with pytest.raises(JournalError, match=f"is damaged.*{expected_message}.*nothing has been changed"):
        searched(tmp_path)
    assert len(FITS) == 6


def test_one_wrong_byte_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    first = searched(tmp_path).cv_results_
    path, refused = tmp_path / "journal.sqlite", 0
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.choice(len(whole), 100, replace=False):
        wrong = bytearray(whole)
        wrong[place] ^= 1 << rng.integers(8)
        path.write_bytes(wrong)
        try:
            found = searched(tmp_path).cv_results_
        except JournalError:
            refused += 1
            left = path.read_bytes()
        else:
            same(found, first)
            continue
        assert left == wrong
    assert 10 < refused < 100


@pytest.mark.parametrize("name", ["lock.sqlite", "journal.sqlite"])
def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(JournalError, match=f"{name} cannot be created"):
        searched(tmp_path)
    (tmp_path / name).rmdir()
    assert len(searched(tmp_path).cv_results_["params"]) == 3
    with pytest.raises(ValueError, match="journal must be the path of a folder; got ''"):
        searched("")


@pytest.mark.parametrize("number", [3, _FORMAT + 1])
def test_a_journal_of_another_format_is_refused(tmp_path: Path, number: int) -> None:
    searched(tmp_path)
    with recorded(tmp_path) as records:
        records.put("journal", {"journal": {"format": number, "seed": 0}})
    before = contents(tmp_path)
    message = rf"holds a journal of format {number}, but .* writes format {_FORMAT}\. Continue the"
    with pytest.raises(JournalError, match=message):
        searched(tmp_path)
    assert contents(tmp_path) == before
    assert len(FITS) == 6


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="file cannot be the folder of a journal"):
        searched(tmp_path / "file")


def test_a_full_disk_ends_the_search_and_keeps_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, left = Records.put, [5]

    def full(self: Records, kind: str, own: Any) -> None:
        left[0] -= 1
        if not left[0]:
            (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
            self._connection.execute(f"PRAGMA max_page_count = {pages}")
            own = {**own, "9/9": np.zeros(10**5)}
        put(self, kind, own)

    monkeypatch.setattr(Records, "put", full)
    with pytest.raises(JournalError, match="database or disk is full. Earlier records are intact; make room"):
        searched(tmp_path)
    done = len(FITS)
    monkeypatch.setattr(Records, "put", put)
    assert len(searched(tmp_path).cv_results_["params"]) == 3
    assert len(FITS) == done + 6 - 1  # the fit that could not be written is done again


def test_a_group_that_could_not_train_together_does_no_finished_fit_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise ValueError("it cannot be compiled")

    scored: list[Any] = []

    run, stop_at = Task.run, 4

    def counted(task: Task) -> Any:
        scored.append(task.fit_id)
        if len(scored) == stop_at:
            raise KeyboardInterrupt
        return run(task)

    monkeypatch.setattr(local.StackedTraining, "train", refused)
    estimator, grid = KerasMLPRegressor(0, epochs=1, random_state=0), {"learning_rate": [0.01, 0.1]}
    monkeypatch.setattr(Task, "run", counted)
    with pytest.warns(UserWarning, match="stopped by Ctrl-C: 1 of 2 candidates"):
        searched(tmp_path, estimator, grid=grid)
    stop_at = 99
    with pytest.warns(
        FallbackWarning, match="4 fits are trained one by one: ValueError: it cannot be compiled"
    ):
        searched(tmp_path, estimator, grid=grid)
    assert scored == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 1)]


def test_what_lost_workers_left_is_kept_when_more_depends_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rounds() -> Any:
        space = {"rate": loguniform(1e-6, 1.0)}
        options = {"n_iter": 4, "n_rounds": 2, "cv": 2, "refit": False, "n_jobs": 2, "error_score": -99.0}
        with joblib.parallel_config("threading"), warnings.catch_warnings(action="ignore"):
            return CoarseToFineSearchCV(Counted(), space, journal=tmp_path, **options).fit(X, Y).cv_results_

    def losing(function: Any, works: Any, n_jobs: int, backend: Any) -> Any:
        for index, done in spread(function, works, n_jobs, backend):
            yield index, RuntimeError("a worker was killed") if index == 0 else done

    spread = evaluation.spread
    monkeypatch.setattr(evaluation, "spread", losing)
    first = rounds()
    monkeypatch.setattr(evaluation, "spread", spread)
    again = rounds()
    assert list(first["params"]) == list(again["params"])
    lost = [results["split0_test_score"] == -99.0 for results in (first, again)]
    assert [list(np.flatnonzero(own)) for own in lost] == [
        [0, 4],
        [0],
    ]  # those of the last round are tried again


class Drawing(Counted):
    """Its score is drawn."""

    def fit(self, X: Any, y: Any) -> "Drawing":
        super().fit(X, y)
        self.drawn_ = np.random.random()
        return self

    def score(self, X: Any, y: Any) -> float:
        return self.drawn_


class Interrupted(Drawing):
    def fit(self, X: Any, y: Any) -> "Interrupted":
        if len(FITS) == 3:
            FITS.append(0.0)
            raise KeyboardInterrupt
        super().fit(X, y)
        return self


def test_what_has_no_seed_draws_the_same_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kerashp.model_selection._storage.journal.new_seed", lambda: 7)
    whole = searched(tmp_path / "whole", Drawing()).cv_results_
    FITS.clear()
    with pytest.warns(UserWarning, match="stopped by Ctrl-C: 1 of 3 candidates"):
        searched(tmp_path / "other", Interrupted())
    rest = searched(tmp_path / "other", Interrupted()).cv_results_
    assert len(set(whole["split0_test_score"])) == 3
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(rest[name], whole[name])


# Records and fingerprints.


def test_records_hold_what_results_hold() -> None:
    content = {
        "scores": {"a": 0.1 + 0.2, "b": float("nan"), "c": float("-inf")},
        "history": {"loss": [1.0, 0.5]},
        "none": None,
        "arrays": [np.arange(6, dtype="uint32").reshape(2, 3), np.array(0.5, "float32")],
        "number": np.float64(0.25),
        "state": 2**127 + 1,
    }
    again = from_bytes(to_bytes(content))
    assert json.dumps({**again, "arrays": None}) == json.dumps({**content, "arrays": None, "number": 0.25})
    for one, other in zip(again["arrays"], content["arrays"], strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        np.testing.assert_array_equal(one, other)


def test_records_of_bfloat16() -> None:
    array = np.array([[1.5, -2.0]], ml_dtypes.bfloat16)
    again = from_bytes(to_bytes([array, array[0, 0:1]]))
    assert [one.dtype for one in again] == [ml_dtypes.bfloat16] * 2
    np.testing.assert_array_equal(again[0], array)


def test_an_interrupt_leaves_no_transaction_open(tmp_path: Path) -> None:
    records = Records(tmp_path / "x.sqlite")

    def interrupted(connection: Any) -> None:
        connection.execute("BEGIN IMMEDIATE")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        records._safely(interrupted)
    records.put("kind", {"a": 1})
    assert records.get("kind", "a") == 1
    records.close()
    with pytest.raises(RecordsError, match="has been closed"):
        records.put("kind", {"a": 1})


def test_an_interrupt_leaves_the_file_to_other_threads(tmp_path: Path) -> None:
    """After any function that writes returns: the search then waits for its threads, which write, too."""
    records = Records(tmp_path / "x.sqlite")
    n_returns, interrupts_at = 0, 1

    def interrupt(_: Any, event: str, __: Any) -> Any:
        nonlocal n_returns
        n_returns += event == "return"
        if n_returns == interrupts_at:
            raise KeyboardInterrupt
        return interrupt

    interrupted: list[KeyboardInterrupt] = []  # as in flight: their tracebacks keep what the functions held
    while len(interrupted) == interrupts_at - 1:
        n_returns = 0
        sys.settrace(interrupt)
        try:
            records.remove("kind", ["a"])
        except KeyboardInterrupt as error:
            interrupted.append(error)
        finally:
            sys.settrace(None)
        interrupts_at += 1
        assert not records._lock.locked()
    assert len(interrupted) > 3
    records.close()


def test_records_that_run_code_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        to_bytes({"own": np.array([Counted()])})
    (tmp_path / "x").write_bytes(b"no database" * 100)
    with pytest.raises(RecordsError, match="damaged or not a journal"):
        Records(tmp_path / "x")


def test_equal_values_have_equal_fingerprints() -> None:
    def model(rate: float = 0.1) -> Any:
        keras.utils.set_random_seed(0)
        own = build()
        own.optimizer.learning_rate = rate
        return own

    pairs = [
        (Counted(0.1), Counted(0.1), Counted(0.2)),
        (np.arange(3), np.arange(3), np.arange(3.0)),
        ({"a": [1, {2}]}, {"a": [1, {2}]}, {"a": [1, {3}]}),
        (lambda x: x + 1, lambda x: x + 1, lambda x: x + 2),
        (keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.2)),
        tuple(keras.callbacks.EarlyStopping(patience=patience) for patience in (3, 3, 4)),
        (np.random.RandomState(0), np.random.RandomState(0), np.random.RandomState(1)),
        (loguniform(0.1, 1), loguniform(0.1, 1), loguniform(0.1, 2)),
        (model(), model(), build()),
        (Counted, Counted, KerasMLPRegressor),
        (len, len, max),
        (test_equal_values_have_equal_fingerprints, test_equal_values_have_equal_fingerprints, build),
        (KFold(2).split, KFold(2).split, KFold(3).split),
    ]
    for one, same, other in pairs:
        assert fingerprint(one) == fingerprint(same), one
        assert fingerprint(one) != fingerprint(other), one
    itself: list[Any] = []
    itself.append(itself)
    assert fingerprint(itself) == fingerprint(itself)


_VALUES = """
from functools import partial
import keras
import pandas as pd
from scipy.sparse import csr_array
from scipy.stats import loguniform
from sklearn.metrics import check_scoring
from sklearn.model_selection import KFold
from kerashp import KerasRegressor
from kerashp.model_selection._planning.fingerprint import fingerprint
SIZE = 3
def helper(x, *, to=1):
    return x in {"relu", "tanh", "selu"} and SIZE
def build(x):
    return helper(x)
estimator = KerasRegressor(build, optimizer=keras.optimizers.Adam(), loss=keras.losses.Huber())
values = [build, partial(build, "relu"), check_scoring(estimator), estimator, loguniform(0.1, 1)]
values += [KFold(3, shuffle=True, random_state=0), keras.callbacks.EarlyStopping(patience=3)]
table = pd.DataFrame({"text": ["a", "bc"], "number": [1.0, 2.0]}, index=["x", "y"])
values += [table, table.astype({"text": "category"}), table["text"], csr_array([[0.0, 1.0], [2.0, 0.0]])]
fingerprints = [fingerprint(value) for value in values]
"""


def test_fingerprints_are_the_same_in_another_process() -> None:
    here: dict[str, Any] = {}
    exec(_VALUES, here)
    code = f"{_VALUES}\nprint(*fingerprints)"
    env = {**os.environ, "PYTHONHASHSEED": "1"}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert told.stdout.split() == here["fingerprints"]
    for changed in ("SIZE = 4", 'def helper(x, *, to=2):\n    return x in {"relu", "tanh", "selu"} and SIZE'):
        exec(changed, here)
        assert fingerprint(here["build"]) != here["fingerprints"][0]
    assert fingerprint(partial(here["build"], "tanh")) != fingerprint(partial(here["build"], "relu"))
    assert fingerprint(threading.Lock()) != fingerprint(threading.Lock())


# Ctrl-C and timeouts.


def slow(**options: Any) -> RandomizedSearchCV:
    arguments = {"n_iter": 40, "cv": 2, "random_state": 0, **options}
    return RandomizedSearchCV(Counted(seconds=0.05), {"rate": loguniform(1e-6, 1.0)}, **arguments)


def test_a_timeout_ends_a_search_with_what_is_finished(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"stopped by its timeout: \d+ of 40 candidates were finished"):
        search = slow(timeout=1.0, journal=tmp_path).fit(X, Y)
    n_finished = len(search.cv_results_["params"])
    assert 1 <= n_finished < 40
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    assert hasattr(search, "best_estimator_")
    FITS.clear()
    rest = slow(journal=tmp_path, refit=False).fit(X, Y)
    assert len(rest.cv_results_["params"]) == 40
    assert len(FITS) in (80 - 2 * n_finished, 79 - 2 * n_finished)
    assert list(rest.cv_results_["params"][:n_finished]) == list(search.cv_results_["params"])


def test_a_timeout_ends_the_work_of_workers() -> None:
    with joblib.parallel_config("threading"), pytest.warns(UserWarning, match="stopped by its timeout: "):
        search = slow(timeout=1.0, n_jobs=2, refit=False).fit(X, Y)
    assert 1 <= len(search.cv_results_["params"]) < 40


def interrupting(at: int) -> Any:
    class Interrupting(Counted):
        def fit(self, X: Any, y: Any) -> "Counted":
            if len(FITS) == at:
                FITS.append(0.0)
                raise KeyboardInterrupt
            return super().fit(X, y)

    return Interrupting()


def test_ctrl_c_ends_a_search_with_what_is_finished() -> None:
    with pytest.warns(
        UserWarning, match="stopped by Ctrl-C: 2 of 3 candidates were finished, and cv_results_ has"
    ):
        search = searched(None, interrupting(5), refit=True)
    assert [params["rate"] for params in search.cv_results_["params"]] == [0.1, 0.01]
    assert search.best_params_ == {"rate": 0.01}
    assert len(search.histories_) == 2


def test_ctrl_c_ends_all_rounds() -> None:
    space = {"rate": loguniform(1e-6, 1.0)}
    with pytest.warns(UserWarning, match="stopped by Ctrl-C: 5 of 8 candidates were finished"):
        search = CoarseToFineSearchCV(interrupting(11), space, n_iter=4, n_rounds=3, cv=2).fit(X, Y)
    assert search.cv_results_["round"].tolist() == [0, 0, 0, 0, 1]
    assert [one.candidates for one in search.rounds_] == [range(4), range(4, 5)]


def test_ctrl_c_between_rounds_ends_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check, rounds = Journal.check, []

    def interrupted(self: Journal, *arguments: Any) -> None:
        rounds.append(arguments)
        if len(rounds) == 2:
            raise KeyboardInterrupt
        check(self, *arguments)

    monkeypatch.setattr(Journal, "check", interrupted)
    space = {"rate": loguniform(1e-6, 1.0)}
    with pytest.warns(UserWarning, match="stopped by Ctrl-C: 4 of 4 candidates were finished"):
        search = CoarseToFineSearchCV(Counted(), space, n_iter=4, cv=2, journal=tmp_path).fit(X, Y)
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()


def test_a_search_that_finished_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt, match="No candidate was finished; with journal=folder"):
        searched(None, interrupting(1))
    with pytest.raises(
        TimeoutError, match="No candidate was finished within timeout=1e-09 seconds; the same call"
    ):
        searched(tmp_path, timeout=1e-9)


def test_a_group_in_training_ends_and_goes_on(tmp_path: Path) -> None:
    def stacked(**options: Any) -> Any:
        estimator = KerasMLPRegressor(1, 5, epochs=300, random_state=0, shuffle=True)
        grid = {"learning_rate": [0.01, 0.1]}
        return searched(options.pop("journal", None), estimator, grid=grid, **options)

    whole = stacked()
    with pytest.raises(TimeoutError, match="the same call continues from the journal"):
        stacked(journal=tmp_path, timeout=1e-9)
    trained = Population.train
    stopped: list[int] = []

    def train(self: Population, epochs: int, report: Any) -> Any:
        def between(passed: int) -> None:
            stopped.append(passed)
            if len(stopped) == 3:
                raise KeyboardInterrupt
            report(passed)

        return trained(self, epochs, between)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Population, "train", train)
        with pytest.raises(KeyboardInterrupt, match="No candidate was finished; the same call continues"):
            stacked(journal=tmp_path, journal_every=0.0)
    with recorded(tmp_path) as records:
        state = records.get("state", "0/0")
    assert 0 < len(state["history"]["loss"]) < 300
    rest = stacked(journal=tmp_path)
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(rest.cv_results_[name], whole.cv_results_[name])


@pytest.mark.parametrize("where", ["here", "workers of this machine", "a cluster"])
def test_no_epoch_that_is_in_the_journal_is_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    elsewhere, trained, passed, stop_at = Journal.for_worker, Population.train, [], 3
    on_this_machine = where == "workers of this machine"
    monkeypatch.setattr(Journal, "for_worker", lambda self, fits, _: elsewhere(self, fits, on_this_machine))

    def train(self: Population, epochs: int, report: Any) -> Any:
        def between(more: int) -> None:
            passed.append(more)
            if len(passed) == stop_at:
                raise Stopped
            report(more)

        return trained(self, epochs, between)

    def stacked(folder: Any) -> dict[str, Any]:
        estimator = KerasMLPRegressor(1, 5, epochs=300, random_state=0)
        n_jobs = None if where == "here" else 2
        with joblib.parallel_config("threading"):
            return searched(folder, estimator, grid={"learning_rate": [0.01, 0.1]}, n_jobs=n_jobs).cv_results_

    monkeypatch.setattr(Population, "train", train)
    with pytest.raises(TimeoutError, match="the same call continues from the journal"):
        stacked(tmp_path)
    with recorded(tmp_path) as records:
        kept = sum(len(state["history"]["loss"]) for state in records.all("state").values())
    assert 0 < kept < 4 * 300
    passed.clear()
    stop_at = -1
    rest = stacked(tmp_path)
    assert sum(passed) == 4 * 300 - kept
    same(rest, stacked(None))


class Killed(BaseException):
    pass


def small(**options: Any) -> KerasMLPRegressor:
    return KerasMLPRegressor(1, 5, **{"epochs": 4, "batch_size": 32, **options})


RATES = {"learning_rate": loguniform(1e-3, 0.1)}
OF_ALL: dict[str, Any] = {"cv": 2, "refit": False, "journal_every": 0.0}
SEARCHES: dict[str, Callable[..., Any]] = {
    "halving": lambda journal: HalvingGridSearchCV(
        small(epochs=8),
        {"learning_rate": [1e-3, 1e-2, 0.1]},
        factor=2,
        min_resources=2,
        journal=journal,
        **OF_ALL,
    ),
    "coarse to fine": lambda journal: CoarseToFineSearchCV(
        small(), RATES, n_iter=2, n_rounds=3, random_state=0, journal=journal, **OF_ALL
    ),
    "bayesian": lambda journal: OracleSearchCV(
        small(), RATES, n_trials=6, batch=2, random_state=0, journal=journal, **OF_ALL
    ),
    "hyperband": lambda journal: OracleSearchCV(
        small(), RATES, oracle="hyperband", n_trials=6, batch=3, random_state=0, journal=journal, **OF_ALL
    ),
    "optuna": lambda journal: OptunaSearchCV(
        small(), RATES, n_trials=6, batch=2, random_state=0, journal=journal, **OF_ALL
    ),
    "optuna, pruned": lambda journal: OptunaSearchCV(
        small(epochs=4),
        RATES,
        pruner=optuna.pruners.SuccessiveHalvingPruner(1, 2),
        n_trials=6,
        batch=3,
        random_state=0,
        journal=journal,
        **OF_ALL,
    ),
}


@pytest.mark.filterwarnings("ignore:OracleSearchCV. hyperband ended after 6 candidates")
@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_goes_on_where_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    put, scored = Records.put, local.scored
    puts, done, kill_at = 0, 0, -1

    def counted(self: Records, kind: str, own: Any) -> None:
        nonlocal puts
        puts += 1
        if puts == kill_at:
            raise Killed
        put(self, kind, own)

    def counting(*arguments: Any) -> Any:
        nonlocal done
        done += 1
        return scored(*arguments)

    monkeypatch.setattr("kerashp.model_selection._storage.journal.new_seed", lambda: 7)
    monkeypatch.setattr(Records, "put", counted)
    monkeypatch.setattr(local, "scored", counting)
    whole = SEARCHES[name](tmp_path / "whole").fit(X, Y)
    n_puts, n_fits = puts, done
    assert n_fits == 2 * len(whole.cv_results_["params"])
    kept = []
    for kill in (n_puts // 3, n_puts // 2, n_puts - 2):
        folder = tmp_path / str(kill)
        puts, kill_at = 0, kill
        with pytest.raises(Killed):
            SEARCHES[name](folder).fit(X, Y)
        with recorded(folder) as records:
            kept.append(len(records.all("result")))
        done, kill_at = 0, -1
        rest = SEARCHES[name](folder).fit(X, Y)
        assert done == n_fits - kept[-1]
        same(rest.cv_results_, whole.cv_results_)
        assert getattr(rest, "epochs_saved_", None) == getattr(whole, "epochs_saved_", None)
    assert 0 < kept[1] < kept[-1] < n_fits


def test_workers_do_no_finished_fit_of_a_group_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep, scored = Journal.keep_result, local.scored
    kept: list[Any] = []

    def killed(self: Journal, fit: Any, result: Any) -> None:
        if len(kept) == 3:
            raise Killed
        kept.append(fit)
        keep(self, fit, result)

    def stacked(n_jobs: int | None) -> dict[str, Any]:
        with joblib.parallel_config("threading"):
            return searched(
                tmp_path, small(random_state=0), grid={"learning_rate": [0.01, 0.1]}, n_jobs=n_jobs
            ).cv_results_

    monkeypatch.setattr(Journal, "keep_result", killed)
    with pytest.raises(Killed):
        stacked(None)
    monkeypatch.setattr(Journal, "keep_result", keep)
    places: list[Any] = []
    monkeypatch.setattr(
        local, "scored", lambda *arguments: places.append(arguments[2].task.fit_id) or scored(*arguments)
    )
    stacked(2)
    assert len(places) == 1
    assert places[0] not in kept


def test_what_is_written_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    with recorded(tmp_path) as records:
        assert records._query("PRAGMA synchronous") == [(2,)]  # FULL
    assert len(flushed) == 2  # the new file, and its folder
