"""What all loggers of `kerashp.integrations` have in common: each candidate once, and no data."""

import copy
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras_tuner
import numpy as np
import pandas as pd
import pytest
from scipy.stats import loguniform, norm, randint
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import KFold, cross_validate
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups
from tensorboard.util.tensor_util import make_ndarray

from kerashp import KerasMLPRegressor, integrations
from kerashp.integrations import (
    CandidateResult,
    CSVLogger,
    MLflowLogger,
    SearchDescription,
    SearchLogger,
    TensorBoardLogger,
    WandbLogger,
)
from kerashp.integrations._domains import domains
from kerashp.model_selection import GridSearchCV, RandomizedSearchCV

pytestmark = pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")

X = np.random.default_rng(0).normal(size=(60, 3))
X[:, 0] = 123456.789
Y = X[:, 1]


class Secret:
    def __repr__(self) -> str:
        return "hunter2"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret)

    def __hash__(self) -> int:
        return 0


class Scored(BaseEstimator):
    """Its score is its parameter; it fails at 3."""

    def __init__(self, number: int = 0, secret: Any = None):
        self.number = number
        self.secret = secret

    def fit(self, X: Any, y: Any) -> "Scored":
        if self.number == 3:
            raise ValueError("three")
        return self

    def score(self, X: Any, y: Any) -> float:
        return self.number / 4


def hparams_page(folder: Path) -> tuple[Any, list[Any]]:
    """The experiment and the session groups that TensorBoard's HParams page shows of a folder."""
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(folder))
    context = backend_context.Context(TBContext(data_provider=provider, logdir=str(folder)))
    arguments = RequestContext(), context, ""
    statuses = [api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE]
    request = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=100, allowed_statuses=statuses)
    experiment = get_experiment.Handler(*arguments, api_pb2.GetExperimentRequest()).run()
    return experiment, list(list_session_groups.Handler(*arguments, request).run().session_groups)


@dataclass(frozen=True)
class Logged:
    """A candidate as it is found in a tracker."""

    index: int
    number: float
    score: float | None
    status: str


@dataclass(frozen=True)
class Tracker:
    """A logger, and how to read what it has written."""

    make: Callable[[Path], SearchLogger]
    read: Callable[[Path], list[Logged]]


def read_csv(folder: Path) -> list[Logged]:
    table = pd.read_csv(folder / "results.csv")
    columns = table[["candidate", "param_number", "mean_test_score", "status"]]
    return [
        Logged(index, number, None if np.isnan(score) else score, status)
        for index, number, score, status in columns.itertuples(index=False)
    ]


def read_tensorboard(folder: Path) -> list[Logged]:
    logged = []
    for group in hparams_page(folder)[1]:
        (session,) = group.sessions
        scores = [item.value for item in session.metric_values if item.name.tag == "mean_test_score"]
        status = "failed" if session.status == api_pb2.STATUS_FAILURE else "finished"
        index = int(session.name.rpartition("/")[2])
        logged.append(Logged(index, group.hparams["number"].number_value, next(iter(scores), None), status))
    return logged


def read_mlflow(folder: Path) -> list[Logged]:
    from mlflow import MlflowClient

    return [
        Logged(
            int(run.data.tags["kerashp.candidate"]),
            int(run.data.params["number"]),
            known(run.data.metrics["mean_test_score"]),
            "failed" if run.info.status == "FAILED" else run.info.status.lower(),
        )
        for run in MlflowClient(store_in(folder)).search_runs(["0"])
        if "kerashp.candidate" in run.data.tags
    ]


def store_in(folder: Path) -> str:
    return f"sqlite:///{folder}/runs.db"


def known(score: Any) -> float | None:
    return None if score is None or np.isnan(score) else score


@pytest.fixture
def csv_tracker() -> Tracker:
    return Tracker(lambda folder: CSVLogger(folder / "results.csv"), read_csv)


@pytest.fixture
def tensorboard_tracker() -> Tracker:
    return Tracker(TensorBoardLogger, read_tensorboard)


