"""Searches in Weights & Biases, without a network: what its files hold."""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import wandb
from sklearn.linear_model import RidgeClassifier

from kerashp import KerasMLPClassifier
from kerashp.integrations import CandidateResult, SearchDescription, WandbLogger
from kerashp.integrations._wandb import _logged_online
from kerashp.model_selection import GridSearchCV

SEARCH = SearchDescription("5e" * 16, "GridSearchCV of RidgeClassifier", {"alpha": [0.5]}, 2)
RATES = [0.01, 1e30]  # the second diverges
Runs = Callable[[], list[Any]]


@pytest.fixture(scope="module")
def search(iris: tuple[np.ndarray, np.ndarray]) -> Any:
    X, y = iris
    classifier = KerasMLPClassifier(4, epochs=3, batch_size=32, random_state=0)
    grid = GridSearchCV(classifier, {"learning_rate": RATES}, cv=2, return_train_score=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the fits that fail
        return grid.fit(X[::2], y[::2])


def result_of(index: int = 0, **changes: Any) -> CandidateResult:
    scores = {"score": np.array([0.25, 0.75])}
    values = {"params": {"alpha": 0.5}, "test_scores": scores, "train_scores": {}, "histories": [None, None]}
    return CandidateResult(index, **(values | {"best_epochs": [None, None], "seconds": 1.5} | changes))


def logged(folder: Path, *results: CandidateResult, status: str = "finished", best: Any = None) -> None:
    logger = WandbLogger("project", "offline", folder=folder)
    logger.begin(SEARCH)
    for result in results:
        logger.candidate(result)
    if best is not None:
        logger.best(best)
    logger.end(status)


def test_a_search_is_a_group_of_runs(search: Any, wandb_runs: Runs, wandb_folder: Path) -> None:
    search.log_to(WandbLogger("project", "offline", folder=wandb_folder, log_model=False))
    whole, first, second = wandb_runs()
    assert [run.name for run in (whole, first)] == ["GridSearchCV of KerasMLPClassifier", "candidate 0"]
    assert {run.group for run in (whole, first, second)} == {f"{whole.name} {whole.id[:8]}"}
    assert [run.job_type for run in (whole, first, second)] == ["search", "candidate", "candidate"]
    assert [run.id for run in (first, second)] == [f"{whole.id}-0", f"{whole.id}-1"]
    assert [run.exit_code for run in (whole, first, second)] == [0, 0, 1]
    assert whole.config["n_splits"] == 2
    assert [run.config["learning_rate"] for run in (first, second)] == RATES
    results = search.cv_results_
    for name in ("mean_test_score", "split0_test_score", "split1_train_score", "split1_best_epoch"):
        assert first.summary[name] == pytest.approx(results[name][0]), name
    assert (whole.summary["status"], first.summary["status"], second.summary["status"]) == (
        "finished",
        "finished",
        "failed",
    )
    assert "diverged" in second.summary["error"]


def test_learning_curves_have_a_point_for_each_epoch(
    search: Any, wandb_runs: Runs, wandb_folder: Path
) -> None:
    search.log_to(WandbLogger("project", "offline", folder=wandb_folder, log_model=False))
    points = wandb_runs()[1].history
    losses = [history["loss"] for history in search.histories_[0]]
    assert [point["_step"] for point in points] == [0, 1, 2]
    np.testing.assert_allclose([point["loss"] for point in points], np.mean(losses, axis=0))
    np.testing.assert_allclose([point["split1/loss"] for point in points], losses[1])


def test_nothing_but_the_candidate_is_logged(wandb_runs: Runs, wandb_folder: Path) -> None:
    logged(wandb_folder, result_of(params={"alpha": 0.5, "secret": object()}))
    _, run = wandb_runs()
    assert {name for name in run.config if name != "_wandb"} == {"alpha", "secret"}
    assert run.config["secret"] == "object"
    assert {"stats", "output", "output_raw", "environment"}.isdisjoint(run.kinds)
    files = {path.name for path in wandb_folder.glob("wandb/offline-run-*/files/*")}
    assert files == set()


def test_the_best_estimator_is_an_artifact(search: Any, wandb_runs: Runs, wandb_folder: Path) -> None:
    logged(wandb_folder, best=search.best_estimator_)
    (run,) = wandb_runs()
    (artifact,) = run.artifacts
    assert (artifact.name, artifact.type) == (f"best-{SEARCH.id}", "model")
    assert {entry.path for entry in artifact.manifest.contents} == {
        "arrays.npz",
        "estimator.json",
        "model.keras",
    }
    assert all(Path(entry.local_path).exists() for entry in artifact.manifest.contents)


def test_an_estimator_that_cannot_be_saved_is_no_artifact(wandb_runs: Runs, wandb_folder: Path) -> None:
    logged(wandb_folder, best=RidgeClassifier())
    (run,) = wandb_runs()
    assert run.artifacts == []


def test_a_candidate_that_was_logged_in_part_is_logged_anew(wandb_runs: Runs, wandb_folder: Path) -> None:
    logged(wandb_folder, result_of(0))
    (mark,) = wandb_folder.glob(f"wandb/offline-run-*-{SEARCH.id}-0/finished.kerashp")
    mark.unlink()
    logged(wandb_folder, result_of(0, params={"alpha": 2.0}))
    (candidate,) = [run for run in wandb_runs() if run.id == f"{SEARCH.id}-0"]
    assert candidate.config["alpha"] == 2.0


def test_finished_runs_of_the_group_are_found_on_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class Api:
        def runs(self, path: str, filters: Any) -> list[Any]:
            asked.append((path, filters))
            states = ("finished", "running", "failed", "crashed")
            return [SimpleNamespace(id=f"a-{i}", state=state) for i, state in enumerate(states)]

    monkeypatch.setattr(wandb, "Api", Api)
    run = SimpleNamespace(entity="me", project="project", group="search a")
    assert list(_logged_online(run)) == ["a-0", "a-2"]
    assert asked == [("me/project", {"group": "search a"})]


def test_an_active_run_stays_active(wandb_runs: Runs, wandb_folder: Path) -> None:
    with wandb.init(
        project="mine", id="mine", dir=wandb_folder, settings=wandb.Settings(silent=True)
    ) as mine:
        logged(wandb_folder, result_of())
        assert wandb.run is mine
        wandb.log({"loss": 1.0})
    (run,) = [run for run in wandb_runs() if run.id == "mine"]
    assert [point["loss"] for point in run.history] == [1.0]


def test_disabled_logs_nothing(wandb_runs: Runs, wandb_folder: Path) -> None:
    logger = WandbLogger("project", "disabled", folder=wandb_folder)
    logger.begin(SEARCH)
    logger.candidate(result_of())
    logger.end("finished")
    assert wandb_runs() == []


def test_nothing_is_printed(search: Any, wandb_folder: Path, capfd: pytest.CaptureFixture) -> None:
    logged(wandb_folder, result_of(), best=search.best_estimator_)
    assert capfd.readouterr() == ("", "")


def test_without_wandb_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ImportError, match=r'WandbLogger requires wandb; .* pip install "kerashp\[wandb\]"'):
        WandbLogger().begin(SEARCH)
