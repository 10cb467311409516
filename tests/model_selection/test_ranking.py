"""The best of candidates that have no score on some splits."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer

from kerashp import KerasMLPClassifier
from kerashp.model_selection import (
    CoarseToFineSearchCV,
    GridSearchCV,
    HalvingGridSearchCV,
    OptunaSearchCV,
    OracleSearchCV,
)
from kerashp.model_selection._ranking import check_some_is_best, compared

NAN = np.nan


def table(scores: Any, **columns: Any) -> dict[str, Any]:
    """What scikit-learn makes of scores `(n_candidates, n_splits)`."""
    scores = np.array(scores, float)
    means = scores.mean(axis=1)
    with np.errstate(invalid="ignore"):
        deviations = scores.std(axis=1)
    return {
        "params": [{} for _ in scores],
        **{f"split{split}_test_score": column for split, column in enumerate(scores.T)},
        "mean_test_score": means,
        "std_test_score": deviations,
        "rank_test_score": np.ones(len(scores), np.int32),
        **columns,
    }


@pytest.mark.parametrize(
    ("scores", "means", "ranks", "left_out"),
    [
        # A split that no candidate has is left out.
        ([[NAN, 1, 2], [NAN, 3, 4]], [1.5, 3.5], [2, 1], (0,)),
        # What lacks another besides has failed.
        ([[NAN, 1, 2], [NAN, 3, NAN], [NAN, 0, 2]], [1.5, NAN, 1.0], [1, 3, 2], (0,)),
        # Each lacks one: they are compared where both are.
        ([[NAN, 9, 1], [8, NAN, 2]], [1, 2], [2, 1], (0, 1)),
        # And what has none is left aside.
        ([[NAN, 9, 1], [8, NAN, 2], [NAN, NAN, NAN]], [1, 2, NAN], [2, 1, 3], (0, 1)),
        ([[-np.inf, 1], [-np.inf, 2]], [1, 2], [2, 1], (0,)),  # by error_score
    ],
)
def test_candidates_are_compared_by_splits_that_compare_them(scores, means, ranks, left_out) -> None:
    results = table(scores)
    (comparison,) = compared(results, len(scores[0]))
    assert comparison.left_out == left_out
    np.testing.assert_array_equal(results["mean_test_score"], means)
    np.testing.assert_array_equal(results["rank_test_score"], ranks)
    check_some_is_best(results, "score")
    kept = [split for split in range(len(scores[0])) if split not in left_out]
    np.testing.assert_array_equal(results["std_test_score"], np.array(scores)[:, kept].std(axis=1))


@pytest.mark.parametrize("scores", [[[1, 2], [NAN, 3]], [[1, 2], [NAN, NAN]], [[NAN, NAN]]])
def test_nothing_changes_where_a_candidate_has_all_scores_or_none_has_any(scores: Any) -> None:
    results = table(scores)
    before = results["mean_test_score"].copy()
    assert compared(results, 2) == []
    np.testing.assert_array_equal(results["mean_test_score"], before)


def test_iterations_of_halving_are_compared_each_by_its_own_splits() -> None:
    results = table([[NAN, 1], [NAN, 2], [5, 6]], iter=np.array([0, 0, 1]))
    (comparison,) = compared(results, 2)
    assert comparison.left_out == (0,)
    np.testing.assert_array_equal(results["mean_test_score"], [1, 2, 5.5])
    np.testing.assert_array_equal(results["rank_test_score"], [3, 2, 1])


def test_no_candidate_is_the_best_where_no_split_compares_them() -> None:
    results = table([[NAN, 1], [2, NAN]])
    assert compared(results, 2) == []
    with pytest.raises(ValueError, match="No candidate is the best: each of 2 lacks a finite"):
        check_some_is_best(results, "score")


# What scikit-learn says of each failure.
QUIET = pytest.mark.filterwarnings(
    "ignore:One or more of the",
    "ignore:Scoring failed",
    "ignore::sklearn.exceptions.FitFailedWarning",
)


def undefined_without(label: int) -> Any:
    """A scorer that fails where the rows lack a label, as many do."""

    def accuracy(y: Any, predicted: Any) -> float:
        if label not in y:
            raise ValueError(f"no {label} in y")
        return float(np.mean(y == predicted))

    return make_scorer(accuracy)


@pytest.fixture
def rows(iris) -> Any:
    """Of three classes, of which two splits' test rows lack the last one."""
    order = np.random.RandomState(0).permutation(100)
    X, y = iris[0][order], iris[1][order]
    return np.vstack([X, iris[0][100:120]]), np.append(y, np.full(20, 2))