@pytest.fixture
def mlflow_tracker(mlflow_uri: str) -> Tracker:
    def make(folder: Path) -> MLflowLogger:
        folder.mkdir(exist_ok=True)
        if not (folder / "runs.db").exists():  # creating its tables takes seconds
            shutil.copy(mlflow_uri.removeprefix("sqlite:///"), folder / "runs.db")
        return MLflowLogger(store_in(folder))

    return Tracker(make, read_mlflow)


@pytest.fixture
def wandb_tracker(read_wandb: Callable[[Path], list[Any]]) -> Tracker:
    def make(folder: Path) -> WandbLogger:
        folder.mkdir(exist_ok=True)
        return WandbLogger("project", "offline", folder=folder)

    def read(folder: Path) -> list[Logged]:
        return [
            Logged(
                int(run.name.removeprefix("candidate ")),
                run.config["number"],
                known(run.summary["mean_test_score"]),
                run.summary["status"],
            )
            for run in read_wandb(folder)
            if run.job_type == "candidate"
        ]

    return Tracker(make, read)


@pytest.fixture(params=["csv", "tensorboard", "mlflow", "wandb"])
def tracker(request: pytest.FixtureRequest) -> Tracker:
    return request.getfixturevalue(f"{request.param}_tracker")


def grid(loggers: Any = None, **options: Any) -> GridSearchCV:
    space = {"number": [1, 2], "secret": [Secret()]}
    return GridSearchCV(Scored(), space, **{"cv": KFold(2), "refit": False, "loggers": loggers, **options})


def logged(tracker: Tracker, folder: Path) -> list[Logged]:
    return sorted(tracker.read(folder), key=lambda candidate: candidate.index)


BOTH = [Logged(0, 1, 0.25, "finished"), Logged(1, 2, 0.5, "finished")]


def test_each_candidate_is_logged(tracker: Tracker, tmp_path: Path) -> None:
    grid(tracker.make(tmp_path), refit=True).fit(X, Y)
    assert logged(tracker, tmp_path) == BOTH


def test_a_candidate_that_failed_is_logged_as_such(tracker: Tracker, tmp_path: Path) -> None:
    search = grid(tracker.make(tmp_path)).set_params(param_grid={"number": [1, 3]})
    with pytest.warns(FitFailedWarning):
        search.fit(X, Y)
    assert logged(tracker, tmp_path) == [BOTH[0], Logged(1, 3, None, "failed")]


def test_a_search_that_resumes_adds_no_candidate_twice(tracker: Tracker, tmp_path: Path) -> None:
    for _ in range(2):
        grid(tracker.make(tmp_path / "log"), journal=tmp_path / "journal").fit(X, Y)
    assert logged(tracker, tmp_path / "log") == BOTH


def test_log_to_adds_what_is_missing(tracker: Tracker, tmp_path: Path) -> None:
    logger = tracker.make(tmp_path)
    search = grid().fit(X, Y)
    for _ in range(2):
        search.log_to(logger)
    assert logged(tracker, tmp_path) == BOTH
    search.fit(X, Y).log_to(logger)  # another search
    assert len(logged(tracker, tmp_path)) == 4


