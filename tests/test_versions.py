"""The versions of other libraries that kerashp takes, and what it does where an older one lacks something."""

import re
import tomllib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import sklearn
from packaging.requirements import Requirement
from packaging.version import Version

from kerashp import KerasMLPRegressor, build_model, fit
from kerashp._archives import warn_of_vulnerable_keras
from kerashp._compat.keras import version
from kerashp._compat.keras_optimizers import optimizers_of_optimizers, schedule_free_optimizers
from kerashp._compat.sklearn import arguments_of_run_search, counted_results, present_results
from kerashp.callbacks import ModelCheckpoint
from kerashp.training import SecurityWarning

_ROOT = Path(__file__).parents[1]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_EXTRAS = _PROJECT["optional-dependencies"]
RANGES = [*map(Requirement, _PROJECT["dependencies"] + _EXTRAS["jax"] + _EXTRAS["dask"] + _EXTRAS["plot"])]
# Whose private names are used.
BOUNDED = {"tensorflow", "keras", "scikit-learn", "scikeras", "keras-tuner", "jax"}

X = np.random.default_rng(0).normal(size=(20, 2)).astype("float32")
Y = X[:, 0]


def pinned(name: str) -> dict[str, Version]:
    """The versions in a file of constraints."""
    text = (_ROOT / "constraints" / f"{name}.txt").read_text(encoding="utf-8")
    lines = [line.split("==") for line in text.splitlines() if not line.startswith("#")]
    return {package.lower().replace("_", "-"): Version(number) for package, number in lines}


def lower_bound(range_: Requirement) -> Version:
    (bound,) = [Version(one.version) for one in range_.specifier if one.operator == ">="]
    return bound


# The ranges.


@pytest.mark.parametrize("name", ["newest", "colab", "oldest"])
def test_what_is_tested_is_in_the_ranges(name: str) -> None:
    versions = pinned(name)
    outside = [str(one) for one in RANGES if one.name != "ray" and versions[one.name] not in one.specifier]
    assert not outside


def test_every_lower_bound_is_tested() -> None:
    versions = pinned("oldest")
    for one in RANGES:
        bound = lower_bound(one)
        assert versions[one.name].release[: len(bound.release)] == bound.release, one


def test_only_those_whose_private_names_are_used_have_an_upper_bound() -> None:
    bounded = {one.name for one in RANGES if any(part.operator != ">=" for part in one.specifier)}
    assert bounded == BOUNDED


def test_the_pythons_that_are_tested_are_named() -> None:
    prefix = "Programming Language :: Python :: 3."
    minors = [int(one.removeprefix(prefix)) for one in _PROJECT["classifiers"] if one.startswith(prefix)]
    assert minors == [11, 12, 13]
    assert _PROJECT["requires-python"] == ">=3.11"


# Names that older versions lack.


@pytest.mark.parametrize(
    ("told", "expected"), [("3.13.2", (3, 13, 2)), ("3.14.0rc1", (3, 14, 0)), ("3.15", (3, 15))]
)
def test_keras_version_is_numbers(
    told: str, expected: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras, "__version__", told)
    assert version() == expected


@pytest.mark.parametrize(
    ("found", "name", "since"),
    [
        (optimizers_of_optimizers, "MultiOptimizer", (3, 15)),
        (schedule_free_optimizers, "ScheduleFreeAdamW", (3, 14)),
    ],
)
def test_an_optimizer_is_there_since_its_version(
    found: Callable[[], tuple[type, ...]], name: str, since: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [one.__name__ for one in found()] == [name] * (version() >= since)
    monkeypatch.delattr(keras.optimizers, name, raising=False)
    assert found() == ()


def test_a_search_without_a_context_hands_none_on() -> None:
    context = object()
    assert arguments_of_run_search(None) == {}
    assert arguments_of_run_search(context) == {"callback_ctx": context}


@pytest.mark.parametrize(("told", "n_counted"), [("1.6.1", 4), ("1.8.0", 4), ("1.9.1", 2), ("1.10.0", 2)])
def test_results_are_as_many_as_scikit_learn_wants(
    told: str, n_counted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sklearn, "__version__", told)
    results = [{"fit_error": "failed", "test_scores": score} for score in (0.1, 0.2)]
    counted = counted_results(results, 4)
    assert len(counted) == n_counted
    assert [result["fit_error"] for result in counted[2:]] == [None] * (n_counted - 2)
    assert present_results(counted) == results
    assert counted_results([], 4) == []  # scikit-learn says what is wrong


# Keras' known vulnerabilities.


def loaded(folder: Path) -> None:
    KerasMLPRegressor(1, 3, epochs=1).fit(X, Y).save(folder)
    KerasMLPRegressor.load(folder)


def resumed(folder: Path) -> None:
    model = build_model(1, 3, input_shape=2)
    checkpoint = ModelCheckpoint(folder / "{epoch}.keras")
    fit(model, X, Y, epochs=1, verbose=0, callbacks=[checkpoint])
    assert checkpoint.resume(model) == 1


def warm_started(folder: Path) -> None:
    build_model(1, 3, input_shape=2).save(folder / "model.keras")
    KerasMLPRegressor(1, 3, epochs=1, warm_start_from=str(folder / "model.keras")).fit(X, Y)


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> Any:
    """As in a new process, with this version of Keras; its warnings."""

    def count(told: str, use: Callable[[Path], None], folder: Path) -> list[warnings.WarningMessage]:
        monkeypatch.setattr(keras, "__version__", told)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            use(folder)
        return [one for one in caught if issubclass(one.category, SecurityWarning)]

    warn_of_vulnerable_keras.cache_clear()
    yield count
    warn_of_vulnerable_keras.cache_clear()


@pytest.mark.parametrize("use", [loaded, resumed, warm_started])
def test_loading_warns_once_of_keras_before_3_14(
    use: Callable[[Path], None], warned: Any, tmp_path: Path
) -> None:
    (warning,) = warned("3.13.2", use, tmp_path)
    said = (
        r'Keras 3\.13\.2 has known vulnerabilities in loading \(CVE-2026-1462 .*pip install "keras>=3\.15\.1"'
    )
    assert re.match(said, str(warning.message))
    assert warned("3.13.2", use, tmp_path) == []


@pytest.mark.parametrize("told", ["3.14.0", "3.15.1"])
def test_loading_by_a_keras_that_is_mended_warns_of_nothing(told: str, warned: Any, tmp_path: Path) -> None:
    assert warned(told, loaded, tmp_path) == []


def test_the_warning_points_to_the_users_line(warned: Any, tmp_path: Path) -> None:
    for use in (loaded, resumed):
        (warning,) = warned("3.13.0", use, tmp_path)
        assert warning.filename == __file__
        warn_of_vulnerable_keras.cache_clear()


def test_where_nothing_was_saved_nothing_is_loaded(warned: Any, tmp_path: Path) -> None:
    model = build_model(1, 3, input_shape=2)
    assert (
        warned("3.13.2", lambda folder: ModelCheckpoint(folder / "{epoch}.keras").resume(model), tmp_path)
        == []
    )
