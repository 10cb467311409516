"""Searches as groups of runs in Weights & Biases; wandb is imported when a search begins."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from kerashp._compat.trackers.wandb import settings_of_bare_runs
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._nesting import innermost
from kerashp.integrations._candidate_metrics import final_metrics, metrics_by_epoch
from kerashp.integrations._options import LoggerOptions
from kerashp.model_selection._logging.protocol import CandidateResult, SearchDescription

_MARK = "finished.kerashp"  # a file in the folder of a run that was written to its end


class WandbLogger(LoggerOptions):
    """A group of runs in Weights & Biases for a search: one for each candidate, and one for the search.

    A candidate's run has its parameters as its configuration, the learning curves by epoch (`loss` is the
    mean over the splits, `split0/loss` that of the first), and in its summary the scores of each split and
    their mean, best epochs and seconds by their names in `cv_results_`. A candidate that failed has a run
    that failed, and the last line of its error in the summary. The search's own run, of the job type
    "search", has the best estimator. Sweeps are not used.

    Parameters
    ----------
    project : str, default=None
        The project; if None, that of `WANDB_PROJECT`, else W&B's default.
    mode : {"online", "offline", "disabled"}, default=None
        Where runs go: to the server; to files that `wandb sync` sends later; nowhere. If None, as
        `WANDB_MODE` says, else "online".
    entity : str, default=None
        The user or team; if None, W&B's default.
    folder : str or path, default=None
        Where W&B creates its folder `wandb`; if None, as `WANDB_DIR` says, else the working directory.
    log_model : bool, default=True
        Whether to log the best estimator, if the search refits, as an artifact of the type "model": the
        folder of its `save`. Of a pipeline, it is the last step.

    Raises
    ------
    ImportError
        When a search begins, if wandb is not installed. The search warns of it, as of any error of a logger.

    Notes
    -----
    A run of yours that is active stays active. The ids of the runs are made of the search's id and the
    number of the candidate, so that a search that continues from its journal, and `log_to`, add only the
    candidates that are missing. Nothing is logged about the machine, the program, its packages or its code.

    References
    ----------
    W&B's documentation, "Group runs into experiments".

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from kerashp import KerasMLPClassifier
    >>> from kerashp.integrations import WandbLogger
    >>> from kerashp.model_selection import GridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> folder = tempfile.TemporaryDirectory()
    >>> logger = WandbLogger("iris", mode="offline", folder=folder.name, log_model=False)
    >>> grid = GridSearchCV(KerasMLPClassifier(epochs=5), {"n_neurons": [4, 8]}, cv=2, loggers=logger)
    >>> search = grid.fit(X, y)
    >>> from pathlib import Path
    >>> len(list(Path(folder.name).glob("wandb/offline-run-*")))
    3
    >>> folder.cleanup()
    """

    _runs: "_Runs | None" = None

    def __init__(
        self,
        project: str | None = None,
        mode: str | None = None,
        *,
        entity: str | None = None,
        folder: str | Path | None = None,
        log_model: bool = True,
    ):
        self.project = project
        self.mode = mode
        self.entity = entity
        self.folder = folder
        self.log_model = log_model

    def begin(self, search: SearchDescription) -> None:
        """Start the search's run, and see which candidates have one.

        Parameters
        ----------
        search : SearchDescription
            The search.

        Raises
        ------
        ImportError
            If wandb is not installed.
        """
        if self._runs is not None:  # of a search that this logger has failed in
            self._runs.of_search.finish(exit_code=1)
        options = {"project": self.project, "mode": self.mode, "entity": self.entity, "dir": self.folder}
        is_offline = (self.mode or os.environ.get("WANDB_MODE")) == "offline"
        options["resume"] = None if is_offline else "allow"
        self._runs = _Runs.of(search, {**options, "group": f"{search.name} {search.id[:8]}"})

    def candidate(self, result: CandidateResult) -> None:
        """Log a candidate as a run of the group, unless it has one.

        Parameters
        ----------
        result : CandidateResult
            The candidate.
        """
        self._begun(self._runs, "candidate").add(result)

    def best(self, estimator: Any) -> None:
        """Log the best estimator as an artifact of the search's run.

        Parameters
        ----------
        estimator : estimator
            `best_estimator_`. One that is not of kerashp is not logged.
        """
        estimator = innermost(estimator)
        if self.log_model and isinstance(estimator, BaseKerasEstimator):
            runs = self._begun(self._runs, "best")
            artifact = _wandb().Artifact(f"best-{runs.search_id}", "model")
            with tempfile.TemporaryDirectory() as folder:
                estimator.save(folder)
                for path in Path(folder).iterdir():
                    artifact.add_file(str(path))
            runs.of_search.log_artifact(artifact)

    def end(self, status: str) -> None:
        """Finish the search's run.

        Parameters
        ----------
        status : str
            "finished", "stopped" or "failed", which the run's summary keeps.
        """
        run = self._begun(self._runs, "end").of_search
        run.summary["status"] = status
        run.finish(exit_code=int(status == "failed"))
        self._runs = None


@dataclass(frozen=True)
class _Runs:
    """The runs of one search."""

    search_id: str
    options: dict[str, Any]  # of `wandb.init`
    of_search: Any
    logged: set[str]  # ids of the candidates' runs

    @classmethod
    def of(cls, search: SearchDescription, options: dict[str, Any]) -> "_Runs":
        """Start the search's run."""
        config = {"n_splits": search.n_splits}
        run = _start(search.id, search.name, "search", config, options)
        return cls(search.id, options, run, _logged(run))

    def add(self, result: CandidateResult) -> None:
        """Log a candidate, unless it is logged."""
        run_id = f"{self.search_id}-{result.index}"
        if run_id in self.logged:
            return
        name = f"candidate {result.index}"
        run = _start(run_id, name, "candidate", result.plain_params(), self.options)
        for epoch, values in enumerate(metrics_by_epoch(result)):
            run.log(values, step=epoch)
        run.summary.update(final_metrics(result) | {"status": result.status})
        if result.error is not None:
            run.summary["error"] = result.error
        run.finish(exit_code=int(result.status == "failed"))
        if self.of_search.offline:
            Path(run.dir).with_name(_MARK).touch()
        self.logged.add(run_id)