def test_what_a_failure_left_out_is_added(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = tracker.make(tmp_path)
    candidate = type(logger).candidate

    def fails_at_the_second(self: Any, result: Any) -> None:
        if result.index == 1:
            raise OSError("the disk is full")
        candidate(self, result)

    with monkeypatch.context() as patch:
        patch.setattr(type(logger), "candidate", fails_at_the_second)
        with pytest.warns(integrations.LoggerWarning, match="the disk is full"):
            search = grid(logger).fit(X, Y)
    assert logged(tracker, tmp_path) == BOTH[:1]
    search.log_to(logger)
    assert logged(tracker, tmp_path) == BOTH


@pytest.mark.parametrize("copied", [copy.deepcopy, clone, lambda search: pickle.loads(pickle.dumps(search))])
def test_copies_of_a_search_have_loggers_of_their_own(
    tracker: Tracker, tmp_path: Path, copied: Callable[[Any], Any]
) -> None:
    search = grid(tracker.make(tmp_path)).fit(X, Y)
    again = copied(search)
    assert again.loggers is not search.loggers
    again.fit(X, Y)
    assert len(logged(tracker, tmp_path)) == 4


def test_the_searches_of_a_nested_cross_validation_are_logged(tracker: Tracker, tmp_path: Path) -> None:
    search = grid(tracker.make(tmp_path), refit=True)
    cross_validate(search, X, Y, cv=3, error_score="raise")
    assert len(logged(tracker, tmp_path)) == 3 * 2


def test_no_data_and_no_object_is_written(tracker: Tracker, tmp_path: Path) -> None:
    grid(tracker.make(tmp_path), refit=True).fit(X, Y)
    contents = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert contents
    assert any(b"secret" in content for content in contents)
    for content in contents:
        assert b"hunter2" not in content
        assert b"123456" not in content
        assert X[0].tobytes() not in content


def test_a_candidate_needs_a_search(tracker: Tracker, tmp_path: Path) -> None:
    logger = tracker.make(tmp_path)
    search = grid(logger).fit(X, Y)
    fresh = tracker.make(tmp_path)
    with pytest.raises(RuntimeError, match=f"{type(logger).__name__}.candidate was called before begin"):
        fresh.candidate(search._search_log.candidates[0])


def test_a_logger_is_printed_by_its_options(tracker: Tracker, tmp_path: Path) -> None:
    logger = tracker.make(tmp_path)
    before = repr(logger)
    assert before.startswith(f"{type(logger).__name__}(")
    grid(logger).fit(X, Y)
    assert repr(logger) == before


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(AttributeError, match="'kerashp.integrations' has no attribute 'Logger'; it has "):
        _ = integrations.Logger
    assert set(dir(integrations)) == set(integrations.__all__)


# CSV.


def test_columns_are_those_of_the_results(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "results.csv"
    mlp = KerasMLPRegressor(1, 4, epochs=2, tol=None, random_state=0)
    search = GridSearchCV(
        mlp, {"l2": [0.0, 0.1]}, cv=2, return_train_score=True, refit=False, loggers=CSVLogger(path)
    ).fit(X, Y)
    table = pd.read_csv(path).sort_values("candidate")
    assert table.columns[:6].tolist() == ["search_id", "search", "candidate", "status", "error", "seconds"]
    assert set(table["search_id"]) == {search.search_id_}
    assert set(table["search"]) == {"GridSearchCV of KerasMLPRegressor"}
    assert table["error"].isna().all()
    shared = [name for name in table if name in search.cv_results_]
    names = ("test_score", "train_score", "best_epoch")
    of_splits = {f"split{split}_{name}" for split in (0, 1) for name in names}
    assert set(shared) == of_splits | {"mean_test_score", "mean_train_score", "param_l2"}
    for name in shared:
        np.testing.assert_allclose(table[name], np.asarray(search.cv_results_[name], float))


def test_searches_with_other_columns_share_a_file(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "results.csv")
    grid(logger).fit(X, Y)
    scoring = {"r": "r2", "n": lambda *_: 0.5}
    other = {"estimator": DummyRegressor(), "param_grid": {"strategy": ["mean", "median"]}}
    grid(logger, cv=KFold(3), scoring=scoring).set_params(**other).fit(X, Y)
    table = pd.read_csv(logger.path)
    assert table["param_number"].isna().tolist() == [False, False, True, True]
    assert table["param_strategy"].tolist()[2:] == ["mean", "median"]
    assert table["split2_test_n"].tolist()[2:] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", r"results.csv begins with the columns a, b, but a file of CSVLogger with search_id, "),
        ("\n", r"results.csv begins with the columns , but"),
        (
            "search_id,search,candidate,status,error,seconds\n1,2\n",
            r"results.csv has 6 columns, but 2 values in row 1. Mend the row, or",
        ),
    ],
)
def test_a_file_of_another_layout_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "results.csv"
    path.write_text(content)
    search = grid().fit(X, Y)
    with pytest.raises(ValueError, match=message):
        search.log_to(CSVLogger(path))
    assert path.read_text() == content


