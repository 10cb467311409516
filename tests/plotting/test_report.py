"""A search's report: one page, whole, with all text escaped."""

import base64
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.stats import loguniform, uniform
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from kerashp import KerasMLPRegressor, KerasRegressor, build_model
from kerashp.callbacks import StepDrop
from kerashp.model_selection import GridSearchCV, HalvingGridSearchCV, OracleSearchCV, RandomizedSearchCV
from kerashp.plotting._report import space_text
from kerashp.spaces import int_loguniform

EVIL = "<script>alert('$x_{')</script>"
X = np.random.default_rng(0).normal(size=(40, 3))
VOID = {"img", "meta", "br"}


class Page(HTMLParser):
    """The page's elements, and the text under each heading."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.sources: list[str] = []
        self.sections: dict[str, str] = {"": ""}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.sections[data] = ""
        elif not {"style", "title"} & set(self.open):
            self.sections[[*self.sections][-1]] += f"{data}|"


class Named(BaseEstimator):
    """Predicts nothing, scores its size, and fails where there is none."""

    def __init__(self, name: str = "a", size: float = 0.0):
        self.name = name
        self.size = size

    def fit(self, X: Any, y: Any) -> "Named":
        if self.size < 0:
            raise ValueError(f"there is no size {self.name}")
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.zeros(len(X))

    def score(self, X: Any, y: Any) -> float:
        return self.size


def size(estimator: Any, *_: Any) -> float:
    return float(estimator.size)


@pytest.fixture
def blank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take a second to write."""
    monkeypatch.setattr("kerashp.plotting._report.as_svg", lambda _: b"<svg/>")


@pytest.fixture(scope="module")
def search() -> RandomizedSearchCV:
    mlp = KerasMLPRegressor(0, epochs=8, batch_size=20, random_state=0)
    space = {"learning_rate": loguniform(1e-3, 0.1), "early_stopping": [False]}
    options = {"n_iter": 3, "cv": 2, "random_state": 0}
    return RandomizedSearchCV(mlp, space, **options).fit(X, X[:, 0])


@pytest.fixture(scope="module")
def page(search: RandomizedSearchCV, tmp_path_factory: pytest.TempPathFactory) -> Page:
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert search.report(str(path)) == path
    return Page(path.read_text(encoding="utf-8"))


def test_it_needs_nothing_from_elsewhere_and_runs_no_code(page: Page) -> None:
    assert not page.tags & {"script", "link", "iframe", "object", "form", "a"}
    head = "data:image/svg+xml;base64,"
    assert len(page.sources) == 5
    for source in page.sources:
        assert source.startswith(head)
        picture = ElementTree.fromstring(base64.b64decode(source.removeprefix(head)))
        assert picture.tag.endswith("svg")
        assert not [one for one in picture.iter() if one.tag.endswith("script")]


def test_what_it_says(page: Page, search: RandomizedSearchCV) -> None:
    best, score = search.best_index_, f"{search.best_score_:.4g}"
    assert "RandomizedSearchCV of KerasMLPRegressor|" in page.sections[""]
    summary = f"3 candidates on 2 splits each; none failed. The best score: {score} (candidate {best})."
    assert f"|{summary}|" in page.sections[""]
    assert (
        f"learning_rate|{float(search.best_params_['learning_rate'])!r}|"
        in page.sections["The best candidate"]
    )
    board = page.sections["Leaderboard"]
    assert board.startswith("\n|rank|candidate|score|deviation|epochs|seconds|learning_rate|")
    assert f"|1|{best}|{score}|" in board
    assert "|8|" in board
    assert "No candidate failed." in board
    assert "Verdict after 8 epochs of 2 splits" in page.sections["Diagnosis of the best candidate"]
    assert "|0|6|3|" in page.sections["What trained together"]  # group, members, candidates
    times = page.sections["Where the time went"]
    assert f"|compiling|{search.seconds_['compiling']:.2f}|" in times
    assert f"|refitting|{search.refit_time_:.2f}|" in times
    searched = page.sections["What was searched"]
    assert "learning_rate|loguniform(0.001, 0.1)|early_stopping|False|" in searched
    assert "KerasMLPRegressor(batch_size=20, epochs=8" in searched
    assert re.search(r"\|keras\|\d+\.", page.sections["Versions"])


