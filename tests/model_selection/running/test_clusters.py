"""Searches whose groups are spread over a cluster of two workers."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_regression
from sklearn.exceptions import FitFailedWarning

from kerashp import KerasMLPRegressor
from kerashp.model_selection import GridSearchCV, HalvingGridSearchCV
from kerashp.model_selection._running import evaluation
from kerashp.model_selection._running.clusters import _packed, _run_job
from kerashp.model_selection._running.processes import n_workers_of_a_machine, spread, workers
from kerashp.model_selection._storage.journal import Journal

pytestmark = pytest.mark.slow

X, Y = make_regression(2000, 5, random_state=0)  # large enough to be sent by itself
Y = Y / Y.std()
SPACE = {"n_hidden": [0, 1], "learning_rate": [0.003, 0.03]}
ENV = {"TF_NUM_INTRAOP_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.fixture(autouse=True)
def long_training() -> None:
    """Compile as the other processes do, which know nothing of the fixture of this name for all tests."""


class Picky(KerasMLPRegressor):
    """Fails where it has no hidden layer and a high rate."""

    def _build(self, X: np.ndarray) -> Any:
        if self.n_hidden == 0 and self.learning_rate > 0.01:
            raise ValueError("too shallow for that")
        return super()._build(X)


def search() -> GridSearchCV:
    regressor = Picky(1, 4, epochs=2, batch_size=200, random_state=0)
    message = "2 fits failed out of a total of 8(.|\n)*too shallow for that"
    with pytest.warns(FitFailedWarning, match=message):
        return GridSearchCV(regressor, SPACE, cv=2, refit=False, error_score=-7.0).fit(X, Y)


@pytest.fixture(scope="module")
def alone() -> GridSearchCV:
    return search()


@pytest.fixture(scope="module")
def dask_client() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": None, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options, env=ENV) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    register_ray()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": ENV})
    yield
    ray.shutdown()


@pytest.fixture(params=["dask_client", "ray_cluster"])
def backend(request: pytest.FixtureRequest) -> Any:
    cluster = request.getfixturevalue(request.param)
    if request.param == "dask_client":
        cluster.wait_for_workers(2)  # one that a test has killed may still be coming again
    with joblib.parallel_config(request.param.split("_")[0]):
        yield joblib.parallel.get_active_backend()[0]


@pytest.mark.usefixtures("backend")
def test_a_cluster_gives_what_one_process_gives(alone: GridSearchCV) -> None:
    found = search()
    for key, expected in alone.cv_results_.items():
        if "_time" not in key and key != "params":
            np.testing.assert_allclose(
                np.ma.filled(found.cv_results_[key].astype(float), -1),
                np.ma.filled(expected.astype(float), -1),
                rtol=1e-6,
                err_msg=key,
            )
    assert (found.cv_results_["mean_test_score"] == -7).sum() == 1
    assert [sorted(group.fits) for group in found.plan_.groups] == [
        sorted(group.fits) for group in alone.plan_.groups
    ]
    assert found.plan_.alone == alone.plan_.alone
    for own, expected in zip(found.histories_, alone.histories_, strict=True):
        for curves, one in zip(own, expected, strict=True):
            assert (curves is None) == (one is None)
            assert one is None or curves["loss"] == pytest.approx(one["loss"], rel=1e-6)


class Meeting:
    """A scorer that waits for another process to score too, and tells its own."""

    def __init__(self, folder: Path):
        self._folder = folder

    def __call__(self, *_: Any) -> float:
        (self._folder / str(os.getpid())).touch()
        given_up = time.monotonic() + 60
        while len(list(self._folder.iterdir())) < 2 and time.monotonic() < given_up:
            time.sleep(0.1)
        return float(os.getpid())


@pytest.mark.usefixtures("backend")
def test_fits_are_trained_and_scored_by_both_workers(tmp_path: Path) -> None:
    regressor = KerasMLPRegressor(1, 4, epochs=2, batch_size=200, random_state=0)
    found = GridSearchCV(regressor, SPACE, cv=2, scoring=Meeting(tmp_path), refit=False).fit(X, Y)
    at_work = {value for split in (0, 1) for value in found.cv_results_[f"split{split}_test_score"]}
    assert len(found.plan_.groups) == 2
    assert len(at_work) == 2
    assert os.getpid() not in at_work


@pytest.mark.usefixtures("backend")
def test_the_client_keeps_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kept(journal: Path | None) -> GridSearchCV:
        regressor = KerasMLPRegressor(1, 4, epochs=2, batch_size=200, random_state=0)
        return GridSearchCV(regressor, SPACE, cv=2, refit=False, journal=journal).fit(X, Y)

    keep, of_first, sent = Journal.keep_result, [], []

    def interrupted(self: Journal, fit: Any, result: Any) -> None:
        keep(self, fit, result)
        of_first.append(fit)
        if len(of_first) == 4:  # one of two groups
            raise KeyboardInterrupt

    def watched(function: Any, works: Any, *arguments: Any) -> Any:
        sent.extend(task.fit_id for tasks, *_ in works for task in tasks)
        return spread(function, works, *arguments)

    monkeypatch.setattr(Journal, "keep_result", interrupted)
    with pytest.warns(UserWarning, match="stopped by Ctrl-C: 2 of 4 candidates were finished"):
        kept(tmp_path)
    monkeypatch.setattr(Journal, "keep_result", keep)
    monkeypatch.setattr(evaluation, "spread", watched)
    rest = kept(tmp_path)
    assert len(sent) == 4
    assert not set(sent) & set(of_first)
    with joblib.parallel_config("sequential"):
        alone = kept(None)
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_allclose(rest.cv_results_[name], alone.cv_results_[name], rtol=1e-6)


@pytest.mark.usefixtures("backend")
def test_survivors_of_halving_go_on_from_what_came_back() -> None:
    regressor = KerasMLPRegressor(1, 4, epochs=4, batch_size=200, random_state=0)
    grid = {"n_hidden": [0, 1], "learning_rate": [0.003, 0.03]}
    search = HalvingGridSearchCV(
        regressor, grid, cv=2, factor=2, min_resources=1, refit=False, return_train_score=False
    )
    found = clone(search).fit(X, Y)
    with joblib.parallel_config("sequential"):
        alone = clone(search).fit(X, Y)
    assert found.epochs_saved_ == alone.epochs_saved_ > 0
    assert list(found.cv_results_["params"]) == list(alone.cv_results_["params"])
    np.testing.assert_allclose(
        found.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"], rtol=1e-5
    )


def note(folder: Path, number: int, deaths: int, data: np.ndarray) -> tuple[int, int]:
    """Notes who is at work; kills its process the first `deaths` times."""
    (folder / f"{number} {len(list(folder.glob(f'{number} *')))} {os.getpid()}").touch()
    if len(list(folder.glob(f"{number} *"))) <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    if deaths < 0:
        raise ValueError("my own")
    return number, len(data)


def test_an_error_of_a_work_ends_the_others(backend: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="my own"):
        list(spread(note, [(tmp_path, 0, -1, X)], 2, backend))


def test_all_workers_are_taken_where_nobody_says_how_many(backend: Any) -> None:
    assert workers(None) == (2, backend)
    assert workers(1) == (1, None)
    assert n_workers_of_a_machine(2, backend) == 2


@pytest.mark.usefixtures("dask_client")
def test_one_worker_elsewhere_is_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with joblib.parallel_config("dask"):
        backend = joblib.parallel.get_active_backend()[0]
        monkeypatch.setattr(backend.client, "ncores", lambda: {"tcp://10.0.0.1:1234": 1})
        assert workers(None) == (1, backend)
        threads = {"tcp://10.0.0.1:1": 4, "tcp://10.0.0.1:2": 2, "tcp://10.0.0.2:1": 3}
        monkeypatch.setattr(backend.client, "ncores", lambda: threads)
        assert workers(None) == (9, backend)
        assert n_workers_of_a_machine(9, backend) == 6
        monkeypatch.setattr(backend.client, "ncores", dict)  # they have just gone
        assert n_workers_of_a_machine(1, backend) == 1


def test_large_arrays_are_packed_once() -> None:
    small = np.arange(3)
    packed, arrays = _packed(max, [([X, Y, X], small.sum()), ([Y, X], 1)])
    assert [len(array) for array in arrays] == [2000]
    assert arrays[0] is X
    assert all(len(one.pickled) < 40_000 for one in packed)  # Y is small, and goes along
    packed, arrays = _packed(np.concatenate, [([X, X],)])
    np.testing.assert_array_equal(_run_job(packed[0].pickled, arrays[0]), np.concatenate([X, X]))


def test_a_worker_that_is_killed_costs_its_own_work(backend: Any, tmp_path: Path) -> None:
    works = [(tmp_path, number, int(number == 1), X) for number in range(3)]
    found = dict(spread(note, works, 2, backend))
    assert found == {number: (number, 2000) for number in range(3)}
    assert len(list(tmp_path.glob("1 *"))) >= 2


def test_a_work_that_the_scheduler_gives_up_fails_alone(
    dask_client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_client.cluster.scheduler, "allowed_failures", 0)
    with joblib.parallel_config("dask"):
        ((index, found),) = spread(note, [(tmp_path, 0, 1, X)], 2, joblib.parallel.get_active_backend()[0])
    assert index == 0
    assert isinstance(found, RuntimeError)
    assert "the cluster abandoned a group after its workers were killed" in str(found)