def test_an_empty_file_is_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "results.csv").touch()
    grid(CSVLogger(tmp_path / "results.csv")).fit(X, Y)
    assert read_csv(tmp_path) == BOTH


def test_texts_with_commas_and_lines_are_one_value(tmp_path: Path) -> None:
    search = grid(CSVLogger(tmp_path / "results.csv")).set_params(
        param_grid={"secret": ["a,b", 'c\n"d"'], "number": [1]}
    )
    search.fit(X, Y)
    assert pd.read_csv(tmp_path / "results.csv")["param_secret"].tolist() == ["a,b", 'c\n"d"']


@pytest.mark.slow
def test_names_are_imported_without_the_libraries_of_trackers() -> None:
    libraries = ("mlflow", "wandb", "optuna", "tensorboard")
    code = f"""
import sys
import kerashp.model_selection
from kerashp.integrations import *
print([name for name in {libraries} if name in sys.modules])
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert output.stdout.strip() == "[]", output.stderr


_LOG = """
import sys
from kerashp.integrations import CandidateResult, CSVLogger, SearchDescription
import numpy as np
logger = CSVLogger(sys.argv[1])
logger.begin(SearchDescription(sys.argv[2] * 32, "GridSearchCV of Scored", {}, 2))
for index in range(20):
    logger.candidate(CandidateResult(index, {sys.argv[2]: index}, {"score": np.ones(2)}, {}, [], [], 0.0))
