"""The examples run to their end, in small."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import ParameterSampler

from kerashp import build_model

_EXAMPLES = Path(__file__).parent.parent / "examples"
_BOOK = (
    "longitude,latitude,housing_median_age,total_rooms,total_bedrooms,population,households,median_income,"
    "median_house_value,ocean_proximity\n"
)


def _example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, _EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _snippets() -> list[str]:
    """The README's Python: a search, the textbook's, a script, rates, a population, a pipeline."""
    readme = (_EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", readme, re.DOTALL)


def test_the_readmes_search_runs_and_its_pipeline_fits_its_space() -> None:
    first, textbook, script, _, _, pipeline = _snippets()
    for snippet in (textbook, script):
        compile(snippet, "README.md", "exec")
    X = np.random.default_rng(0).normal(size=(60, 8))
    names: dict[str, Any] = {"X": X, "y": X[:, 0]}
    exec(first.replace("KerasMLPRegressor()", "KerasMLPRegressor(epochs=2)").replace("=10", "=2"), names)
    assert names["search"].plan_.groups
    exec(pipeline, names)
    search = names["search"]
    for candidate in ParameterSampler(search.param_distributions, 5, random_state=0):
        assert clone(search.estimator).set_params(**candidate).get_params().items() >= candidate.items()


def test_the_readmes_population_trains() -> None:
    *_, snippet, _ = _snippets()
    X = np.random.default_rng(0).normal(size=(300, 8))
    names: dict[str, Any] = {"X": X, "y": X[:, 0]}
    exec(snippet, names)
    assert [member.n_epochs for member in names["trained"]] == [20] * 4
    assert names["model"].layers[0].units == 100


def test_the_readmes_rates_move() -> None:
    _, _, _, snippet, _, _ = _snippets()
    X = np.random.default_rng(0).normal(size=(100, 8))
    names: dict[str, Any] = {"X": X, "y": X[:, 0], "model": build_model(1, 4)}
    exec(snippet.replace("epochs=70,", "epochs=3, verbose=0,"), names)
    assert len(names["model"].history.history["loss"]) == 3


def test_textbook_search(capsys: pytest.CaptureFixture) -> None:
    _example("textbook_search").main(["--n-iter", "2", "--epochs", "3"])
    printed = capsys.readouterr().out
    for expected in (
        "2 candidates x 3 folds and a refit in",
        "Dense 10",
        "s for the same fits (two measured, and scaled)",
        "best parameters: {'mlp__learning_rate'",
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


def test_california_housing_from_the_books_file(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    rows = _book_rows(101)
    (tmp_path / "housing.csv").write_text(_BOOK + "\n".join(rows))
    example = _example("california_housing")
    X, y = example.from_csv(str(tmp_path / "housing.csv"))
    last = rows[-1].split(",")
    assert X.shape == (100, 8)
    assert y[-1] == pytest.approx(float(last[8]) / 1e5)
    assert X[-1, 2] == pytest.approx(float(last[3]) / float(last[6]))
    example.main(["--csv", str(tmp_path / "housing.csv"), "--n-iter", "1", "--epochs", "2"])
    assert "R2 by cross-validation" in capsys.readouterr().out


def test_california_housing_from_scikit_learns_columns(tmp_path: Path) -> None:
    example = _example("california_housing")
    names = [*example.FEATURES, "MedHouseVal"]
    table = np.arange(18.0).reshape(2, 9)
    np.savetxt(tmp_path / "cal.csv", table, delimiter=",", header=",".join(names), comments="")
    X, y = example.from_csv(str(tmp_path / "cal.csv"))
    np.testing.assert_array_equal(X, table[:, :8])
    np.testing.assert_array_equal(y, table[:, 8])


def test_keras_script(capsys: pytest.CaptureFixture) -> None:
    _example("keras_script").main(["--epochs", "8"])
    printed = capsys.readouterr().out
    assert float(printed.rsplit(":", 1)[1]) > 0.7


def test_watching_one_model(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for _ in range(2):  # the second goes on from the first
        _example("panda").main(["--folder", str(tmp_path)])
    script, estimator = capsys.readouterr().out.split("A Keras script")[1:]
    assert "epochs 1 to 10 at most, at the rate 0.05" in script
    assert "at the rate 0.005" in script
    assert "epochs 1 to 10" not in estimator
    best = re.findall(r"the least (\d\.\d+)", script)
    assert len(best) == 5
    assert float(best[2]) <= float(best[1])  # it went back to where it was best, and on from there
