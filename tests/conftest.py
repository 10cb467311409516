"""Settings for all tests: quiet TensorFlow, and data that everybody has."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.preprocessing import scale

_COMPILED_BY_XLA = tuple(Path(__file__).with_name(name) for name in ("training", "callbacks"))


def pytest_collection_finish() -> None:
    """Have the garbage collector look seldom, and at nothing that is imported by now: tracing makes much."""
    gc.freeze()
    gc.set_threshold(50_000)


@pytest.fixture(scope="session")
def iris() -> tuple[np.ndarray, np.ndarray]:
    """150 rows, 4 scaled features, 3 classes."""
    X, y = load_iris(return_X_y=True)
    return scale(X), y


@pytest.fixture(scope="session")
def binary(iris: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """100 rows, 4 scaled features, 2 classes that overlap a little."""
    X, y = iris
    return X[y > 0], y[y > 0] - 1


@pytest.fixture(scope="session")
def diabetes() -> tuple[np.ndarray, np.ndarray]:
    """442 rows, 10 scaled features, a scaled target."""
    X, y = load_diabetes(return_X_y=True)
    return scale(X), scale(y)


@pytest.fixture
def compiles(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """One entry for each function that is compiled."""
    from kerashp.training import clear_cache
    from kerashp.training._engine import compiled

    clear_cache()
    made: list[Any] = []
    original = compiled._traced

    def counted(*arguments: Any) -> Any:
        made.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(compiled, "_traced", counted)
    return made


@pytest.fixture(scope="module")
def kept_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep programs for all processes, as for a user: each that is killed would trace them again."""
    from kerashp.training import clear_cache

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERASHP_CACHE", str(tmp_path_factory.mktemp("programs")))
        clear_cache()
        yield


@pytest.fixture
def predict_calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments of each call of `keras.Model.predict`."""
    import keras

    calls: list[dict[str, Any]] = []
    predict = keras.Model.predict

    def recorded(self: keras.Model, *args: Any, **arguments: Any) -> Any:
        calls.append(arguments)
        return predict(self, *args, **arguments)

    monkeypatch.setattr(keras.Model, "predict", recorded)
    return calls


@pytest.fixture(autouse=True)
def long_training(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stack members as in a long training: those of the tests are short. `short_training` undoes it.

    XLA compiles a model that trains alone only in the tests of training and callbacks. Elsewhere it is
    compiled as for a user, whose training would be as short: without XLA, in half the time.
    """
    from kerashp.training._keras import modes

    if "short_training" in request.fixturenames:
        return
    monkeypatch.setattr(modes.Mode, "one_by_one", lambda mode, _: mode.reason)
    if set(_COMPILED_BY_XLA) & set(request.path.parents):
        monkeypatch.setattr(modes, "_PAYS_FROM", 0)
        monkeypatch.setattr(modes, "_LOOP_PAYS_FROM", 0)


@pytest.fixture
def short_training() -> None:
    """Compile as for what it is, as a user does."""
