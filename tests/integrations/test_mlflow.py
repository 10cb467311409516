"""Searches in MLflow, on a store in a file."""

import socket
import ssl
import sys
import threading
import time
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError

import keras
import mlflow
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerashp import KerasMLPClassifier
from kerashp.integrations import CandidateResult, LoggerWarning, MLflowLogger, SearchDescription, _mlflow
from kerashp.integrations._mlflow import _check_server, _save_keras_model
from kerashp.model_selection import GridSearchCV

SEARCH = SearchDescription("5e" * 16, "GridSearchCV of RidgeClassifier", {"alpha": [0.5]}, 2)
RATES = [0.01, 1e30]  # the second diverges


@pytest.fixture(scope="module")
def rows(iris: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    X, y = iris
    return X[::2].astype("float32"), y[::2]


@pytest.fixture(scope="module")
def search(rows: tuple[np.ndarray, np.ndarray]) -> Any:
    classifier = KerasMLPClassifier(4, epochs=3, batch_size=32, random_state=0)
    grid = GridSearchCV(classifier, {"learning_rate": RATES}, cv=2, return_train_score=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the fits that fail
        return grid.fit(*rows)


class Store:
    """An experiment in a store of MLflow."""

    def __init__(self, uri: str, experiment: str):
        self.uri, self.experiment = uri, experiment
        self.client = mlflow.MlflowClient(uri)

    def logger(self, **options: Any) -> MLflowLogger:
        return MLflowLogger(self.uri, self.experiment, **options)

    def runs(self) -> list[Any]:
        experiment = self.client.get_experiment_by_name(self.experiment)
        runs = self.client.search_runs([experiment.experiment_id])
        return sorted(runs, key=lambda run: run.info.run_name)

    def curve(self, run: Any, name: str) -> list[float]:
        points = self.client.get_metric_history(run.info.run_id, name)
        return [point.value for point in sorted(points, key=lambda point: point.step)]


@pytest.fixture
def store(mlflow_uri: str, mlflow_experiment: str) -> Store:
    return Store(mlflow_uri, mlflow_experiment)


def result_of(index: int = 0, **changes: Any) -> CandidateResult:
    scores = {"score": np.array([0.25, 0.75])}
    values = {"params": {"alpha": 0.5}, "test_scores": scores, "train_scores": {}, "histories": [None, None]}
    return CandidateResult(index, **(values | {"best_epochs": [None, None], "seconds": 1.5} | changes))


def test_a_search_is_a_run_with_a_nested_run_for_each_candidate(store: Store, search: Any) -> None:
    search.log_to(store.logger(log_model=False))
    parent, first, second = store.runs()
    assert [run.info.status for run in (parent, first, second)] == ["FINISHED", "FINISHED", "FAILED"]
    assert [run.info.run_name for run in (parent, first)] == [
        "GridSearchCV of KerasMLPClassifier",
        "candidate 0",
    ]
    assert {run.data.tags["mlflow.parentRunId"] for run in (first, second)} == {parent.info.run_id}
    assert parent.data.params == {"n_splits": "2"}
    assert [run.data.params for run in (first, second)] == [{"learning_rate": str(rate)} for rate in RATES]
    results = search.cv_results_
    for name in ("mean_test_score", "split0_test_score", "split1_train_score", "split1_best_epoch"):
        assert first.data.metrics[name] == pytest.approx(results[name][0]), name
    assert first.data.metrics["seconds"] > 0
    assert np.isnan(second.data.metrics["mean_test_score"])
    assert "kerashp.error" not in first.data.tags
    assert "diverged" in second.data.tags["kerashp.error"]


def test_learning_curves_have_a_point_for_each_epoch(store: Store, search: Any) -> None:
    search.log_to(store.logger(log_model=False))
    run = store.runs()[1]
    losses = [history["loss"] for history in search.histories_[0]]
    np.testing.assert_allclose(store.curve(run, "loss"), np.mean(losses, axis=0))
    np.testing.assert_allclose(store.curve(run, "split1/loss"), losses[1])


def test_the_best_estimator_loads_and_predicts_the_same(
    store: Store, search: Any, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    search.log_to(store.logger())
    run_id = store.runs()[0].info.run_id
    folder = store.client.download_artifacts(run_id, "estimator")
    expected = search.predict_proba(rows[0])
    np.testing.assert_array_equal(KerasMLPClassifier.load(folder).predict_proba(rows[0]), expected)
    model = mlflow.keras.load_model(f"runs:/{run_id}/keras_model")
    np.testing.assert_allclose(model.predict(rows[0], verbose=0), expected, rtol=1e-5)
    served = mlflow.pyfunc.load_model(f"runs:/{run_id}/keras_model")
    np.testing.assert_allclose(served.predict(rows[0]), expected, rtol=1e-5)


def test_the_best_of_a_pipeline_is_its_last_step(
    store: Store, search: Any, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    pipeline = make_pipeline(StandardScaler().fit(rows[0]), search.best_estimator_)
    for estimator in (RidgeClassifier(), pipeline):
        logger = store.logger()
        logger.begin(SEARCH)
        logger.best(estimator)
        logger.end("finished")
        names = [entry.path for entry in store.client.list_artifacts(store.runs()[0].info.run_id)]
        assert names == (["estimator", "keras_model"] if estimator is pipeline else [])


def test_a_model_of_several_inputs_has_a_signature_with_their_names(tmp_path: Path) -> None:
    inputs = [keras.Input((2,), name=name) for name in ("left", "right")]
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.add(inputs)))
    _save_keras_model(model, tmp_path / "model")
    signature = mlflow.models.get_model_info(str(tmp_path / "model")).signature
    assert signature.inputs.input_names() == ["left", "right"]
    assert signature.outputs.inputs[0].shape == (-1, 1)


def test_a_candidate_that_was_logged_in_part_is_logged_anew(store: Store) -> None:
    logger = store.logger()
    logger.begin(SEARCH)
    logger.candidate(result_of())
    run = store.runs()[-1]
    store.client.update_run(run.info.run_id, status="RUNNING")
    logger = store.logger()
    logger.begin(SEARCH)
    logger.candidate(result_of())
    logger.end("stopped")
    parent, again = store.runs()
    assert again.info.run_id != run.info.run_id
    assert (again.info.status, parent.info.status) == ("FINISHED", "KILLED")


def test_long_curves_and_many_parameters_are_sent_in_parts(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_batch, sizes = mlflow.MlflowClient.log_batch, []

    def counted(self: Any, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        sizes.append((len(params), len(metrics)))
        log_batch(self, run_id, metrics, params)

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", counted)
    logger = store.logger()
    logger.begin(SEARCH)
    params = {f"p{i}": i for i in range(230)}
    logger.candidate(result_of(params=params, histories=[{"loss": list(range(900))}, None]))
    logger.end("finished")
    run = store.runs()[-1]
    assert run.data.params == {name: str(value) for name, value in params.items()}
    for name in ("loss", "split0/loss"):
        assert store.curve(run, name) == list(range(900))
    assert sizes == [(100, 0), (100, 0), (30, 0), (0, 1000), (0, 804)]


def test_names_and_values_become_those_that_mlflow_takes(store: Store) -> None:
    logger = store.logger()
    logger.begin(SEARCH)
    secret = object()
    changes = {"params": {"a|b": (1, 2), "c": secret, "d": None}, "status": "failed", "error": "x" * 20_000}
    logger.candidate(result_of(histories=[{"f1(0)": [1.0]}, None], **changes))
    logger.end("failed")
    run = store.runs()[-1]
    assert run.data.params == {"a_b": "(1, 2)", "c": "object", "d": "None"}
    assert run.data.metrics["f1_0_"] == 1.0
    assert run.data.tags["kerashp.error"] == "x" * 5000


def test_an_active_run_stays_active_and_empty(store: Store, search: Any) -> None:
    mlflow.set_experiment(store.experiment)
    with mlflow.start_run(run_name="mine") as mine:
        search.log_to(store.logger())
        assert mlflow.active_run().info.run_id == mine.info.run_id
    run = store.client.get_run(mine.info.run_id)
    assert (run.data.metrics, run.data.params, run.info.status) == ({}, {}, "FINISHED")
    assert len(store.runs()) == 4


def test_the_experiment_is_that_of_set_experiment_or_the_environment(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "of the environment")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID", raising=False)

    def name_of_experiment() -> str:
        logger = MLflowLogger(store.uri)
        logger.begin(SEARCH)
        (run,) = store.client.search_runs(
            [experiment.experiment_id for experiment in store.client.search_experiments()],
            "attributes.status = 'RUNNING'",
        )
        logger.end("finished")
        return store.client.get_experiment(run.info.experiment_id).name

    assert name_of_experiment() == "of the environment"
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME")
    assert name_of_experiment() == "Default"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "0")
    mlflow.set_experiment(store.experiment)
    assert name_of_experiment() == store.experiment


def test_autolog_does_not_change_a_search(store: Store, rows: tuple[np.ndarray, np.ndarray]) -> None:
    # MLflow logs such a search as it logs those of scikit-learn; storing its model would take 15 seconds.
    classifier = KerasMLPClassifier(4, epochs=3, batch_size=32, random_state=0)
    grid = GridSearchCV(classifier, {"learning_rate": [0.01, 0.1]}, cv=2)
    expected = clone(grid).fit(*rows)
    mlflow.set_experiment(store.experiment)
    mlflow.autolog(log_models=False)
    try:
        actual = clone(grid).fit(*rows)
    finally:
        mlflow.autolog(disable=True)
    for name in expected.cv_results_:
        if "time" not in name:
            assert list(actual.cv_results_[name]) == list(expected.cv_results_[name]), name
    (metrics,) = [run.data.metrics for run in store.runs() if "mlflow.parentRunId" not in run.data.tags]
    assert metrics["best_cv_score"] == expected.best_score_
    assert len(store.runs()) == 3


class Answer(BaseHTTPRequestHandler):
    """Answers every request with an error."""

    def do_GET(self) -> None:
        self.send_error(401)

    def log_message(self, *_: Any) -> None:
        pass


def test_a_server_may_answer_by_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        _check_server(f"http://127.0.0.1:{server.server_port}")
        thread.join(30)
    assert not thread.is_alive()


def test_a_server_that_does_not_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(_mlflow, "_SECONDS_TO_ANSWER", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(
            ConnectionError, match=rf"^no server answers at http://127\.0\.0\.1:{port} \(.*timed out"
        ):
            _check_server(f"http://127.0.0.1:{port}")


def test_certificates_are_left_to_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise URLError(ssl.SSLError("self-signed"))

    monkeypatch.setattr(_mlflow, "urlopen", refused)
    _check_server("https://127.0.0.1")


_NO_SERVER = (
    r"^MLflowLogger\.begin failed: ConnectionError: no server answers at http://127\.0\.0\.1:9 \(.*\); "
    r"start it, or pass another tracking_uri\. .*log_to"
)


def test_a_search_without_a_server_warns_once_and_ends_soon(
    rows: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    logger = MLflowLogger("http://me:secret@127.0.0.1:9", "iris")
    grid = GridSearchCV(RidgeClassifier(), {"alpha": [0.5, 1.0, 2.0]}, cv=2, loggers=logger)
    start = time.monotonic()
    with pytest.warns(LoggerWarning, match=_NO_SERVER) as caught:
        fitted = grid.fit(*rows)
    assert time.monotonic() - start < 30
    assert len([one for one in caught if one.category is LoggerWarning]) == 1
    assert len(fitted.cv_results_["mean_test_score"]) == 3


def test_without_mlflow_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ImportError, match=r'MLflowLogger requires MLflow; .* "kerashp\[mlflow\]"'):
        MLflowLogger("sqlite:///no.db").begin(SEARCH)