def _start(run_id: str, name: str, job_type: str, config: dict[str, Any], options: dict[str, Any]) -> Any:
    return _wandb().init(
        id=run_id,
        name=name,
        job_type=job_type,
        config=config,
        reinit="create_new",
        settings=settings_of_bare_runs(),
        **options,
    )


def _wandb() -> Any:
    try:
        return import_module("wandb")
    except ImportError as error:
        raise ImportError(
            'WandbLogger requires wandb; install it with: pip install "kerashp[wandb]"'
        ) from error


def _logged(run_of_search: Any) -> set[str]:
    """The ids of the runs of a search's candidates that were written to their ends."""
    if run_of_search.disabled:
        return set()
    return set(_logged_offline(run_of_search) if run_of_search.offline else _logged_online(run_of_search))


def _logged_online(run_of_search: Any) -> Iterator[str]:
    path = f"{run_of_search.entity}/{run_of_search.project}"
    for run in _wandb().Api().runs(path, filters={"group": run_of_search.group}):
        if run.state in ("finished", "failed"):
            yield run.id


def _logged_offline(run_of_search: Any) -> Iterator[str]:
    for folder in Path(run_of_search.dir).parents[1].glob(f"offline-run-*-{run_of_search.id}-*"):
        if (folder / _MARK).exists():
            yield folder.name.split("-", 3)[-1]
        else:  # the process was killed meanwhile: two folders with one id would be one run on the server
            shutil.rmtree(folder)