def test_learning_rates_that_move_are_drawn(tmp_path: Path) -> None:
    mlp = KerasMLPRegressor(0, epochs=3, batch_size=20, random_state=0)
    callbacks = [[StepDrop(0.5, every_epochs=1)]]
    grids = [
        {"schedule": ["cosine"], "warmup_epochs": [1]},
        {"callbacks": callbacks, "learning_rate": [0.05]},
    ]
    for grid in grids:
        search = GridSearchCV(
            make_pipeline(mlp), {f"kerasmlpregressor__{k}": v for k, v in grid.items()}, cv=2
        )
        page = search.fit(X, X[:, 0]).report(tmp_path / "a.html").read_text(encoding="utf-8")
        assert 'alt="The learning rate of the best candidate by epoch"' in page
    wrapped = KerasRegressor(build_model(0, input_shape=3), epochs=2, schedule="cosine", random_state=0)
    search = GridSearchCV(wrapped, {"batch_size": [20]}, cv=2).fit(X, X[:, 0])
    page = search.report(tmp_path / "a.html").read_text(encoding="utf-8")
    assert "by epoch, as a multiple of the optimizer&#x27;s rate" in page


@pytest.mark.filterwarnings("ignore")  # of the fits that fail
def test_all_text_is_escaped(tmp_path: Path) -> None:
    grid = {"name": [EVIL, "b"], "size": [1.0, 2.0, -1.0]}
    scoring = {EVIL: size, "other": lambda *_: 0.5}
    search = GridSearchCV(Named(), grid, cv=2, scoring=scoring, refit=EVIL)
    search.fit(X, X[:, 0])
    text = search.report(tmp_path / "a.html", title=EVIL).read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags
    assert text.count("<h1>&lt;script&gt;alert(&#x27;$x_{&#x27;)&lt;/script&gt;</h1>") == 1
    assert f"|{EVIL}|" in page.sections["Leaderboard"]
    assert "2 candidates failed and have no score." in page.sections["Leaderboard"]
    assert "|other|" in page.sections["Leaderboard"]
    assert f"name|{EVIL}, b|" in page.sections["What was searched"]
    assert "no fit of the search has curves" in page.sections["Learning curves"]
    assert "There is no diagnosis: diagnose: " in page.sections["Diagnosis of the best candidate"]
    assert "|12|" in page.sections["What trained together"]  # fits that were not stacked
    assert "The best <script>" in page.sections[""]


@pytest.mark.usefixtures("blank")
def test_text_that_has_no_utf_8(tmp_path: Path) -> None:
    search = GridSearchCV(Named(), {"name": ["\ud800", "\x00\x1b", "漢字"]}, cv=2).fit(X, X[:, 0])
    text = search.report(tmp_path / "a.html", title="\ud800\x07").read_text(encoding="utf-8")
    assert "<h1>\\ud800\\x07</h1>" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)
    assert "name|\\ud800, \\x00\\x1b, 漢字|" in Page(text).sections["What was searched"]


@pytest.mark.usefixtures("blank")
def test_settings_that_decide_what_is_found(tmp_path: Path) -> None:
    space, options = {"size": [1.0, 2.0, 3.0, 4.0]}, {"cv": 2, "refit": False, "timeout": 900.0}
    oracle = OracleSearchCV(Named(), space, oracle="random", n_trials=3, batch=2, random_state=5, **options)
    halving = HalvingGridSearchCV(Named(), space, factor=2, resource="n_samples", min_resources=10, **options)
    for search, own in (
        (oracle, ("batch|2", "oracle|'random'", "n_trials|3", "random_state|5")),
        (halving, ("factor|2", "resource|'n_samples'", "min_resources|10", "aggressive_elimination|False")),
    ):
        page = Page(search.fit(X, X[:, 0]).report(tmp_path / "a.html").read_text(encoding="utf-8"))
        shown = page.sections["What was searched"]
        for setting in (*own, "timeout|900.0", "error_score|nan"):
            assert f"|{setting}|" in shown
        assert not re.search(r"\|(verbose|n_jobs|pre_dispatch|journal|max_memory|space|param_grid)\|", shown)


