"""What `explain()` says of groups that train apart, and of seconds."""

import json
import re
from typing import Any

import keras
import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from scipy.stats import loguniform
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.model_selection import KFold

from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor, build_model
from kerashp.model_selection import CoarseToFineSearchCV, GridSearchCV, RandomizedSearchCV
from kerashp.model_selection._planning.grouping import planned
from kerashp.model_selection._planning.traits import _of_graph, differences, in_words
from kerashp.model_selection._running import evaluation
from kerashp.spaces import recommended_space
from kerashp.training import Costs, clear_cache, graph_shape
from kerashp.training._runtime.backend import backend

MLP = KerasMLPClassifier(epochs=1, random_state=0)


class Doubled(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return 2 * x


def own_code(units: int = 3) -> keras.Model:
    return keras.Sequential(
        [keras.Input((4,)), Doubled(), keras.layers.Dense(units), keras.layers.Dense(3, "softmax")]
    )


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"batch_size": [30, 40, 41]}, ["batch_size 30 instead of 41", "batch_size 40 instead of 30"]),
        ({"activation": ["relu", "tanh"]}, ["group 0 differs from group 1: activation relu instead of tanh"]),
        (
            {"n_hidden": [0, 1], "optimizer": ["sgd"]},
            [": layers InputLayer, Normalization, Dense, Dense instead of"],
        ),
        ({"optimizer": ["sgd", "adam"]}, ["optimizer Adam instead of SGD", "optimizer SGD instead of Adam"]),
        ({"clipnorm": [1.0, None]}, ["clipnorm 1.0 instead of None", "clipnorm None instead of 1.0"]),
        (
            [{"early_stopping": [True]}, {"early_stopping": [False]}],
            ["monitor of early stopping val_loss instead of None"],
        ),
    ],
)
def test_each_group_says_what_separates_it_from_the_one_most_like_it(
    iris, space: Any, message: list[str]
) -> None:
    search = GridSearchCV(MLP, space, cv=2, refit=False).fit(*iris)
    text = search.explain()
    for words in message:
        assert words in text
    assert sum(line.startswith("group ") for line in text.splitlines()[1:]) == len(search.plan_.groups)


def test_a_group_of_several_depths_says_which(iris) -> None:
    space = {"n_hidden": [2, 3, 1], "n_neurons": [4, 6]}
    search = GridSearchCV(MLP, space, cv=2, refit=False).fit(*iris)
    (group,) = search.plan_.groups
    assert group.graph == "Normalization, Dense 6, Dense 6, Dense 6, Dense 3 (2 to 4 Dense)"
    assert group.n_weights == 135
    assert group.padding == pytest.approx(1 - np.mean([35, 51, 55, 93, 75, 135]) / 135)


COSTS = Costs(1.5, 0.75, 4e-5, 5e-6, 4e10)  # those of a machine, so that others plan alike


class Planned(Exception):
    """Ends a search before it trains."""


@pytest.mark.parametrize(
    ("load", "random_state"), [(load_iris, 0), (load_digits, 0), (load_digits, 1), (load_diabetes, 0)]
)
def test_the_recommended_space_has_few_groups_and_each_says_why(
    monkeypatch: pytest.MonkeyPatch, load: Any, random_state: int
) -> None:
    plans: list[Any] = []

    def planned_only(*arguments: Any) -> Any:
        plans.append(planned(*arguments))
        raise Planned

    monkeypatch.setattr(evaluation, "planned", planned_only)
    monkeypatch.setattr(evaluation, "measured", lambda: COSTS)
    X, y = load(return_X_y=True)
    task, mlp = (
        ("regression", KerasMLPRegressor) if load is load_diabetes else ("multiclass", KerasMLPClassifier)
    )
    space = recommended_space(X.shape[1], len(X), task)
    search = RandomizedSearchCV(
        mlp(epochs=200, random_state=0), space, n_iter=20, cv=2, random_state=random_state
    )
    with pytest.raises(Planned):
        search.fit(X, y)
    (plan,) = plans
    assert not plan.alone
    assert len(plan.groups) <= 5
    reasons = [line for line in str(plan).splitlines() if " differs from group " in line]
    assert len(reasons) == len(plan.groups)
    apart = re.compile(
        r": (batch_size \d+ instead of \d+|layers [\w, ]+ instead of [\w, ]+"
        r"|units of the widest \([\d, ]+\) instead of \([\d, ]+\))$"
    )
    assert all(map(apart.search, reasons)), reasons


