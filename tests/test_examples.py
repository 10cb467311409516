"""The examples run, with small settings."""

import importlib.util
import os
import re
import subprocess
import sys
import urllib.error
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

_EXAMPLES = Path(__file__).parent.parent / "examples"
_BOOK = (
    "longitude,latitude,housing_median_age,total_rooms,total_bedrooms,population,households,median_income,"
    "median_house_value,ocean_proximity\n"
)


@pytest.fixture(autouse=True)
def _beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples import `startup.py`, which is in their folder."""
    monkeypatch.syspath_prepend(_EXAMPLES)


def _example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, _EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _printed(name: str, *arguments: str) -> str:
    """What an example prints, with TensorFlow as it is by default; it writes nothing else."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_CPP")}
    environment["PYTHONPATH"] = str(_EXAMPLES.parent)
    done = subprocess.run(
        [sys.executable, str(_EXAMPLES / f"{name}.py"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


@pytest.mark.slow
def test_textbook_search(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    printed = _printed("textbook_search", "--n-iter", "2", "--epochs", "3", "--report", str(report))
    assert str(report) in printed
    assert "<h1>The textbook&#x27;s search, on digits</h1>" in report.read_text(encoding="utf-8")
    for expected in (
        "2 candidates x 3 folds and a refit in",
        "Dense 10",
        "s for the same fits (two measured, and scaled)",
        "best parameters: {'mlp__l2'",
        "rank  score",
        "KerasMLPClassifier, searched",
        "MLPClassifier",
        "LogisticRegression",
        "KerasMLPRegressor, searched",
        "MLPRegressor",
        "RidgeCV",
    ):
        assert expected in printed


def _book_rows(n: int) -> list[str]:
    rng = np.random.default_rng(0)
    rooms, people, homes = rng.integers(500, 3000, n), rng.integers(300, 3000, n), rng.integers(100, 900, n)
    income, value = rng.uniform(0.5, 15, n), rng.integers(50_000, 500_000, n)
    bedrooms = [str(rooms[i] // 5) if i else "" for i in range(n)]  # the first lacks its bedrooms
    return [
        f"-122.2,37.8,41,{rooms[i]},{bedrooms[i]},{people[i]},{homes[i]},{income[i]:.3f},{value[i]},NEAR BAY"
        for i in range(n)
    ]


@pytest.mark.slow
def test_california_housing_from_the_books_file(tmp_path: Path) -> None:
    rows = _book_rows(101)
    (tmp_path / "housing.csv").write_text(_BOOK + "\n".join(rows))
    example = _example("california_housing")
    X, y = example.from_csv(str(tmp_path / "housing.csv"))
    last = rows[-1].split(",")
    assert X.shape == (100, 8)
    assert y[-1] == pytest.approx(float(last[8]) / 1e5)
    assert X[-1, 2] == pytest.approx(float(last[3]) / float(last[6]))
    printed = _printed(
        "california_housing", "--csv", str(tmp_path / "housing.csv"), "--n-iter", "1", "--epochs", "2"
    )
    assert "R2 by cross-validation" in printed


def test_california_housing_from_scikit_learns_columns(tmp_path: Path) -> None:
    example = _example("california_housing")
    names = [*example.FEATURES, "MedHouseVal"]
    table = np.arange(18.0).reshape(2, 9)
    np.savetxt(tmp_path / "cal.csv", table, delimiter=",", header=",".join(names), comments="")
    X, y = example.from_csv(str(tmp_path / "cal.csv"))
    np.testing.assert_array_equal(X, table[:, :8])
    np.testing.assert_array_equal(y, table[:, 8])


@pytest.mark.slow
def test_keras_script() -> None:
    printed = _printed("keras_script", "--epochs", "8")
    assert float(printed.rsplit(":", 1)[1]) > 0.7


@pytest.mark.slow
def test_watching_one_model(tmp_path: Path) -> None:
    # The second goes on from the first.
    printed = [_printed("panda", "--folder", str(tmp_path)) for _ in range(2)]
    script, estimator = "".join(printed).split("A Keras script")[1:]
    assert "epochs 1 to 10 at most, at the rate 0.05" in script
    assert "at the rate 0.005" in script
    assert "epochs 1 to 10" not in estimator
    best = re.findall(r"the least (\d\.\d+)", script)
    assert len(best) == 5
    assert float(best[2]) <= float(best[1])  # it went back to where it was best, and on from there


@pytest.mark.slow
def test_guided() -> None:
    printed = _printed("guided", "--epochs", "8", "--n-iter", "2")
    for expected in (
        "0 of 30 features differ",
        "- inputs not scaled: column 23",
        "Initialization: healthy",
        "Gradients: right",
        "after 2 epochs: difference",
        "Verdict after 8 epochs: too slow",
        "1. raise the learning rate",
        "Suggested learning rate: 1\n",
        "epoch.keras.json",
        "Best: kerasmlpclassifier__n_hidden=",
        "Verdict after 8 epochs of 5 splits",
        "tuned: accuracy 0.9",
    ):
        assert expected in printed


@pytest.mark.slow
def test_cluster() -> None:
    pytest.importorskip("distributed")
    printed = _printed("cluster", "--n-iter", "2", "--epochs", "1")
    own = re.search(r"this is process (\d+)", printed).group(1)
    at_work = re.findall(r"was trained by process (\d+)", printed)
    assert at_work
    assert own not in at_work


def test_california_housing_without_a_network_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    example = _example("california_housing")

    def unreachable(**_: Any) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(example, "fetch_california_housing", unreachable)
    with pytest.raises(SystemExit, match=r"cannot be downloaded \(.*not known.*\): .* --csv housing\.csv"):
        example.main([])


def test_what_is_wrong_while_tensorflow_loads_is_shown(tmp_path: Path) -> None:
    (tmp_path / "keras.py").write_text(
        "import os\nos.write(2, b'I0000 oneDNN custom operations are on.\\nE0000 no such device\\n')\n"
        "raise ImportError('no keras')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", "import startup; startup.load_tensorflow()"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{_EXAMPLES}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    first, *others = done.stderr.splitlines()
    assert first == "E0000 no such device"
    assert others[-1] == "ImportError: no keras"
    assert "oneDNN" not in done.stderr