"""


@pytest.mark.slow
def test_processes_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    processes = [subprocess.Popen([sys.executable, "-c", _LOG, str(path), digit]) for digit in "ab"]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    table = pd.read_csv(path)
    assert sorted(table["param_a"].dropna()) == sorted(table["param_b"].dropna()) == list(range(20))


# TensorBoard.


def test_the_page_of_hyperparameters_knows_the_space(tmp_path: Path) -> None:
    space = {
        "learning_rate": loguniform(1e-3, 1e-1),
        "n_neurons": [4, 8],
        "activation": ["relu"],
        "batch_size": [32, np.int64(32)],
        "normalize": [False],
    }
    mlp = KerasMLPRegressor(epochs=2, tol=None, random_state=0)
    search = RandomizedSearchCV(
        mlp, space, n_iter=3, cv=2, random_state=0, refit=False, return_train_score=True
    ).fit(X, Y)
    search.log_to(TensorBoardLogger(tmp_path))
    experiment, groups = hparams_page(tmp_path)
    assert experiment.description == "RandomizedSearchCV of KerasMLPRegressor"
    infos = {info.name: info for info in experiment.hparam_infos}
    assert infos.keys() == space.keys()
    interval = infos["learning_rate"].domain_interval
    assert (interval.min_value, interval.max_value) == (1e-3, 1e-1)
    values = {name: [*infos[name].domain_discrete] for name in space.keys() - {"learning_rate"}}
    assert values == {
        "n_neurons": [4, 8],
        "activation": ["relu"],
        "batch_size": [32],
        "normalize": [False],
    }
    metrics = [info.name.tag for info in experiment.metric_infos]
    assert metrics == ["mean_test_score", "mean_train_score", "seconds"]
    assert len(groups) == 3
    for group in groups:
        index = int(group.name.partition(" of ")[0])
        params = search.cv_results_["params"][index]
        assert group.hparams["learning_rate"].number_value == params["learning_rate"]
        assert group.hparams["n_neurons"].number_value == params["n_neurons"]
        assert group.hparams["activation"].string_value == params["activation"]
        assert group.hparams["normalize"].bool_value is False
        found = {item.name.tag: item.value for item in group.metric_values}
        assert found.keys() == set(metrics)
        assert found["mean_test_score"] == pytest.approx(search.cv_results_["mean_test_score"][index])
        (session,) = group.sessions
        assert session.end_time_secs - session.start_time_secs == pytest.approx(found["seconds"], abs=1e-3)


def test_curves_are_scalars_by_epoch(tmp_path: Path) -> None:
    mlp = KerasMLPRegressor(1, 4, epochs=3, tol=None, early_stopping=True, patience=3, random_state=0)
    search = GridSearchCV(mlp, {"l2": [0.1]}, cv=2, refit=False, loggers=TensorBoardLogger(tmp_path)).fit(
        X, Y
    )
    (run,) = tmp_path.glob("GridSearchCV-*/0000")
    accumulator = EventAccumulator(str(run)).Reload()
    histories = search.histories_[0]
    assert set(accumulator.Tags()["tensors"]) >= {"loss", "val_loss", "mean_test_score", "seconds"}
    for name in histories[0]:
        events = accumulator.Tensors(name)
        assert [event.step for event in events] == [0, 1, 2]
        assert [event.wall_time for event in events] == sorted(event.wall_time for event in events)
        mean = np.mean([history[name] for history in histories], axis=0)
        np.testing.assert_allclose([make_ndarray(event.tensor_proto) for event in events], mean, rtol=1e-6)


@pytest.mark.parametrize(
    ("space", "params", "expected"),
    [
        ([{"a": [1]}, {"a": ["x"], "b": [True]}], {"a": 1}, {"a": (str, ("1", "x")), "b": (bool, (True,))}),
        ([{"a": [1]}, {"a": norm()}], {"a": 1}, {"a": (float, ())}),
        ({"a": norm()}, {}, {"a": (str, ())}),
        ({"a": randint(4, 9)}, {"a": 5, "epochs": 3}, {"a": (float, (4.0, 8.0)), "epochs": (float, ())}),
        (None, {"a": "x", "b": 0.5}, {"a": (str, ()), "b": (float, ())}),
        ({"a": [True, 1]}, {"a": True}, {"a": (str, ("True", "1"))}),
    ],
)
def test_domains_are_those_of_the_space(space: Any, params: Any, expected: Any) -> None:
    found = domains(space, params)
    known = {name: (domain.kind, domain.interval or domain.values) for name, domain in found.items()}
    assert known == expected


@pytest.mark.parametrize(
    ("names", "titles"),
    [
        (["mlp__l2", "mlp__dropout"], ["l2", "dropout"]),
        (["scale__copy", "impute__copy"], ["scale__copy", "impute__copy"]),
    ],
)
def test_names_of_steps_are_left_out_of_titles(names: list[str], titles: list[str], tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.begin(SearchDescription("0" * 32, "GridSearchCV of Pipeline", {name: [0] for name in names}, 2))
    logger.candidate(CandidateResult(0, dict.fromkeys(names, 0), {"score": np.ones(2)}, {}, [], [], 0.0))
    infos = hparams_page(tmp_path)[0].hparam_infos
    assert {info.name: info.display_name for info in infos} == dict(zip(names, titles, strict=True))


def test_keras_tuners_hyperparameters_have_domains() -> None:
    hp = keras_tuner.HyperParameters()
    hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    hp.Choice("activation", ["relu", "tanh"])
    found = domains(hp, {})
    assert found["learning_rate"].interval == pytest.approx((1e-4, 1e-1))
    assert found["activation"].values == ("relu", "tanh")


@pytest.mark.skipif(not find_spec("jax"), reason="Keras needs a backend")
def test_tensorboard_is_written_without_tensorflow() -> None:
    code = _LOG.replace("CSVLogger", "TensorBoardLogger")
    code = f"import sys; sys.modules['tensorflow'] = None{code}"
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    with TemporaryDirectory() as folder:
        arguments = [sys.executable, "-c", code, folder, "a"]
        output = subprocess.run(arguments, capture_output=True, text=True, env=environment, timeout=120)
        assert len(list(Path(folder).rglob("events.out.tfevents.*"))) == 21
    assert output.returncode == 0, output.stderr