def test_folds_that_lack_classes_are_told_apart_by_their_outputs(iris) -> None:
    X, y = iris
    splits = [(np.arange(100), np.arange(100, 150)), (np.arange(0, 150, 2), np.arange(1, 150, 2))]
    text = GridSearchCV(MLP, {"batch_size": [10]}, cv=splits, refit=False).fit(X, y).explain()
    assert "loss BinaryCrossentropy instead of SparseCategoricalCrossentropy" in text
    (alone,) = GridSearchCV(MLP, {"batch_size": [10]}, cv=KFold(3), refit=False).fit(X, y).plan_.groups
    assert len(alone.fits) == 3


def test_code_of_ones_own_is_named(iris) -> None:
    search = GridSearchCV(KerasClassifier(own_code, random_state=0), {"units": [3, 4]}, cv=2, refit=False)
    assert "model with code of the user, of candidate 1 instead of candidate 0" in search.fit(*iris).explain()


def test_groups_that_differ_in_nothing_say_why_there_are_two(iris) -> None:
    space = {"learning_rate": loguniform(1e-3, 1e-1)}
    search = CoarseToFineSearchCV(MLP, space, n_iter=2, n_rounds=2, cv=2, refit=False, random_state=0)
    assert "group 1 differs from group 0: in nothing; one came later, or" in search.fit(*iris).explain()


def test_seconds_are_said_to_be_sums(iris) -> None:
    text = GridSearchCV(MLP, {"batch_size": [30]}, cv=2, refit=False).fit(*iris).explain()
    assert "\nseconds, summed over threads and workers: preparing " in text
    assert "differs" not in text  # from no other group


def test_parts_that_are_others_altogether_are_named_alone() -> None:
    models = [
        build_model(1, 8, input_shape=(4,), optimizer=name, activation=activation)
        for name, activation in (("sgd", "relu"), ("adam", "tanh"))
    ]
    ours, theirs = [
        {name: str(value) for name, value in _of_graph(json.loads(graph_shape(model)))} for model in models
    ]
    assert differences(ours, theirs) == ["activation relu instead of tanh", "optimizer SGD instead of Adam"]
    assert in_words(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    widths = [{"units of the widest": width} for width in ("(8, 1)", "(9, 1)")]
    assert differences(*widths) == ["units of the widest (8, 1) instead of (9, 1)"]
    ours, theirs = [own | {"batch_size": size} for own, size in zip(widths, ("80", "87"), strict=True)]
    assert differences(ours, theirs) == ["batch_size 80 instead of 87"]
    assert differences({"batch_size": "80"}, {"batch_size": "87"}) == ["batch_size 80 instead of 87"]


def _settled(search: GridSearchCV) -> tuple[int, int]:
    """How many functions were made, and how many came from the cache."""
    traced, loaded = re.search(r"(\d+) functions traced in .*, (\d+) loaded from", search.explain()).groups()
    assert (int(traced), int(loaded)) == (search.preparation_.traced, search.preparation_.loaded)
    return int(traced), int(loaded)


def test_explain_says_what_was_traced_and_what_came_from_the_cache(iris, tmp_path, monkeypatch) -> None:
    search = GridSearchCV(MLP, {"learning_rate": [0.1, 0.01]}, cv=2, refit=False)
    clear_cache()
    traced, loaded = _settled(search.fit(*iris))
    assert traced >= 1
    assert loaded == 0
    assert search.explain().endswith("the program cache is turned off by KERASHP_CACHE=off")
    assert _settled(search.fit(*iris)) == (0, 0)
    monkeypatch.setenv("KERASHP_CACHE", str(tmp_path))
    for expected in ((traced, 0), (0, traced)):
        clear_cache()
        assert _settled(search.fit(*iris)) == expected
    assert f"programs are kept in {tmp_path}" in search.explain()


def test_explain_says_why_programs_are_not_kept(iris, tmp_path, monkeypatch) -> None:
    search = GridSearchCV(MLP, {"learning_rate": [0.1]}, cv=2, refit=False).fit(*iris)
    monkeypatch.setenv("KERASHP_CACHE", str(tmp_path))
    monkeypatch.setattr(backend(), "OBSTACLE_TO_COMPILED", "TF_XLA_FLAGS is set")
    assert search.explain().endswith("traced, not as XLA compiles them: TF_XLA_FLAGS is set")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERASHP_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="does not keep compiled programs"):
        assert search.explain().endswith("not kept for other processes: there is no folder for them")


@pytest.mark.slow
def test_explain_counts_what_workers_prepare(iris, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("KERASHP_CACHE", str(tmp_path))
    search = GridSearchCV(MLP, {"activation": ["relu", "tanh"]}, cv=2, refit=False, n_jobs=2)
    traced, loaded = _settled(search.fit(*iris))
    assert traced >= 2
    assert loaded == 0
    get_reusable_executor().shutdown()
    assert _settled(search.fit(*iris)) == (0, traced)
