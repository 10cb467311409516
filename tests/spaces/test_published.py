"""The published search spaces."""

import re
from collections import Counter
from typing import Any

import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import ParameterSampler

from kerashp import KerasMLPClassifier, KerasMLPRegressor
from kerashp.model_selection import RandomizedSearchCV
from kerashp.presets import realmlp, tabm
from kerashp.spaces import realmlp_space, tabm_space, zoom

_TASKS = ["regression", "binary", "multiclass", "multilabel"]
_RANGES = {
    "tabarena": {
        "learning_rate": (0.02, 0.3),
        "dropout": (0.0, 0.5),
        "weight_decay": (1e-3, 5e-2),
        "beta_2": (0.95, 0.995),
        "embedding_sigma": (0.01, 50),
        "input_scale_rate": (2, 10),
    },
    "paper": {"learning_rate": (0.02, 0.3), "embedding_sigma": (0.05, 0.5)},
}
_FEW: dict[str, Any] = {"epochs": 2, "embedding_dim": 2, "random_state": 0}


@pytest.mark.parametrize("task", _TASKS)
@pytest.mark.parametrize("source", _RANGES)
def test_ranges_are_the_published_ones(task: str, source: str) -> None:
    space = realmlp_space(task, source)
    for name, ends in _RANGES[source].items():
        assert space[name].support() == pytest.approx(ends)
    assert ("label_smoothing" in space) == (task != "regression")


def test_values_are_the_published_ones_and_as_probable() -> None:
    space = realmlp_space("binary")
    assert [space[name] for name in ("n_hidden", "n_neurons", "activation")] == [
        [2, 3, 4],
        [256, 384, 512],
        ["mish"],
    ]
    smoothing = space["label_smoothing"]
    assert smoothing.count(0.0) == len(smoothing) / 2
    assert (min(filter(None, smoothing)), max(smoothing)) == (0.005, 0.1)

    space = realmlp_space("binary", "paper")
    assert Counter(space["n_neurons"]) == {(256,) * 3: 6, (64,) * 5: 2, (512,): 2}
    assert Counter(space["dropout"]) == {0.0: 3, 0.15: 5, 0.3: 2}
    assert Counter(space["label_smoothing"]) == {0.0: 3, 0.1: 7}
    assert Counter(space["input_scale_rate"]) == {6.0: 3, None: 2}
    assert Counter(space["numeric_embedding"]) == {"none": 1, "periodic": 3}
    assert space["weight_decay"] == [0.0, 0.02]
    assert space["activation"] == ["relu", "selu", "mish"]


@pytest.mark.parametrize("source", _RANGES)
def test_each_call_gives_a_new_space(source: str) -> None:
    realmlp_space("binary", source)["activation"].append("tanh")
    assert "tanh" not in realmlp_space("binary", source)["activation"]


@pytest.mark.parametrize("source", _RANGES)
def test_spaces_can_be_zoomed(source: str) -> None:
    space = realmlp_space("multiclass", source)
    candidates = list(ParameterSampler(space, 8, random_state=0))
    narrow = zoom(space, {"params": candidates, "rank_test_score": range(1, 9), "mean_test_score": [1.0] * 8})
    low, high = narrow["learning_rate"].support()
    assert 0.02 <= low < high <= 0.3
    assert high / low < 10


@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_candidates_of_tabarena_train_together(task: str) -> None:
    X, y = load_diabetes(return_X_y=True) if task == "regression" else load_iris(return_X_y=True)
    regressor, classifier = KerasMLPRegressor, KerasMLPClassifier
    mlp: Any = (regressor if task == "regression" else classifier)(**{**realmlp(task), **_FEW})
    space = {**realmlp_space(task), "n_neurons": [8, 12]}
    search = RandomizedSearchCV(mlp, space, n_iter=3, cv=2, random_state=0, refit=False).fit(X[::3], y[::3])
    assert [len(group.fits) for group in search.plan_.groups] == [6]
    assert not search.plan_.alone
    assert len({params["n_hidden"] for params in search.cv_results_["params"]}) > 1


def test_candidates_of_the_paper_train() -> None:
    X, y = load_iris(return_X_y=True)
    mlp = KerasMLPClassifier(**{**realmlp("multiclass"), **_FEW})
    space = realmlp_space("multiclass", "paper")
    small = {**space, "n_neurons": [(12, 12, 12), (4, 4, 4, 4, 4)], "activation": ["mish"]}
    search = RandomizedSearchCV(mlp, small, n_iter=3, cv=2, random_state=1, refit=False).fit(X[::3], y[::3])
    assert not search.plan_.alone
    assert {len(params["n_neurons"]) for params in search.cv_results_["params"]} == {3, 5}


def test_unknown_tasks_and_sources_are_refused() -> None:
    match = r"^realmlp_space: task must be one of regression, binary, multiclass, multilabel; got 'label'$"
    with pytest.raises(ValueError, match=match):
        realmlp_space("label")
    match = re.escape("realmlp_space: source must be 'tabarena' or 'paper', got 'default'")
    with pytest.raises(ValueError, match=f"^{match}$"):
        realmlp_space("binary", "default")


@pytest.mark.parametrize("task", _TASKS)
def test_ranges_of_tabm_are_the_published_ones(task: str) -> None:
    space, paper = tabm_space(task), tabm_space(task, "paper")
    assert space["learning_rate"].support() == pytest.approx((1e-4, 3e-3))
    assert paper["learning_rate"].support() == pytest.approx((1e-4, 5e-3))
    assert (space["n_hidden"], paper["n_hidden"]) == ([2, 3, 4, 5], [1, 2, 3, 4, 5])
    for widths, least in ((space["n_neurons"], 128), (paper["n_neurons"], 64)):
        assert (widths[0], widths[1], widths[-1]) == (least, least + 16, 1024)
    for name, ends in (("dropout", (0.05, 0.5)), ("weight_decay", (1e-4, 0.1))):
        values = space[name]
        assert values == paper[name]
        assert values.count(0.0) == len(values) / 2
        assert (min(filter(None, values)), max(values)) == ends
    assert "numeric_embedding" not in paper
    assert (space["numeric_embedding"], max(space["embedding_bins"])) == (["piecewise"], 128)


def test_a_search_over_the_space_of_tabm() -> None:
    X, y = load_diabetes(return_X_y=True)
    small = {**tabm("regression"), "heads": 2, "epochs": 2, "random_state": 0}
    space = {**tabm_space("regression", "paper"), "n_neurons": [4, 8]}
    search = RandomizedSearchCV(
        KerasMLPRegressor(**small), space, n_iter=3, cv=2, random_state=0, error_score="raise"
    )
    assert len(search.fit(X[:80], y[:80]).plan_.groups) == 1


def test_other_tasks_and_sources_of_tabm_are_refused() -> None:
    with pytest.raises(ValueError, match="tabm_space: task must be one of .*; got 'classification'"):
        tabm_space("classification")
    with pytest.raises(ValueError, match="^tabm_space: source must be 'tabarena' or 'paper', got 'best'$"):
        tabm_space("binary", "best")