@pytest.mark.usefixtures("blank")
def test_another_score_and_a_short_leaderboard(tmp_path: Path) -> None:
    scoring = {"size": size, "smallness": lambda *given: -size(*given)}
    search = GridSearchCV(Named(), {"size": [1.0, 2.0, 3.0]}, cv=2, scoring=scoring, refit="size")
    search.fit(X, X[:, 0])
    options = {"metric": "smallness", "n_top": 1}
    page = Page(search.report(tmp_path / "a.html", **options).read_text(encoding="utf-8"))
    assert "The best smallness: -1 (candidate 0)." in page.sections[""]
    assert "2 more candidates have lower scores." in page.sections["Leaderboard"]
    assert search.best_index_ == 2


@pytest.mark.usefixtures("blank")
def test_the_diagnosis_is_of_the_candidate_that_is_best_by_the_score_asked_for(
    search: RandomizedSearchCV, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worst = int(np.argmin(search.cv_results_["mean_test_score"]))
    results = search.cv_results_ | {"mean_test_less": -search.cv_results_["mean_test_score"]}
    monkeypatch.setattr(search, "cv_results_", results)
    asked: list[Any] = []
    monkeypatch.setattr("kerashp.plotting._report.diagnose", lambda source: asked.append(source) or "said")
    page = Page(search.report(tmp_path / "a.html", metric="less").read_text(encoding="utf-8"))
    assert page.sections["Diagnosis of the best candidate"] == "\n|said|\n|"
    assert (asked[0].best_index_, hasattr(asked[0], "best_estimator_")) == (worst, False)
    assert search.best_index_ != worst
    assert hasattr(search, "best_estimator_")


@pytest.mark.usefixtures("blank")
def test_a_search_without_parameters_or_with_a_score_for_failures(tmp_path: Path) -> None:
    search = GridSearchCV(Ridge(), {}, cv=2, error_score=-1.0).fit(X, X[:, 0])
    page = Page(search.report(tmp_path / "a.html").read_text(encoding="utf-8"))
    assert len(page.sources) == 2  # how it went, by candidates and by time
    assert "Failed candidates have a score of -1." in page.sections["Leaderboard"]


@pytest.mark.usefixtures("blank")
def test_it_is_written_whole_or_not_at_all(
    search: RandomizedSearchCV, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")

    def full_disk(place: Path, content: bytes) -> None:
        place.write_bytes(content[:100])
        raise OSError("No space left on device")

    monkeypatch.setattr("kerashp.plotting._report._write", full_disk)
    with pytest.raises(OSError, match="No space left"):
        search.report(path)
    assert path.read_text() == "before"
    assert [*tmp_path.iterdir()] == [path]


def test_wrong_arguments(search: RandomizedSearchCV, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere" / "report.html"
    with pytest.raises(ValueError, match="there is no folder '.*nowhere'. Create it first"):
        search.report(nowhere)
    assert [*tmp_path.iterdir()] == []
    with pytest.raises(
        ValueError, match="path must be the path of a file in .* is a folder. Add a file name"
    ):
        search.report(tmp_path)
    with pytest.raises(TypeError, match="path must be the path of a file in a folder that exists; got 3"):
        search.report(3)
    for options, error, said in (
        ({"title": 3}, TypeError, "report: title must be a str or None; got 3"),
        ({"n_top": 0}, ValueError, "report: n_top must be an integer >= 1; got 0"),
        ({"metric": "auc"}, ValueError, "report: metric must be one of 'score'; got 'auc'"),
    ):
        with pytest.raises(error, match=said):
            search.report(tmp_path / "a.html", **options)
    with pytest.raises(
        NotFittedError, match="report: this GridSearchCV has no cv_results_ yet; call fit first"
    ):
        GridSearchCV(Ridge(), {}).report(tmp_path / "a.html")
    assert [*tmp_path.iterdir()] == []


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(
        ImportError, match=r'report requires matplotlib; install it with: pip install "kerashp\[plot\]"'
    ):
        GridSearchCV(Ridge(), {}).report(tmp_path / "a.html")


def test_what_parameters_are_drawn_from() -> None:
    assert space_text(uniform(0.1, scale=0.4)) == "uniform(0.1, scale=0.4)"
    assert space_text(int_loguniform(10, 100)) == "int_loguniform(low=10, high=100)"
    assert (
        space_text(np.arange(10, 100))
        == "10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, ..., 99 (90 values)"
    )
    assert space_text(["relu", None, (8, 4)]) == "relu, None, (8, 4)"
