"""Searches as runs in MLflow; MLflow is imported when a search begins."""

import os
import re
import ssl
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import keras
import numpy as np

from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import innermost
from kerashp.integrations._candidate_metrics import final_metrics, metrics_by_epoch
from kerashp.integrations._options import LoggerOptions
from kerashp.model_selection._logging.protocol import CandidateResult, SearchDescription

_SEARCH, _CANDIDATE, _ERROR = "kerashp.search", "kerashp.candidate", "kerashp.error"  # tags of ours
_PARENT = "mlflow.parentRunId"  # a tag of MLflow's
_MOST_PARAMS, _MOST_METRICS = 100, 1000  # MLflow's limits of a call of `log_batch`
_MOST_LETTERS = 5000  # of a tag
_SECONDS_TO_ANSWER = 30
_REFUSED = re.compile(r"[^\w\-. /]")  # in names
_STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


class MLflowLogger(LoggerOptions):
    """A run in MLflow for a search, and a nested run for each candidate.

    A candidate's run has its parameters, the scores of each split and their mean, best epochs and seconds
    by their names in `cv_results_`, and the learning curves by epoch: `loss` is the mean over the splits,
    `split0/loss` that of the first. A candidate that failed has MLflow's status FAILED, and the last line of
    its error as the tag `kerashp.error`. The search's own run has the best estimator.

    Parameters
    ----------
    tracking_uri : str, default=None
        Where the runs are kept, such as "sqlite:///runs.db" or the address of a server; if None, where
        `mlflow.set_tracking_uri` or the environment variable `MLFLOW_TRACKING_URI` says.
    experiment : str, default=None
        The experiment's name, which is created if it does not exist; if None, that of `mlflow.set_experiment`
        or of `MLFLOW_EXPERIMENT_NAME`, else MLflow's default.
    log_model : bool, default=True
        Whether to store the best estimator, if the search refits: the folder `estimator` is that of its
        `save`, and `keras_model` loads by `mlflow.keras.load_model`. Of a pipeline, it is the last step.

    Raises
    ------
    ImportError
        When a search begins, if MLflow is not installed. The search warns of it, as of any error of a logger.

    Notes
    -----
    The active run of the process, if there is one, is neither used nor changed. Runs are found by the tags
    `kerashp.search` and `kerashp.candidate`, so that a search that continues from its journal, and `log_to`,
    add only the candidates that are missing.

    If a server does not answer within 30 seconds when a search begins, the search goes on without the logger.
    If it stops answering later, MLflow repeats one call for minutes before that; the environment variables
    `MLFLOW_HTTP_REQUEST_MAX_RETRIES` and `MLFLOW_HTTP_REQUEST_TIMEOUT` set how often and for how long.

    `mlflow.autolog()` need not be turned off. It logs a `GridSearchCV` or `RandomizedSearchCV` as one of
    scikit-learn, with its best five candidates and without learning curves, and each training by `Model.fit`.

    References
    ----------
    MLflow's documentation, "MLflow Tracking".

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from kerashp import KerasMLPClassifier
    >>> from kerashp.integrations import MLflowLogger
    >>> from kerashp.model_selection import GridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> folder = tempfile.TemporaryDirectory()
    >>> logger = MLflowLogger(f"sqlite:///{folder.name}/runs.db", "iris", log_model=False)
    >>> grid = GridSearchCV(KerasMLPClassifier(epochs=5), {"n_neurons": [4, 8]}, cv=2, loggers=logger)
    >>> search = grid.fit(X, y)
    >>> import mlflow
    >>> client = mlflow.MlflowClient(logger.tracking_uri)
    >>> experiment = client.get_experiment_by_name("iris").experiment_id
    >>> sorted(run.info.run_name for run in client.search_runs([experiment]))
    ['GridSearchCV of KerasMLPClassifier', 'candidate 0', 'candidate 1']
    >>> folder.cleanup()
    """

    _runs: "_Runs | None" = None

    def __init__(
        self, tracking_uri: str | None = None, experiment: str | None = None, *, log_model: bool = True
    ):
        self.tracking_uri = tracking_uri
        self.experiment = experiment
        self.log_model = log_model

    def begin(self, search: SearchDescription) -> None:
        """Create the search's run, or find the one that an earlier call created.

        Parameters
        ----------
        search : SearchDescription
            The search.

        Raises
        ------
        ImportError
            If MLflow is not installed.
        ConnectionError
            If `tracking_uri` is the address of a server that does not answer within 30 seconds.
        """
        client = _mlflow().MlflowClient(self.tracking_uri)
        _check_server(client.tracking_uri)
        self._runs = _Runs.of(client, _experiment_id(client, self.experiment), search)

    def candidate(self, result: CandidateResult) -> None:
        """Log a candidate as a nested run, unless it has one.

        Parameters
        ----------
        result : CandidateResult
            The candidate.
        """
        self._begun(self._runs, "candidate").add(result)

    def best(self, estimator: Any) -> None:
        """Store the best estimator as artifacts of the search's run.

        Parameters
        ----------
        estimator : estimator
            `best_estimator_`. One that is not of kerashp is not stored.
        """
        estimator = innermost(estimator)
        if self.log_model and isinstance(estimator, BaseKerasEstimator):
            runs = self._begun(self._runs, "best")
            with tempfile.TemporaryDirectory() as folder:
                estimator.save(Path(folder, "estimator"))
                _save_keras_model(estimator.model_, Path(folder, "keras_model"))
                runs.client.log_artifacts(runs.parent, folder)

    def end(self, status: str) -> None:
        """End the search's run.

        Parameters
        ----------
        status : str
            "finished", "stopped" or "failed"; in MLflow FINISHED, KILLED or FAILED.
        """
        runs = self._begun(self._runs, "end")
        runs.client.set_terminated(runs.parent, _STATUS[status])
        self._runs = None