SPLITS = [
    (np.r_[0:60, 100:110], np.r_[60:100, 110:120]),
    (np.r_[20:100, 100:110], np.r_[0:20, 110:120]),
    (np.r_[0:80, 100:110], np.r_[80:100]),
]
RATES = [1e-5, 0.03]
MLP = KerasMLPClassifier(epochs=8, random_state=0)
SEARCHES = {
    "grid": lambda **how: GridSearchCV(MLP, {"learning_rate": RATES}, **how),
    "halving": lambda **how: HalvingGridSearchCV(MLP, {"learning_rate": RATES}, factor=2, **how),
    "coarse to fine": lambda **how: CoarseToFineSearchCV(
        MLP, {"learning_rate": loguniform(1e-5, 0.1)}, n_iter=2, n_rounds=2, random_state=0, **how
    ),
    "oracle": lambda **how: OracleSearchCV(MLP, {"learning_rate": RATES}, oracle="grid", **how),
    "optuna": lambda **how: OptunaSearchCV(MLP, {"learning_rate": RATES}, n_trials=9, random_state=0, **how),
    "scikit-learn's estimator": lambda **how: GridSearchCV(LogisticRegression(), {"C": [1e-5, 1.0]}, **how),
}


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
@QUIET
def test_the_best_is_that_of_the_splits_that_are_there(rows, search: Any) -> None:
    with pytest.warns(UserWarning, match="compared by their means over splits 0, 1 alone, without split 2"):
        found = search(cv=SPLITS, scoring=undefined_without(2)).fit(*rows)
    means = np.mean([found.cv_results_[f"split{i}_test_score"] for i in (0, 1)], axis=0)
    np.testing.assert_array_equal(found.cv_results_["mean_test_score"], means)
    assert found.best_index_ == np.argmax(means) > 0
    assert found.best_score_ == means.max()
    assert np.isnan(found.cv_results_["split2_test_score"]).all()


@QUIET
def test_each_of_several_scores_has_its_own_splits(rows) -> None:
    scoring = {"all": "accuracy", "some": undefined_without(2)}
    search = GridSearchCV(MLP, {"learning_rate": RATES}, cv=SPLITS, scoring=scoring, refit="all")
    with pytest.warns(UserWarning, match="No candidate has a finite test some on all 3 splits"):
        search.fit(*rows)
    for name, splits in {"all": (0, 1, 2), "some": (0, 1)}.items():
        means = np.mean([search.cv_results_[f"split{i}_test_{name}"] for i in splits], axis=0)
        np.testing.assert_allclose(search.cv_results_[f"mean_test_{name}"], means)
        assert search.cv_results_[f"rank_test_{name}"].tolist() == [2, 1]


@QUIET
def test_a_search_whose_splits_compare_no_two_candidates_raises(iris) -> None:
    """Each candidate fails on one of two splits; the results are kept."""

    def one_each(estimator: Any, _: Any, y: Any) -> float:
        if len(y) == (40 if estimator.learning_rate == RATES[0] else 60):
            raise ValueError("not here")
        return 1.0

    splits = [(np.arange(60), np.arange(60, 100)), (np.arange(40, 100), np.arange(60))]
    for kind in (GridSearchCV, HalvingGridSearchCV):
        search = kind(MLP, {"learning_rate": RATES}, cv=splits, scoring=one_each)
        with pytest.raises(ValueError, match="No candidate is the best: each of 2 lacks"):
            search.fit(iris[0][25:125], iris[1][25:125])
        assert np.isnan(search.cv_results_["mean_test_score"]).all()
