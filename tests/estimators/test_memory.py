"""Networks that cannot fit in memory are refused before anything is built."""

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.exceptions import FitFailedWarning

from kerashp import KerasMLPClassifier, KerasMLPRegressor, KerasRegressor, _memory, build_model
from kerashp._arguments import Arguments
from kerashp._memory import Footprint, available_memory
from kerashp._optimizers import optimizer_slots
from kerashp.model_selection import GridSearchCV

X = np.random.default_rng(0).normal(size=(20, 4))
_GIB = 2**30


@pytest.fixture
def no_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test where a layer is made."""
    monkeypatch.setattr(keras.layers.Dense, "__init__", lambda *_, **__: pytest.fail("a layer was made"))


@pytest.mark.usefixtures("no_layers")
@pytest.mark.parametrize(
    ("call", "owner"),
    [
        (lambda: KerasMLPRegressor(n_neurons=10**12).fit(X, X[:, 0]), "KerasMLPRegressor"),
        (lambda: KerasMLPClassifier(2, [4, 10**12]).fit(X, X[:, 0] > 0), "KerasMLPClassifier"),
        (lambda: KerasRegressor(n_neurons=10**12).fit(X, X[:, 0]), "build_model"),
        (lambda: build_model(3, 10**12), "build_model"),
    ],
)
def test_a_width_beyond_all_memory_is_refused_with_one_that_fits(call: Callable[[], Any], owner: str) -> None:
    message = (
        rf"{owner}: n_neurons=(\[4, )?1000000000000\]? in \d hidden layer.* weights; training needs "
        r"[\d,.]+ GiB of memory, and [\d,.]+ GiB are available\. n_neurons=\[?\d+"
    )
    with pytest.raises(ValueError, match=message):
        call()


def test_what_is_suggested_fits_and_ten_times_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "available_memory", lambda: float(_GIB))
    footprint = Footprint(100, 1, itemsize=4, copies=lambda: 4)
    with pytest.raises(ValueError, match=r"training needs 15\.2 GiB of memory, and 1\.0 GiB") as refused:
        footprint.check(Arguments("test"), 10**7, [10**7])
    width = int(re.search(r"n_neurons=(\d+) fits", str(refused.value)).group(1))
    footprint.check(Arguments("test"), width, [width])
    with pytest.raises(ValueError, match=r"n_neurons=\d+ fits"):
        footprint.check(Arguments("test"), 10 * width, [10 * width])


def test_the_outputs_of_a_batch_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "available_memory", lambda: float(_GIB))
    wide = {"n_inputs": 1, "n_outputs": 1, "itemsize": 4, "copies": lambda: 4}
    Footprint(**wide).check(Arguments("test"), 10**7, [10**7])
    with pytest.raises(ValueError, match="n_neurons=10000000 in 1 hidden"):
        Footprint(**wide, batch_size=200).check(Arguments("test"), 10**7, [10**7])


def test_layers_that_cannot_be_narrow_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "available_memory", lambda: float(_GIB))
    with pytest.raises(ValueError, match="Not even layers of one unit fit: reduce the inputs"):
        build_model(1, 3, input_shape=10**9)


def test_a_candidate_that_cannot_fit_scores_nan_and_the_others_go_on() -> None:
    search = GridSearchCV(
        KerasMLPRegressor(epochs=1), {"n_neurons": [4, 10**12]}, cv=2, refit=False, error_score=-99
    )
    with pytest.warns(FitFailedWarning, match=r"n_neurons=1000000000000 in 1 hidden layer"):
        search.fit(X, X[:, 0])
    assert search.cv_results_["mean_test_score"][0] > -99
    assert search.cv_results_["mean_test_score"][1] == -99


def test_the_memory_that_is_available_is_below_that_of_the_machine() -> None:
    assert 0 < available_memory() < 2**50


def test_the_memory_of_a_container_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name, text in (
        ("_MEMORY_INFORMATION", "MemAvailable: 4096 kB"),
        ("_CGROUP_LIMIT", "3000"),
        ("_CGROUP_USAGE", "1000"),
        ("_CGROUP_STATISTICS", "anon 500\ninactive_file 300\nactive_file 200"),
    ):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(_memory, name, tmp_path / name)
    assert available_memory() == 2300
    (tmp_path / "_CGROUP_LIMIT").write_text("max")
    assert available_memory() == 4096 * 1024
    (tmp_path / "_MEMORY_INFORMATION").unlink()
    assert available_memory() == np.inf


@pytest.mark.parametrize(("optimizer", "slots"), [("sgd", 0), ("rmsprop", 1), ("adam", 2), ("adamw", 2)])
def test_an_optimizers_numbers_for_each_weight(optimizer: str, slots: int) -> None:
    assert optimizer_slots(optimizer) == slots
    assert optimizer_slots(keras.optimizers.get(optimizer)) == slots
