"""Folders whose arrays of columns are damaged or hostile are refused, and older ones are read."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kerashp import KerasMLPRegressor
from kerashp._archives import read_arrays, write_arrays

rng = np.random.default_rng(0)
X = pd.DataFrame(
    {"n": rng.normal(size=40), "few": rng.choice(["a", "b"], 40), "many": rng.integers(0, 12, 40)}
)
X.loc[::5, ["n", "few"]] = None
FITTED = KerasMLPRegressor(categorical_features=["few", "many"], epochs=1, random_state=0).fit(X, X["many"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    FITTED.save(tmp_path)
    return tmp_path


def rewrite(folder: Path, change: Callable[[dict[str, np.ndarray]], Any]) -> None:
    """Change the arrays of a folder, with digests that are right."""
    arrays = read_arrays(folder / "arrays.npz")
    change(arrays)
    write_arrays(folder / "arrays.npz", arrays)
    manifest = json.loads((folder / "estimator.json").read_text())
    manifest.pop("digest")
    manifest["sha256"]["arrays.npz"] = hashlib.sha256((folder / "arrays.npz").read_bytes()).hexdigest()
    manifest["digest"] = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    (folder / "estimator.json").write_text(json.dumps(manifest))


def put(name: str, array: Any) -> Callable[[dict[str, np.ndarray]], None]:
    def change(arrays: dict[str, np.ndarray]) -> None:
        key = next(key for key in arrays if key.removeprefix("object:") == f"columns:{name}")
        arrays.pop(key)
        arrays[key.removeprefix("object:")] = np.asarray(array)

    return change


HOSTILE = {
    "means of another length": (put("means", np.zeros(2)), r"columns:means has the shape \(2,\)"),
    "means that are text": (put("means", ["a"]), r"columns:means has the shape \(1,\) and the type <U1"),
    "infinite means": (put("means", [np.inf]), "a mean is infinite"),
    "no mean of an indicator": (put("means", [np.nan]), "missing where there is an indicator"),
    "indicators that are numbers": (put("indicators", [1]), "columns:indicators has the shape"),
    "other categories": (put("is_category", [True, False, False]), "columns:means has the shape"),
    "more columns": (put("is_category", [True] * 300), "columns:is_category has the shape"),
    "no flags": (put("have_missing", np.zeros(0, bool)), "columns:have_missing has the shape"),
    "labels without order": (put("labels:1", np.arange(12)[::-1]), "labels:1 are not sorted categories"),
    "labels twice": (put("labels:1", np.zeros(12, int)), "labels:1 are not sorted categories"),
    "labels that are bytes": (
        put("labels:1", np.array([b"x"] * 12)),
        "labels:1 are not sorted categories",
    ),
    "labels in two axes": (put("labels:1", np.zeros((12, 2))), "labels:1 are not sorted categories"),
    "more labels than embeddings": (
        put("labels:1", np.arange(10**5)),
        "not fit its columns.*its encoder",
    ),
    "fewer labels than embeddings": (put("labels:1", np.arange(11)), "not fit its columns.*its encoder"),
    "no missing category": (put("have_missing", [False, False]), "not fit its columns.*its encoder"),
    "no indicator": (put("indicators", [False]), "does not fit its columns.*its encoder makes"),
    "no labels": (lambda arrays: arrays.pop("columns:labels:1"), "KeyError"),
    "no arrays of columns": (
        lambda arrays: [arrays.pop(name) for name in list(arrays) if "columns:" in name],
        "does not fit its columns",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_arrays_are_one_clear_error(folder: Path, case: str) -> None:
    change, message = HOSTILE[case]
    rewrite(folder, change)
    with pytest.raises(ValueError, match=f"cannot load an estimator from .*{message}"):
        KerasMLPRegressor.load(folder)


@pytest.mark.parametrize("normalize", [True, False])
def test_a_folder_of_kerashp_0_1_is_read(tmp_path: Path, normalize: bool) -> None:
    numbers = rng.normal(3, 1, size=(40, 2))
    fitted = KerasMLPRegressor(epochs=1, random_state=0, normalize=normalize).fit(numbers, numbers[:, 0])
    fitted.save(tmp_path)
    rewrite(tmp_path, HOSTILE["no arrays of columns"][0])
    manifest = json.loads((tmp_path / "estimator.json").read_text())
    manifest.pop("digest")
    for name in ("categorical_features", "embedding_dim"):
        manifest["params"].pop(name)
    manifest["digest"] = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    (tmp_path / "estimator.json").write_text(json.dumps(manifest))
    again = KerasMLPRegressor.load(tmp_path)
    np.testing.assert_array_equal(again.predict(numbers), fitted.predict(numbers))
    missing = np.array([[np.nan, 3.0]])
    if normalize:
        np.testing.assert_allclose(again.predict(missing), fitted.predict(missing), rtol=1e-5)
    assert np.isfinite(again.predict(missing)).all()
