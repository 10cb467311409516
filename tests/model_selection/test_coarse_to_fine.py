"""Rounds of random search in spaces that shrink around the best so far."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import loguniform, norm, uniform
from sklearn import model_selection as theirs
from sklearn.base import BaseEstimator
from sklearn.datasets import make_regression

from kerashp import KerasMLPRegressor
from kerashp.model_selection import CoarseToFineSearchCV
from kerashp.training import Costs

X, Y = make_regression(60, 4, random_state=0)
Y = Y / Y.std()
SPACE = {"rate": loguniform(1e-6, 1.0), "kind": ["a", "b", "c"], "width": range(1, 100)}


class Peak(BaseEstimator):
    """Scores best, 0, at rate=0.01, width=30 and kind="b"."""

    def __init__(self, rate: float = 1.0, kind: str = "a", width: int = 1):
        self.rate = rate
        self.kind = kind
        self.width = width

    def fit(self, X: Any, y: Any) -> "Peak":
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.zeros(len(X))

    def score(self, X: Any, y: Any) -> float:
        return -(abs(np.log10(self.rate) + 2) + abs(self.width - 30) / 100 + (self.kind != "b"))


def search(**options: Any) -> CoarseToFineSearchCV:
    arguments = {"n_iter": 12, "n_rounds": 4, "cv": 2, "random_state": 0}
    return CoarseToFineSearchCV(Peak(), SPACE, **(arguments | options)).fit(X, Y)


def log_width(distribution: Any) -> float:
    low, high = distribution.support()
    return float(np.log10(high / low))


def test_spaces_shrink_around_the_best_so_far() -> None:
    found = search()
    assert [log_width(one.space["rate"]) for one in found.rounds_] == pytest.approx([6.0, 3.0, 1.5, 0.75])
    for before, one in zip(found.rounds_, found.rounds_[1:], strict=False):
        low, high = one.space["rate"].support()
        assert low >= 1e-6 * (1 - 1e-9)
        assert high <= 1 + 1e-9
        assert len(one.space["width"]) < len(before.space["width"])
        assert one.best_score >= before.best_score
        best = sorted(range(one.candidates.start), key=lambda i: found.cv_results_["rank_test_score"][i])[:3]
        centre = np.median([np.log10(found.cv_results_["params"][i]["rate"]) for i in best])
        inside = low * 1.001 > 1e-6 and high < 0.999
        assert not inside or np.mean(np.log10([low, high])) == pytest.approx(centre)
    assert found.rounds_[-1].space["kind"] == ["b"]


def test_results_are_those_of_all_rounds() -> None:
    found = search()
    assert list(found.cv_results_["round"]) == [number for number in range(4) for _ in range(12)]
    assert [one.candidates for one in found.rounds_] == [
        range(first, first + 12) for first in (0, 12, 24, 36)
    ]
    for one in found.rounds_:
        for place in one.candidates:
            low, high = one.space["rate"].support()
            assert low * 0.999 <= found.cv_results_["params"][place]["rate"] <= high * 1.001
    last = found.rounds_[-1]
    assert last.best_params == found.best_params_
    assert last.best_score == found.best_score_ == max(found.cv_results_["mean_test_score"])


def test_the_first_round_is_a_random_search() -> None:
    theirs_own = theirs.RandomizedSearchCV(Peak(), SPACE, n_iter=12, cv=2, random_state=0).fit(X, Y)
    assert search(n_rounds=1).cv_results_["params"] == theirs_own.cv_results_["params"]
    assert search().cv_results_["params"][:12] == theirs_own.cv_results_["params"]
    assert search().best_score_ > theirs_own.best_score_


def test_the_score_that_refit_names_decides() -> None:
    def by_width(estimator: Any, *_: Any) -> float:
        return -abs(estimator.width - 90)

    scoring = {"peak": lambda estimator, X, y: estimator.score(X, y), "width": by_width}
    found = search(scoring=scoring, refit="width")
    assert abs(found.best_params_["width"] - 90) <= 2
    assert min(found.rounds_[-1].space["width"]) > 60


def test_the_candidates_of_a_round_train_together() -> None:
    mlp = KerasMLPRegressor(1, 4, epochs=2, batch_size=32, random_state=0)
    options = {"n_iter": 3, "n_rounds": 2, "cv": 2, "random_state": 0}
    found = CoarseToFineSearchCV(mlp, {"learning_rate": loguniform(1e-3, 1e-1)}, **options).fit(X, Y)
    assert [len(group.fits) for group in found.plan_.groups] == [6, 6]
    assert sorted(fit for group in found.plan_.groups for fit in group.fits) == [
        (candidate, split) for candidate in range(6) for split in range(2)
    ]
    assert len(found.histories_) == 6
    assert "graph" in found.explain()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_rounds": 0}, "'n_rounds' parameter of CoarseToFineSearchCV must be an int"),
        ({"shrink": 1.5}, "'shrink' parameter of CoarseToFineSearchCV must be a float"),
        ({"top": 0}, "'top' parameter"),
        ({"n_iter": 0}, "'n_iter' parameter"),
        (
            {"scoring": ["r2", "neg_max_error"], "refit": False},
            "several, and refit=False names none of them. Set refit to the name",
        ),
    ],
)
def test_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search(**options)


def test_a_space_that_cannot_be_narrowed_is_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Peak, "fit", lambda *_: pytest.fail("it trains"))
    with pytest.raises(TypeError, match="norm"):
        CoarseToFineSearchCV(Peak(), {"rate": norm(0, 1)}, cv=2).fit(X, Y)
    with pytest.raises(ValueError, match="'space' parameter of CoarseToFineSearchCV must be an instance of"):
        CoarseToFineSearchCV(Peak(), [{"rate": uniform(0, 1)}], cv=2).fit(X, Y)


@pytest.mark.slow
@pytest.mark.parametrize("compiling", [1e3, 0.0])
def test_later_rounds_train_by_the_programs_of_earlier_ones_where_that_is_quicker(
    compiling: float, compiles: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "kerashp.model_selection._running.evaluation.measured", lambda: Costs(compiling, 0, 0, 0, 1e6)
    )
    mlp = KerasMLPRegressor(1, epochs=1, random_state=0)
    arguments = {"n_iter": 2, "n_rounds": 3, "cv": 2, "random_state": 0, "refit": False}
    rounds = CoarseToFineSearchCV(mlp, {"n_neurons": range(33, 46)}, **arguments).fit(X, Y)
    rooms = [group.room for group in rounds.plan_.groups]
    widths = {params["n_neurons"] for params in rounds.cv_results_["params"]}
    n_trained = sum("n_batch" not in compiler.keywords for _, compiler, *_ in compiles)
    if compiling:  # by the first round's, which has room for more than its widest
        assert rooms == [rooms[0]] * 3
        assert rooms[0].units == (46, 1)
        assert n_trained == 1
    else:  # each as wide as it is
        assert {room.units[0] for room in rooms} == widths
        assert n_trained == len(set(rooms))
