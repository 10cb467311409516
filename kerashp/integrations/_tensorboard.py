"""Candidates as runs of TensorBoard, with records for its HParams page."""

import math
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kerashp._files import write_bytes
from kerashp.integrations._candidate_metrics import final_metrics
from kerashp.integrations._domains import Domain, domains
from kerashp.integrations._options import LoggerOptions
from kerashp.model_selection._logging.protocol import CandidateResult, SearchDescription

_EVENTS = "events.out.tfevents"
_DIGITS = 8  # of a search's id, in the name of its folder


class TensorBoardLogger(LoggerOptions):
    """Writes each candidate of a search as a run that TensorBoard shows, with its hyperparameters.

    A search has a folder, named by its class and its id, and in it a folder for each candidate:
    `GridSearchCV-01234567/0003`. `tensorboard --logdir folder` lists the candidates on its HParams page, with
    their parameters, `mean_test_score` (or the names of several scores) and `seconds`, and shows their
    learning curves, the means over the splits by epoch, on its page of scalars.

    Parameters
    ----------
    folder : str or path-like
        The folder of all searches; it is created if it does not exist.

    Notes
    -----
    Files are written by TensorBoard's own code, without TensorFlow, and atomically, each when its candidate
    has ended: TensorBoard may run meanwhile. Parameters are written as `CandidateResult.plain_params`
    describes; a parameter with values of several types is written as text. A mean score that is not finite is
    left out. A candidate of which a fit failed has the status "failure".

    The HParams page describes the parameters of one search. Where a folder holds searches of different
    spaces, pass the folder of one of them as `--logdir`.

    A single `fit` of an estimator, or `kerashp.fit`, is logged by `keras.callbacks.TensorBoard`.

    See Also
    --------
    SearchLogger : Says when a search calls its loggers, and what happens if one fails.

    References
    ----------
    TensorBoard's documentation, "Hyperparameter Tuning with the HParams Dashboard".

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from kerashp.integrations import TensorBoardLogger
    >>> from kerashp.model_selection import GridSearchCV
    >>> with TemporaryDirectory() as folder:
    ...     logger = TensorBoardLogger(folder)
    ...     grid = GridSearchCV(RidgeClassifier(), {"alpha": [0.5, 100.0]}, cv=3, loggers=logger)
    ...     search = grid.fit(*load_iris(return_X_y=True))
    ...     sorted(run.name for run in Path(folder).glob("GridSearchCV-*/0*"))
    ['0000', '0001']
    """

    _search: SearchDescription | None = None
    _domains: dict[str, Domain] | None = None

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = folder

    def begin(self, search: SearchDescription) -> None:
        """Create the folder of the search.

        Parameters
        ----------
        search : SearchDescription
            The search, whose `id` is in the folder's name.
        """
        self._search, self._domains = search, None
        self._search_folder().mkdir(parents=True, exist_ok=True)

    def candidate(self, result: CandidateResult) -> None:
        """Write the run of a candidate, unless there is one.

        Parameters
        ----------
        result : CandidateResult
            The candidate.
        """
        ended, search_folder = time.time(), self._search_folder()
        metrics = {
            name: value
            for name, value in final_metrics(result).items()
            if name.startswith("mean_") or name == "seconds"
        }
        if self._domains is None:
            self._domains = self._new_domains(result, list(metrics), ended)
        folder = search_folder / f"{result.index:04d}"
        trial = f"{folder.name} of {search_folder.name.rpartition('-')[2]}"
        if not _is_written(folder):
            _write(folder, _run(trial, result, self._domains, metrics, ended), ended)

    def best(self, estimator: Any) -> None:
        """Do nothing: TensorBoard keeps no estimators.

        Parameters
        ----------
        estimator : estimator
            The best estimator.
        """

    def end(self, status: str) -> None:
        """Do nothing: no file is open.

        Parameters
        ----------
        status : str
            How the search ended.
        """

    def _search_folder(self) -> Path:
        search = self._begun(self._search, "candidate")
        kind, _, _ = search.name.partition(" ")
        return Path(self.folder) / f"{kind}-{search.id[:_DIGITS]}"

    def _new_domains(self, result: CandidateResult, metrics: Sequence[str], now: float) -> dict[str, Domain]:
        """The domains of the hyperparameters, which are written with the first candidate of a search."""
        from kerashp._compat.trackers.tensorboard import experiment, hyperparameter

        assert self._search is not None
        found = domains(self._search.space, result.plain_params())
        folder = self._search_folder()
        if not _is_written(folder):
            infos = [
                hyperparameter(name, title, domain.kind, domain.values, domain.interval)
                for (name, domain), title in zip(found.items(), _titles(list(found)), strict=True)
            ]
            _write(folder, [experiment(self._search.name, infos, metrics, now)], now)
        return found


def _titles(names: Sequence[str]) -> list[str]:
    """The names without those of steps before them, where they differ nevertheless."""
    short = [name.rpartition("__")[2] for name in names]
    return short if len(set(short)) == len(short) else list(names)


def _run(
    trial: str, result: CandidateResult, domains: dict[str, Domain], metrics: dict[str, float], ended: float
) -> Iterator[Any]:
    """The events of a candidate, whose time is spread over its epochs."""
    from kerashp._compat.trackers.tensorboard import scalar, session_end, session_start

    began = ended - result.seconds
    params = {
        name: domains[name].of_kind(value) if name in domains else value
        for name, value in result.plain_params().items()
    }
    yield session_start(trial, params, began)
    for name, curve in result.mean_history().items():
        for epoch, value in enumerate(curve):
            yield scalar(name, value, epoch, began + result.seconds * (epoch + 1) / len(curve))
    for name, value in metrics.items():
        if math.isfinite(value):
            yield scalar(name, value, 0, ended)
    yield session_end(result.status == "failed", ended)


def _is_written(folder: Path) -> bool:
    return any(folder.glob(f"{_EVENTS}.*"))


def _write(folder: Path, events: Sequence[Any] | Iterator[Any], now: float) -> None:
    """Write a file of events. TensorBoard reads any file with such a name, so that it gets it at the end."""
    from kerashp._compat.trackers.tensorboard import event_file

    unnamed = folder / "unnamed"
    write_bytes(unnamed, event_file(events, now))
    os.replace(unnamed, folder / f"{_EVENTS}.{int(now):010d}.kerashp")
