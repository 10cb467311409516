"""`grow_capacity`: its rule by itself, and networks that grow as far as their problem asks."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import ShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from kerashp import KerasMLPClassifier, KerasMLPRegressor, KerasRegressor
from kerashp.model_selection import Growth, grow_capacity
from kerashp.model_selection._growth import GrowthSearch, ParameterNames, Scores, improvement

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, size=(150, 2))
LINEAR = X @ [1.0, 2.0]
CORNERS = np.where(X[:, 0] * X[:, 1] > 0, "even", "odd")  # no line parts them


def classifier(**parameters: Any) -> KerasMLPClassifier:
    return KerasMLPClassifier(n_neurons=8, learning_rate=0.05, epochs=60, batch_size=50, **parameters)


@pytest.fixture(scope="module")
def corners() -> Growth:
    """Of a line first, then of a hidden layer."""
    pipeline = make_pipeline(StandardScaler(), classifier(random_state=0))
    growth = grow_capacity(pipeline, X, CORNERS, patience=1, max_depth=1, max_width=8)
    with pytest.raises(NotFittedError):
        check_is_fitted(pipeline)
    assert pipeline.get_params()["kerasmlpclassifier__n_hidden"] == 1
    assert pipeline.get_params()["kerasmlpclassifier__random_state"] == 0
    return growth


def test_depth_grows_where_a_line_is_not_enough(corners: Growth) -> None:
    line, first = corners.curve[:2]
    assert (line.n_hidden, line.n_neurons) == (0, None)
    assert (first.n_hidden, first.n_neurons, first.kept) == (1, 8, True)
    assert line.mean_test_score < 0.75
    assert line.mean_train_score < 0.8  # underfitting
    assert corners.best_score > 0.85
    assert corners.best_params == {
        "kerasmlpclassifier__n_hidden": 1,
        "kerasmlpclassifier__n_neurons": 8,
    }
    assert corners.reasons[-1] == "The score was still improving at max_depth=1: raise it"


def test_the_estimator_has_the_best_parameters_and_is_fitted(corners: Growth) -> None:
    parameters = corners.estimator.get_params()
    assert {name: parameters[name] for name in corners.best_params} == corners.best_params
    assert corners.estimator.score(X, CORNERS) > 0.9
    layers = [layer.name for layer in corners.estimator[-1].model_.layers]
    assert layers == ["normalization", "hidden_1", "output"]


def test_the_curve_is_of_all_that_was_tried(corners: Growth) -> None:
    for step in corners.curve:
        assert len(step.test_scores) == 3
        assert step.mean_test_score == pytest.approx(np.mean(step.test_scores))
        assert step.std_test_score == pytest.approx(np.std(step.test_scores))
        assert step.seconds > 0
    kept = [step for step in corners.curve if step.kept]
    assert corners.best_score == kept[-1].mean_test_score
    assert len(kept) == 2


def test_it_prints_its_curve(corners: Growth) -> None:
    lines = str(corners).splitlines()
    assert lines[0].startswith("Best: kerasmlpclassifier__n_hidden=")
    assert lines[1] == corners.reasons[0]
    assert lines[-len(corners.curve) - 1].split()[:4] == ["n_hidden", "n_neurons", "test", "score"]
    assert lines[-len(corners.curve)].split()[0] == "0"
    assert lines[-len(corners.curve)].endswith("kept")


def test_a_linear_target_takes_no_hidden_layer() -> None:
    regressor = KerasMLPRegressor(1, "input", 0.1, epochs=40, batch_size=20, l2=0.0)
    cv = ShuffleSplit(2, random_state=0)
    growth = grow_capacity(regressor, X, LINEAR, patience=1, cv=cv, n_repeats=2, refit=False)
    assert growth.best_params == {"n_hidden": 0}
    assert [(step.n_hidden, step.n_neurons) for step in growth.curve] == [(0, None), (1, 2)]
    assert [len(step.test_scores) for step in growth.curve] == [4, 4]  # splits and seeds
    assert growth.best_score > 0.999
    with pytest.raises(NotFittedError):
        check_is_fitted(growth.estimator)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max, size=2)[0]
    alone = cross_val_score(regressor.set_params(n_hidden=0, random_state=int(seed)), X, LINEAR, cv=cv)
    np.testing.assert_allclose(growth.curve[0].test_scores[::2], alone, rtol=1e-4)


def units(n_units: int = 2, input_shape: Any = (2,)) -> Any:
    layers = [keras.layers.Dense(n_units, "tanh"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input(input_shape), *layers])
    model.compile(keras.optimizers.Adam(0.05), "mse")
    return model


def test_width_alone_can_grow() -> None:
    regressor = KerasRegressor(units, epochs=40)
    growth = grow_capacity(
        regressor,
        X,
        np.sin(4 * X[:, 0]) * X[:, 1],
        depth=None,
        width="n_units",
        max_width=4,
        cv=ShuffleSplit(1, test_size=0.3, random_state=0),
        tol=0.05,
        scoring="neg_root_mean_squared_error",
        fit_params={"sample_weight": np.ones(len(X)), "epochs": 60},
    )
    widths = [step.n_neurons for step in growth.curve]
    assert widths == [2, 4]
    assert growth.best_params == {"n_units": 4}
    assert {step.n_hidden for step in growth.curve} == {None}
    assert all(step.mean_test_score < 0 for step in growth.curve)  # of that score
    assert len(growth.estimator.history_["loss"]) == 60
    assert growth.estimator.model_.layers[0].units == 4


SIZES = [(0, None), (1, 8), (2, 8), (3, 8), (4, 8)]


def grown(scores: Sequence[Any], patience: int = 1, tol: float | None = None) -> GrowthSearch:
    """What becomes of networks with these scores."""
    coming = iter(scores)

    def next_scores(_: dict[str, int]) -> Scores:
        test = next(coming)
        if isinstance(test, Exception):
            raise test
        return Scores(np.array(test), np.ones(len(test)))

    growing = GrowthSearch(next_scores, ParameterNames("depth", "width", "seed"), patience, tol)
    growing.grow(SIZES[: len(scores)], "max_depth=4")
    return growing


@pytest.mark.parametrize(
    ("means", "patience", "tol", "tried", "best"),
    [
        ([0.5, 0.6, 0.7, 0.8, 0.9], 1, 0.0, 5, 4),
        ([0.5, 0.6, 0.6, 0.8, 0.9], 1, 0.0, 3, 1),
        ([0.5, 0.6, 0.6, 0.8, 0.9], 2, 0.0, 5, 4),
        ([0.5, 0.6, 0.5, 0.4, 0.9], 2, 0.0, 4, 1),
        ([0.5, 0.6, 0.7, 0.8, 0.9], 1, 0.15, 2, 0),
        ([0.5, 0.6, 0.7, 0.8, 0.9], 2, 0.15, 5, 4),  # what small steps add up to counts
        ([0.5, 0.4, 0.4, 0.4, 0.4], 1, None, 2, 0),
    ],
)
def test_growing_ends_when_nothing_is_better(
    means: list[float], patience: int, tol: float | None, tried: int, best: int
) -> None:
    growing = grown([[mean, mean] for mean in means], patience, tol)
    assert len(growing.curve) == tried
    assert growing.best is growing.curve[best]


def test_better_is_by_more_than_one_standard_error_of_the_differences() -> None:
    before, differences = np.array([0.2, 0.5, 0.8]), np.array([0.1, 0.2, 0.6])
    gain, needed = improvement(before + differences, before, None)
    assert gain == pytest.approx(0.3)
    assert needed == pytest.approx(np.sqrt((0.2**2 + 0.1**2 + 0.3**2) / 2 / 3))
    assert improvement(np.array([0.3]), np.array([0.2]), None)[1] == 0
    assert improvement(before, before, 0.1) == (0, 0.1)
    barely = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.31], [0.3, 0.3, 0.3]]
    assert not grown(barely).curve[1].kept
    assert grown(barely, patience=2).curve[2].kept


def test_scores_that_are_not_finite_are_not_better() -> None:
    assert not grown([[0.5, 0.5], [np.nan, 0.9], [0.9, 0.9]]).curve[-1].kept
    assert grown([[0.5, np.nan], [0.4, 0.4]]).best.n_hidden == 1


def test_larger_networks_that_fail_end_it() -> None:
    growing = grown([[0.5], ValueError("All the 3 fits failed.\nIt diverged"), [0.6]])
    assert growing.best.n_hidden == 0
    assert np.isnan(growing.curve[1].mean_test_score)
    assert growing.reasons == ["depth=1, width=8 fails: All the 3 fits failed. It diverged"]
    with pytest.raises(ValueError, match="All the 3 fits failed"):
        grown([ValueError("All the 3 fits failed"), [0.6]])


def test_reasons_have_the_numbers() -> None:
    growing = grown([[0.5, 0.7], [0.7, 0.8]])
    assert growing.reasons == [
        "depth=1, width=8 is better: the mean score changes from 0.6 by +0.15; one standard error is 0.05",
        "The score was still improving at max_depth=4: raise it",
    ]
    assert (
        "no better: the mean score changes from 0.5 by +0.1; tol is 0.2"
        in grown([[0.5], [0.6]], tol=0.2).reasons[0]
    )


def no_names(input_shape: Any = (2,)) -> Any:
    return units(2, input_shape)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"estimator": Ridge()}, TypeError, "estimator must be an estimator of kerashp, alone or at"),
        (
            {"estimator": make_pipeline(StandardScaler())},
            TypeError,
            "estimator must be an estimator of kerashp",
        ),
        (
            {"estimator": KerasRegressor(no_names)},
            ValueError,
            "KerasRegressor and its model function have no parameter 'n_hidden'. Pass the name of",
        ),
        (
            {"estimator": KerasRegressor(units), "depth": None},
            ValueError,
            "KerasRegressor .* no parameter 'n_neurons'. .* or width=None to keep it",
        ),
        ({"depth": 3}, TypeError, "depth must be the name of a parameter, or None; got 3"),
        ({"depth": None, "width": None}, ValueError, "depth and width are both None, so nothing would grow"),
        ({"min_depth": -1}, ValueError, "min_depth must be an integer >= 0; got -1"),
        ({"min_depth": 2, "max_depth": 1}, ValueError, "max_depth must be an integer >= 2; got 1"),
        ({"max_width": 0}, ValueError, "max_width must be an integer >= 1; got 0"),
        ({"max_width": 4}, ValueError, "n_neurons must be an integer from 1 to max_width=4, or 'input'"),
        ({"patience": 0}, ValueError, "patience must be an integer >= 1; got 0"),
        ({"tol": -1}, ValueError, "tol must be a number >= 0; got -1"),
        ({"tol": "se"}, TypeError, "tol must be a number >= 0; got 'se'"),
        ({"n_repeats": 0}, ValueError, "n_repeats must be an integer >= 1; got 0"),
        ({"refit": 1}, TypeError, "refit must be True or False; got 1"),
        ({"scoring": ["accuracy"]}, TypeError, "scoring must be one score: its name, a function or None"),
        (
            {"estimator": KerasMLPRegressor(n_neurons=[4, 4])},
            TypeError,
            r"n_neurons must be an integer from 1 to max_width=1024, or 'input' for .*; got \[4, 4\]",
        ),
    ],
)
def test_what_cannot_grow_is_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        grow_capacity(**({"estimator": classifier(), "X": X, "y": CORNERS} | options))


def test_a_smallest_network_that_fails_says_why() -> None:
    with pytest.raises(ValueError, match="All the 3 fits failed"):
        grow_capacity(classifier(), X, np.full(len(X), "one"))