@dataclass(frozen=True)
class _Runs:
    """The runs of one search."""

    client: Any
    experiment_id: str
    search_id: str
    parent: str
    candidates: set[str]  # that are logged, by number

    @classmethod
    def of(cls, client: Any, experiment_id: str, search: SearchDescription) -> "_Runs":
        """Find the runs of a search, and create what is missing of its own."""
        parent, candidates = None, set()
        for run in _search_runs(client, experiment_id, search.id):
            if _CANDIDATE not in run.data.tags:
                parent = run.info.run_id
            elif run.info.status in ("FINISHED", "FAILED"):
                candidates.add(run.data.tags[_CANDIDATE])
            else:  # the process was killed while it logged this candidate
                client.delete_run(run.info.run_id)
        if parent is None:
            tags = {_SEARCH: search.id}
            parent = client.create_run(experiment_id, tags=tags, run_name=search.name).info.run_id
            client.log_param(parent, "n_splits", search.n_splits)
        else:
            client.update_run(parent, status="RUNNING")
        return cls(client, experiment_id, search.id, parent, candidates)

    def add(self, result: CandidateResult) -> None:
        """Log a candidate, unless it is logged."""
        number = str(result.index)
        if number in self.candidates:
            return
        tags = {_PARENT: self.parent, _SEARCH: self.search_id, _CANDIDATE: number}
        if result.error is not None:
            tags[_ERROR] = result.error[:_MOST_LETTERS]
        now = _milliseconds()
        run = self.client.create_run(
            self.experiment_id, now - round(1000 * result.seconds), tags, f"candidate {number}"
        )
        self._log(run.info.run_id, result, now)
        self.client.set_terminated(run.info.run_id, _STATUS[result.status])
        self.candidates.add(number)

    def _log(self, run_id: str, result: CandidateResult, now: int) -> None:
        from mlflow.entities import Metric, Param

        params = [Param(_name(name), str(value)) for name, value in result.plain_params().items()]
        metrics = [Metric(_name(name), value, now, 0) for name, value in final_metrics(result).items()]
        for epoch, values in enumerate(metrics_by_epoch(result)):
            metrics += [Metric(_name(name), value, now, epoch) for name, value in values.items()]
        for chunk in _chunks(params, _MOST_PARAMS):
            self.client.log_batch(run_id, params=chunk)
        for chunk in _chunks(metrics, _MOST_METRICS):
            self.client.log_batch(run_id, metrics=chunk)


def _mlflow() -> Any:
    try:
        return import_module("mlflow")
    except ImportError as error:
        raise ImportError(
            'MLflowLogger requires MLflow; install it with: pip install "kerashp[mlflow]"'
        ) from error


def _check_server(uri: str) -> None:
    """Raise an error if no server answers at an address: MLflow would repeat its first call for minutes."""
    address = urlsplit(uri)
    if address.scheme not in ("http", "https"):
        return
    server = f"{address.scheme}://{address.netloc.rpartition('@')[2]}"  # without a password
    try:
        urlopen(server, timeout=_SECONDS_TO_ANSWER).close()
    except HTTPError as answer:
        answer.close()
    except (URLError, TimeoutError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLError):  # MLflow may have other certificates
            return
        raise ConnectionError(
            f"no server answers at {server} ({reason}); start it, or pass another tracking_uri"
        ) from error


def _experiment_id(client: Any, name: str | None) -> str:
    """The experiment of this name, which is created if it does not exist."""
    if name is None:
        active = os.environ.get("MLFLOW_EXPERIMENT_ID")  # `mlflow.set_experiment` sets it, too
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "Default")
        if active is not None:
            return active
    experiment = client.get_experiment_by_name(name)
    return str(client.create_experiment(name) if experiment is None else experiment.experiment_id)


def _search_runs(client: Any, experiment_id: str, search_id: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs([experiment_id], f"tags.`{_SEARCH}` = '{search_id}'", page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _save_keras_model(model: keras.Model, folder: Path) -> None:
    """Save a model for `mlflow.keras.load_model`, its requirements named: MLflow would start a process."""
    backend = keras.backend.backend()
    versions = {"keras": keras.__version__, backend: import_module(backend).__version__}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Any type hint is inferred", UserWarning)  # of MLflow's own types
        import_module("mlflow.keras").save_model(
            model,
            str(folder),
            signature=_signature(model),
            pip_requirements=[f"{name}=={version}" for name, version in versions.items()],
        )


def _signature(model: keras.Model) -> Any:
    """The shapes and types of a model's inputs and outputs; None for a subclass of `keras.Model`."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    def schema(tensors: Sequence[Any]) -> Any:
        names = [tensor.name for tensor in tensors] if len(tensors) > 1 else [None]
        return Schema(
            [
                TensorSpec(np.dtype(tensor.dtype), [size or -1 for size in tensor.shape], name)
                for tensor, name in zip(tensors, names, strict=True)
            ]
        )

    return ModelSignature(schema(model.inputs), schema(model.outputs)) if hasattr(model, "inputs") else None


def _name(name: str) -> str:
    return _REFUSED.sub("_", name)


def _chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _milliseconds() -> int:
    return round(1000 * time.time())
