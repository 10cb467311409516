"""The figures in README, `docs/` and beside the benchmarks are those that the benchmarks have stored."""

import importlib
import json
import platform
import re
import shutil
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_ROOT = Path(__file__).parents[1]
_BENCHMARKS = _ROOT / "benchmarks"
_STORED = sorted((_BENCHMARKS / "results").glob("*.json*"))
_PAGES = [
    page
    for page in (_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md")))
    if not {"_build", "generated"} & set(page.parts)
]
# What a benchmark may have measured: seconds, ratios, memory, shares.
_FIGURE = re.compile(r"\d(?:[\d.,]*\d)?\*? (?:s|ms|times|MB|GB)\b|\d%")


@pytest.fixture(autouse=True)
def _beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Benchmarks import each other from their folder, and use the figures that are stored there."""
    monkeypatch.syspath_prepend(_BENCHMARKS)
    monkeypatch.delenv("KERASHP_BENCHMARK_RESULTS", raising=False)


@pytest.fixture
def results() -> ModuleType:
    return importlib.import_module("results")


@pytest.fixture
def tables() -> ModuleType:
    return importlib.import_module("readme_tables")


def _conditions(path: Path) -> list[dict[str, Any]]:
    """Those of all measurements in a file."""
    if path.suffix == ".json":
        return [own["conditions"] for own in json.loads(path.read_text(encoding="utf-8")).values()]
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [row["conditions"] for row in rows if "heading" in row]


def test_tables_are_those_of_the_stored_figures(tables: ModuleType) -> None:
    files = tables.files()
    assert {"README.md", "diagnosis.md", "quality.md", "defaults.md"} <= {path.name for path in files}
    differing = [path.name for path, text in files.items() if path.read_text(encoding="utf-8") != text]
    assert differing == [], "run `make bench-tables`"


@pytest.mark.parametrize("path", _STORED, ids=lambda path: path.stem)
def test_another_figure_is_another_table(
    tables: ModuleType,
    results: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    path: Path,
) -> None:
    folder = tmp_path / "results"
    shutil.copytree(_BENCHMARKS / "results", folder)
    text = path.read_text(encoding="utf-8")
    other = re.sub(r'("seconds": \[?|"right": |"winner": |"scores": \[)\d', r"\g<1>9", text)
    assert other != text
    (folder / path.name).write_text(other, encoding="utf-8")
    monkeypatch.setattr(results, "FOLDER", folder)
    assert any(text != file.read_text(encoding="utf-8") for file, text in tables.files().items())


def test_programs_cached_on_disk_are_a_column_once_they_are_measured(
    tables: ModuleType, results: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stored(**cached: Any) -> list[str]:
        for count in (10, 100):
            own = {"seconds": 13.0, "times": 1.0, "fits": 31, "of": 31, "MB": 900.0}
            theirs = own | {"seconds": 1030.0, "times": 79.2, "fits": 6}
            figures = {"kerashp": own, "scikeras": theirs} | cached
            results.write("search", f"housing, {count} candidates, 100 epochs", figures, 1)
        return tables.search().splitlines()[:3]

    folder = tmp_path / "results"
    shutil.copytree(_BENCHMARKS / "results", folder)
    monkeypatch.setattr(results, "FOLDER", folder)
    heads, _, line = stored()
    assert "cached" not in heads
    assert line.startswith("| 10 | **13 s** | 1,030 s*, **79 times** | | |")
    heads, _, line = stored(cached={"seconds": 4.2, "times": 0.32, "fits": 31, "of": 31, "MB": 900.0})
    assert heads.startswith("| candidates | kerashp | programs cached on disk | scikeras |")
    assert line.startswith("| 10 | **13 s** | 4.2 s | 1,030 s*, **79 times** |")


def test_small_data_has_lines_of_jax_once_they_are_measured(
    tables: ModuleType, results: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    shutil.copytree(_BENCHMARKS / "results", folder)
    path = folder / "small_data.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored = {part: own for part, own in stored.items() if part.endswith("tensorflow")}
    monkeypatch.setattr(results, "FOLDER", folder)
    for jax in ({}, {part.replace("tensorflow", "jax"): own for part, own in stored.items()}):
        path.write_text(json.dumps(stored | jax), encoding="utf-8")
        lines = [line for line in tables.small_data().splitlines() if line.startswith("| kerashp on JAX")]
        assert len(lines) == (3 if jax else 0)


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.relative_to(_ROOT).as_posix())
def test_pages_have_no_figure_of_a_benchmark_outside_their_tables(tables: ModuleType, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    prose = tables.MARKED.sub("", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))
    budgets = {f"{budget:g} s" for budget in tables.quality_tables.BUDGETS}
    assert set(_FIGURE.findall(prose)) <= budgets
    assert prose.count("<!-- table") + prose.count("<!-- figure") + prose.count("<!-- end") == 0
    assert not re.search("^<!-- figure", text, re.MULTILINE)  # there it would end the paragraph


def test_what_a_benchmark_measures_is_a_figure() -> None:
    assert len(_FIGURE.findall("1,030 s*, 81 times, 0.5 ms, 94% and 1.9 GB")) == 5


def test_every_table_is_on_a_page(tables: ModuleType) -> None:
    texts = [page.read_text(encoding="utf-8") for page in _PAGES]
    assert {name for text in texts for _, _, name, *_ in tables.MARKED.findall(text)} == set(tables.PARTS)


def test_unknown_tables_are_refused(tables: ModuleType) -> None:
    with pytest.raises(KeyError, match="unheard of"):
        tables.filled("<!-- table: unheard of -->\n<!-- end -->", tables.PARTS)


@pytest.mark.parametrize("path", _STORED, ids=lambda path: path.stem)
def test_figures_have_a_date_and_a_machine_but_no_paths(path: Path) -> None:
    conditions = _conditions(path)
    assert conditions
    for own in conditions:
        assert date.fromisoformat(own["date"])
        assert own["machine"]["cores"] >= 1
        assert set(own["machine"]) <= {"processor", "cores", "memory_gb", "sgemm_gflops", "remark"}
        assert "versions" in own
    assert not re.search(r'"/|\.py"', path.read_text(encoding="utf-8"))


def test_figures_are_stored_with_the_conditions(
    results: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    for seconds in (1.0, 0.123456):
        results.write("fit", "a part", {"kerashp": {"seconds": seconds, "fits": 3}}, runs=5, rows=10)
    results.write("fit", "another", {"kerashp": {"seconds": 2.0}}, runs=1)
    stored = results.read("fit")
    assert list(stored) == ["a part", "another"]
    assert stored["a part"].figures == {"kerashp": {"seconds": 0.1235, "fits": 3}}
    assert stored["a part"].settings == {"rows": 10}
    conditions = stored["a part"].conditions
    assert conditions["runs"] == 5
    assert conditions["versions"]["Python"] == platform.python_version()
    assert conditions["machine"]["memory_gb"] > 0
    assert results.read("memory") == {}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1030, "1,030 s"), (12.7, "13 s"), (9.96, "10 s"), (9.6, "9.6 s"), (8, "8 s"), (0.516, "516 ms")],
)
def test_durations_have_two_digits_or_whole_seconds(tables: ModuleType, seconds: float, text: str) -> None:
    assert tables.duration(seconds) == text
