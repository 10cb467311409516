"""The tables of the displays, and what is drawn of them."""

import importlib
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import keras
import matplotlib as mpl
import numpy as np
import optuna
import pytest
from matplotlib import pyplot as plt
from scipy.stats import loguniform, norm, randint, uniform
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV

import kerashp
from kerashp import KerasMLPRegressor, build_model, fit
from kerashp.callbacks import LearningRateWarmup, StepDrop
from kerashp.model_selection import GridSearchCV as OurGridSearchCV
from kerashp.plotting import (
    LearningCurvesDisplay,
    ParallelCoordinatesDisplay,
    ScheduleDisplay,
    SearchHistoryDisplay,
    SliceDisplay,
)
from kerashp.plotting._candidates import candidates_of, worst_shown
from kerashp.plotting._curves import best_index
from kerashp.plotting._matplotlib import as_svg, label_text
from kerashp.plotting._scales import MISSING, linear_ticks, log_ticks, scale_of
from kerashp.spaces import int_loguniform, one_minus_loguniform

NAN = float("nan")
RATES = [0.001, 0.01, 0.1, 1.0]


@pytest.fixture(autouse=True)
def _no_windows() -> Iterator[None]:
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def searched(scores: Any, params: Any = None, more: Any = None, **attributes: Any) -> Any:
    """What displays look at in a fitted search."""
    results = {
        "params": params or [{"rate": rate} for rate in np.geomspace(0.001, 1, len(scores))],
        "mean_test_score": np.array(scores),
        "split0_test_score": np.array(scores),
        "split1_test_score": np.array(scores),
        "std_test_score": np.zeros(len(scores)),
        "mean_fit_time": np.full(len(scores), 2.0),
        "mean_score_time": np.full(len(scores), 0.5),
    }
    return SimpleNamespace(cv_results_=results | (more or {}), **attributes)


def with_histories() -> Any:
    """Three candidates on two splits; the last diverged on the first, and never trained on the other."""

    def curve(n_epochs: int, end: float) -> dict[str, list[float]]:
        falling = np.geomspace(1, end, n_epochs)
        return {"loss": list(falling / 2), "val_loss": list(falling)}

    diverged = {"loss": [1.0, 50.0, np.inf], "val_loss": [1.0, np.nan, np.nan]}
    histories = [[curve(5, 0.5)] * 2, [curve(5, 0.01), curve(3, 0.02)], [diverged, None]]
    best_epochs = [[4, 4], [4, 0], [0, 0]]
    more = {f"split{split}_best_epoch": np.ma.array([own[split] for own in best_epochs]) for split in (0, 1)}
    more["split1_best_epoch"][2] = np.ma.masked
    stopped = [[False, False], [False, True], [False, False]]
    more |= {f"split{split}_stopped_early": np.ma.array([own[split] for own in stopped]) for split in (0, 1)}
    return searched([0.1, 0.9, NAN], more=more, histories_=histories, best_index_=1)


# Candidates


def test_candidates_of_a_search() -> None:
    search = searched([0.5, np.inf, 0.7], scoring="r2", more={"round": [0, 0, 1]})
    found = candidates_of("f", search)
    np.testing.assert_array_equal(found.scores, [0.5, NAN, 0.7])
    np.testing.assert_array_equal(found.failed, [False, True, False])
    np.testing.assert_array_equal(found.seconds, [5.0] * 3)  # 2.5 on each of two splits
    assert (found.best, found.score_name, found.stages) == (2, "r2", ("round 0", "round 0", "round 1"))
    halving = searched([0.5, 0.7], more={"iter": [0, 1], "n_resources": [20, 60]})
    names = ("iteration 0, 20 resources", "iteration 1, 60 resources")
    assert candidates_of("f", halving).stages == names
    halving.resource = "epochs"
    assert candidates_of("f", halving).stages[1] == "iteration 1, 60 epochs"


def test_the_best_is_that_of_the_search() -> None:
    search = searched([0.9, 0.5, 0.7], more={"iter": [0, 0, 1]}, best_index_=2)  # of the last iteration
    assert candidates_of("f", search).best == 2
    assert SliceDisplay.from_search(search).best == 2
    parallel = ParallelCoordinatesDisplay.from_search(search)
    np.testing.assert_allclose(parallel.ax_.lines[0].get_ydata(), [1, 0.5])
    assert SliceDisplay([0.1, 0.3, 0.2], {}, {}).best == 1
    failed = searched([NAN, NAN], best_index_=0)  # as scikit-learn has it
    assert (candidates_of("f", failed).best, best_index("f", failed, None)) == (None, -1)
    infinite = searched([np.inf, 0.5], best_index_=0)
    assert candidates_of("f", infinite).best == best_index("f", infinite, None) == 1
    weighed = searched([], more={"mean_test_r2": [0.1, 0.2], "mean_test_loss": [5.0, 4.0]}, best_index_=1)
    weighed.multimetric_, weighed.refit = True, lambda _: 1
    assert best_index("f", weighed, None) == 1


def test_one_of_several_scores() -> None:
    both = {"mean_test_r2": np.array([0.1, 0.2]), "mean_test_loss": np.array([5.0, 4.0])}
    search = SimpleNamespace(cv_results_={"params": [{}, {}]} | both, refit="r2")
    assert candidates_of("f", search).metric == "r2"
    assert candidates_of("f", search, "loss").best == 0
    with pytest.raises(ValueError, match="f: metric must be one of 'r2', 'loss'; got 'auc'"):
        candidates_of("f", search, "auc")
    search.refit = False
    with pytest.raises(
        ValueError, match="f: the search has several scores; pass as metric one of 'r2', 'loss'"
    ):
        candidates_of("f", search)


def test_what_is_no_fitted_search() -> None:
    for display in (SearchHistoryDisplay, SliceDisplay, ParallelCoordinatesDisplay, LearningCurvesDisplay):
        with pytest.raises(
            TypeError, match=f"{display.__name__}.from_search: search must be a fitted search"
        ):
            display.from_search(LinearRegression())
        with pytest.raises(NotFittedError, match="this GridSearchCV has no cv_results_ yet; call fit first"):
            display.from_search(GridSearchCV(LinearRegression(), {}))
    lacking = SimpleNamespace(cv_results_={"mean_test_score": [0.1]})
    with pytest.raises(ValueError, match="cv_results_ must have 'params'; got 'mean_test_score'"):
        SearchHistoryDisplay.from_search(lacking)


def test_scores_far_below_most_are_not_shown_to_scale() -> None:
    assert worst_shown(np.array([0.0, 0.5, 0.9, NAN])) == 0.0
    assert worst_shown(np.array([-1e9, 0.5, 0.6, 0.7, 0.8])) == pytest.approx(0.6 - 5 * 0.2)
    assert worst_shown(np.array([0.2, 0.5, 0.5, 0.5])) == 0.2  # most are the best
    assert worst_shown(np.array([NAN])) == 0.0


# Scales


@pytest.mark.parametrize(
    ("values", "spaces", "kind"),
    [
        ([0.3, 0.4], [loguniform(0.1, 1)], "log"),
        ([16, 17], [int_loguniform(10, 100)], "log"),
        ([0.9, 0.91], [one_minus_loguniform(0.5, 0.99)], "one minus log"),
        ([0.001, 1.0], [uniform(0, 1)], "linear"),
        ([1, 1000], [randint(1, 2000)], "linear"),
        ([0.001, 0.01, 0.1], [norm(0, 1)], "log"),
        ([0.001, 1.0], [[0.001, 0.01, 0.1, 1.0]], "log"),
        ([3, 90], [range(1, 100)], "linear"),
        ([0.3, 0.4], [optuna.distributions.FloatDistribution(0.1, 1, log=True)], "log"),
        ([1, 1000], [optuna.distributions.IntDistribution(1, 2000)], "linear"),
        ([16, 32, 64, 128, 256], [], "log"),
        ([0.9, 0.99, 0.999], [], "one minus log"),
        ([0.1, 0.2, 0.3], [], "linear"),
        ([0, 1, 2, 3], [], "linear"),
        ([0.0, 1e-4, 1e-2], [], "categories"),
        ([0.3, 0.4], [loguniform(0.1, 1), uniform(0, 1)], "linear"),
        ([5, 5], [], "linear"),
        ([True, False], [], "categories"),
        ([None, 1.0], [], "categories"),
        (["relu", "tanh"], [], "categories"),
        ([MISSING], [], "categories"),
        ([1, 10**400], [], "categories"),
        ([1, 3], [[1, 2, 3, 10**400]], "linear"),
        ([1, 3], [[1, 2, 3, "all"]], "linear"),
        ([1e-300, 1e300, 1.0], [], "log"),
        ([10, 80], [], "log"),
        ([10, 79], [], "linear"),
    ],
)
def test_the_scale_of_a_parameter(values: Any, spaces: Any, kind: str) -> None:
    scale = scale_of(values, spaces)
    assert scale.kind == kind
    numbers = scale.numbers(values)
    np.testing.assert_array_equal(np.isnan(numbers), [value is MISSING for value in values])
    np.testing.assert_allclose(scale.backward(scale.forward(numbers)), numbers)


def test_categories_stand_in_the_order_of_the_space() -> None:
    scale = scale_of(["tanh", MISSING, "relu"], [["relu", "elu", "tanh"]])
    of_optuna = optuna.distributions.CategoricalDistribution(("relu", "elu", "tanh"))
    assert scale_of(["tanh", MISSING, "relu"], [of_optuna]) == scale
    assert scale.categories == ("relu", "tanh")
    np.testing.assert_array_equal(scale.numbers(["tanh", MISSING, "relu"]), [1, NAN, 0])
    assert scale_of([1e-2, 0.0, 1e-4]).categories == ("0", "0.0001", "0.01")
    assert scale_of([(8, 4), np.tanh, None]).categories == ("(8, 4)", "tanh", "None")


def test_ticks() -> None:
    assert scale_of(RATES).ticks(0.001, 1.0) == ([0.001, 0.01, 0.1, 1.0], ["0.001", "0.01", "0.1", "1"])
    assert log_ticks(20, 600) == [20, 50, 100, 200, 500]
    assert log_ticks(0.21, 0.24) == [0.21, 0.22, 0.23, 0.24]
    assert len(log_ticks(1e-30, 1)) <= 6
    assert linear_ticks(0.1, 0.5) == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert linear_ticks(3, 3) == [3.0]
    assert linear_ticks(0, 3, whole=True) == [0, 1, 2, 3]
    near_one = scale_of([0.9, 0.99, 0.999])
    assert near_one.ticks(0.9, 0.999) == (pytest.approx([0.9, 0.99, 0.999]), ["0.9", "0.99", "0.999"])
    np.testing.assert_allclose(near_one.forward([0.9, 0.99, 0.999]), [1, 2, 3])
    assert len(log_ticks(1e-300, 1.7e308)) <= 7
    many = scale_of([f"kind {number}" for number in range(100)])
    assert len(many.ticks(0, 99)[1]) <= 14


# Search history


def test_the_best_so_far() -> None:
    display = SearchHistoryDisplay([NAN, 0.2, 0.1, NAN, 0.6, 0.5], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    np.testing.assert_array_equal(display.best_scores, [NAN, 0.2, 0.2, 0.2, 0.6, 0.6])
    np.testing.assert_array_equal(display.elapsed, [1, 3, 6, 10, 15, 21])


def test_the_history_is_drawn_onto_the_axes_given() -> None:
    axes = plt.subplots(1, 2)[1]
    search = searched([0.2, NAN, 0.6], more={"round": [0, 0, 1]})
    display = SearchHistoryDisplay.from_search(search, ax=axes[0])
    assert (display.ax_, display.figure_) == (axes[0], axes[0].figure)
    np.testing.assert_array_equal(display.line_.get_xydata(), [[1, 0.2], [2, 0.2], [3, 0.6]])
    assert [own.get_offsets().tolist() for own in display.scatters_] == [[[1, 0.2]], [[3, 0.6]]]
    labels = {text.get_text() for text in display.ax_.get_legend().get_texts()}
    assert labels == {"best so far", "round 0", "round 1", "1 failed"}
    display.plot(axes[1], by="time")
    np.testing.assert_array_equal(display.line_.get_xdata(), [5, 10, 15])


def test_all_failed() -> None:
    search = searched([NAN, np.inf])
    for display in (SearchHistoryDisplay, SliceDisplay, ParallelCoordinatesDisplay):
        display.from_search(search).figure_.canvas.draw()
    assert np.isnan(SearchHistoryDisplay([NAN, np.inf]).best_scores).all()


def test_low_scores_are_drawn_at_the_edge() -> None:
    display = SearchHistoryDisplay([0.5, -1e9, 0.6, 0.7, 0.8]).plot()
    assert display.ax_.get_ylim()[0] > -1
    assert len(display.scatters_[0].get_offsets()) == 4
    assert "1 lower" in {text.get_text() for text in display.ax_.get_legend().get_texts()}


def test_wrong_arguments_of_the_history() -> None:
    with pytest.raises(ValueError, match="plot: by must be one of 'candidates', 'time'; got 'size'"):
        SearchHistoryDisplay([0.1]).plot(by="size")
    with pytest.raises(ValueError, match="by='time' requires seconds, but there are none"):
        SearchHistoryDisplay([0.1]).plot(by="time")
    with pytest.raises(ValueError, match="seconds must have one entry per candidate, 1; got 2"):
        SearchHistoryDisplay([0.1], [1.0, 2.0])
    with pytest.raises(ValueError, match="stages must have one entry per candidate, 1; got 2"):
        SearchHistoryDisplay([0.1], stages=["a", "b"])
    with pytest.raises(TypeError, match="ax must be matplotlib Axes or None; got 3"):
        SearchHistoryDisplay([0.1]).plot(3)


# Slices and parallel coordinates

PARAMS: list[dict[str, Any]] = [
    {"mlp__rate": 0.001, "mlp__beta": 0.9, "mlp__kind": "a", "mlp__fixed": 1},
    {"mlp__rate": 0.1, "mlp__beta": 0.999, "mlp__fixed": 1},
    {"mlp__rate": 0.01, "mlp__beta": 0.99, "mlp__kind": "b", "mlp__fixed": 1},
]
SPACES = [
    {
        "mlp__rate": loguniform(1e-3, 0.1),
        "mlp__beta": one_minus_loguniform(0.9, 0.999),
        "mlp__kind": ["b", "a"],
    },
    {"mlp__rate": loguniform(1e-3, 0.1), "mlp__beta": one_minus_loguniform(0.9, 0.999)},
]


def pipeline_search(scores: Any) -> Any:
    return searched(scores, PARAMS, param_distributions=SPACES)


def test_slices() -> None:
    display = SliceDisplay.from_search(pipeline_search([0.1, 0.2, NAN]))
    assert {name: scale.kind for name, scale in display.scales.items()} == {
        "mlp__rate": "log",
        "mlp__beta": "one minus log",
        "mlp__kind": "categories",
    }
    np.testing.assert_array_equal(display.numbers["mlp__kind"], [1, NAN, 0])
    assert [ax.get_xscale() for ax in display.axes_] == ["log", "function", "linear"]
    assert [ax.get_xlabel() for ax in display.axes_] == ["rate", "beta", "kind"]
    assert display.axes_[2].get_xticklabels()[0].get_text() == "b"
    assert [own.get_offsets().tolist() for own in display.scatters_[:2]] == [
        [[0.001, 0.1], [0.1, 0.2]],
        [[0.9, 0.1], [0.999, 0.2]],
    ]
    display.figure_.canvas.draw()  # ticks of the scales are made now


def test_slices_on_axes_given() -> None:
    search = pipeline_search([0.1, 0.2, NAN])
    _, ax = plt.subplots()
    assert SliceDisplay.from_search(search, parameters=["mlp__fixed"], ax=ax).axes_ == [ax]
    axes = plt.subplots(2, 2)[1]
    drawn = SliceDisplay.from_search(search, parameters=["mlp__rate", "mlp__beta"], ax=axes[0])
    assert drawn.figure_ is axes[0, 0].figure
    with pytest.raises(
        ValueError, match="ax must be None or 3 matplotlib Axes, one for each parameter; got 1"
    ):
        SliceDisplay.from_search(search, ax=ax)
    with pytest.raises(
        TypeError, match="ax must be None or 3 matplotlib Axes, one for each parameter; got 'ax'"
    ):
        SliceDisplay.from_search(search, ax="ax")


def test_parameters_that_are_not_there() -> None:
    for display in (SliceDisplay, ParallelCoordinatesDisplay):
        with pytest.raises(ValueError, match="among those of the search, 'mlp__rate', .*; got 'rate'"):
            display.from_search(pipeline_search([0.1, 0.2, 0.3]), parameters="rate")
        with pytest.raises(
            ValueError, match="the search has no parameters to draw; all its candidates are {}"
        ):
            display.from_search(searched([0.1], [{}]))


def test_parallel_coordinates() -> None:
    display = ParallelCoordinatesDisplay.from_search(pipeline_search([0.1, 0.2, NAN]))
    np.testing.assert_allclose(display.heights, [[0, 0, 1, 0], [1, 1, NAN, 1], [0.5, 0.5, 0, NAN]])
    assert len(display.lines_.get_paths()) == 3
    np.testing.assert_array_equal(display.lines_.get_array().compressed(), [0.1, 0.2])  # worst first
    written = {text.get_text() for text in display.ax_.texts}
    assert {"0.001", "0.999", "a", "b", "absent", "failed"} <= written
    alone = ParallelCoordinatesDisplay.from_search(searched([NAN], [{"rate": 0.1}]), ax=plt.subplots()[1])
    assert alone.colorbar_ is None
    np.testing.assert_array_equal(alone.heights, [[0.5, NAN]])


def test_text_is_no_formula() -> None:
    params = [{"$x_{": "$\\frac{"}, {"$x_{": "<script>"}]
    for display in (SliceDisplay, ParallelCoordinatesDisplay):
        display.from_search(searched([0.1, 0.2], params)).figure_.canvas.draw()


def test_text_that_no_font_has() -> None:
    assert label_text("a\x00\ud800$") == r"a\x00\ud800\$"
    assert len(label_text("\x00" * 10)) == 28
    params = [{"tag": tag} for tag in ("\ud800", "\x00", "漢字")]
    for display in (SliceDisplay, ParallelCoordinatesDisplay):
        assert b"<svg" in as_svg(display.from_search(searched([0.1, 0.2, 0.3], params)).figure_)


def test_numbers_as_far_apart_as_floats_can_be() -> None:
    params = [{"rate": rate, "size": size} for rate, size in [(1e-300, 1), (1.0, 10**400), (1e300, 2)]]
    for display in (SliceDisplay, ParallelCoordinatesDisplay):
        display.from_search(searched([0.1, 0.2, 0.3], params)).figure_.canvas.draw()


def test_many_candidates() -> None:
    scores = np.random.default_rng(0).normal(size=5000)
    display = ParallelCoordinatesDisplay.from_search(searched(scores, [{"a": x, "b": -x} for x in scores]))
    assert len(display.lines_.get_paths()) == 5000
    assert not display.lines_.get_rasterized()
    wider = [dict.fromkeys("abcd", x) for x in scores]
    assert ParallelCoordinatesDisplay.from_search(searched(scores, wider)).lines_.get_rasterized()

    drawn = SearchHistoryDisplay.from_search(searched(scores))
    assert drawn.scatters_[0].get_rasterized()
    drawn.figure_.canvas.draw()


# Learning curves


def test_the_curves_of_a_search() -> None:
    display = LearningCurvesDisplay.from_search(with_histories())
    found = [(own.candidate, own.split, own.validation, own.end) for own in display.curves]
    assert found == [
        *[(0, split, validation, "ran") for split in (0, 1) for validation in (False, True)],
        *[(1, 0, validation, "ran") for validation in (False, True)],
        *[(1, 1, validation, "stopped") for validation in (False, True)],
        *[(2, 0, validation, "diverged") for validation in (False, True)],
    ]
    assert [own.values.tolist() for own in display.curves[-2:]] == [[1.0, 50.0], [1.0]]
    assert [own.best_epoch for own in display.curves[4:8]] == [4, 4, 0, 0]
    assert display.best == 1
    assert len(display.lines_) == 4
    assert len(display.others_.get_segments()) == 3  # validation rows, of two candidates
    assert display.ax_.get_yscale() == "log"
    labels = {text.get_text() for text in display.ax_.get_legend().get_texts()}
    assert labels >= {"2 others", "best, training", "best, validation", "best epoch", "stopped", "diverged"}


def test_of_very_many_curves_a_part_is_drawn() -> None:
    histories = [[{"loss": [1.0, 0.5]}] for _ in range(1500)]
    display = LearningCurvesDisplay.from_search(searched(np.arange(1500.0), histories_=histories))
    assert len(display.others_.get_segments()) == 500
    assert display.others_.get_label() == "500 of 1,499 other fits"
    assert (len(display.lines_), len(display.curves)) == (1, 1500)


def test_stops_are_marked_where_all_fits_stopped_and_where_none_did() -> None:
    X = np.random.default_rng(0).normal(size=(40, 2))
    mlp = KerasMLPRegressor(0, epochs=30, early_stopping=True, patience=2, random_state=0)
    search = OurGridSearchCV(mlp, {"learning_rate": [0.5, 0.6]}, cv=2).fit(X, X[:, 0])
    epochs = [search.cv_results_[f"split{split}_epochs"].tolist() for split in (0, 1)]
    assert np.max(epochs) < 30
    display = LearningCurvesDisplay.from_search(search)
    assert {own.end for own in display.curves} == {"stopped"}
    own = LearningCurvesDisplay.from_estimator(search.best_estimator_)
    assert {curve.end for curve in own.curves} == {"stopped"}
    labels = {text.get_text() for text in own.ax_.get_legend().get_texts()}
    assert "stopped" in labels
    whole = OurGridSearchCV(mlp, {"epochs": [1, 2], "early_stopping": [False]}, cv=2).fit(X, X[:, 0])
    assert {own.end for own in LearningCurvesDisplay.from_search(whole).curves} == {"ran"}


def test_a_keras_history_says_whether_it_stopped() -> None:
    X, model = np.ones((8, 2), "float32"), build_model(0, 1, 0.01, 2)
    stopping = keras.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9)
    stopped, ran = (
        fit(model, X, X[:, 0], epochs=epochs, verbose=0, callbacks=[stopping]) for epochs in (5, 1)
    )
    ends = [LearningCurvesDisplay.from_history(history).curves[0].end for history in (stopped, ran)]
    assert ends == ["stopped", "ran"]


def test_the_curves_of_an_estimator_and_of_a_history() -> None:
    X = np.random.default_rng(0).normal(size=(40, 2))
    mlp = KerasMLPRegressor(0, epochs=3, validation_fraction=0.5, early_stopping=True, random_state=0)
    mlp.fit(X, X[:, 0])
    _, ax = plt.subplots()
    display = LearningCurvesDisplay.from_estimator(mlp, ax=ax)
    assert display.ax_ is ax
    assert [own.values.tolist() for own in display.curves] == [mlp.history_["loss"], mlp.history_["val_loss"]]
    assert {own.best_epoch for own in display.curves} == {mlp.best_epoch_}
    history = keras.callbacks.History()
    history.history = {"loss": [3.0, 2.0], "accuracy": [0.5, 0.75]}
    display = LearningCurvesDisplay.from_history(history, curve="accuracy")
    np.testing.assert_array_equal(display.lines_[0].get_xydata(), [[1, 0.5], [2, 0.75]])
    assert display.ax_.get_yscale() == "linear"
    never = LearningCurvesDisplay.from_history({"loss": [NAN, 1.0]})
    assert (never.curves[0].end, len(never.curves[0].values)) == ("diverged", 0)


def test_a_high_beginning_is_shown_and_a_divergence_is_not() -> None:
    own = LearningCurvesDisplay.from_history({"loss": [8.0, *[1.0 + 0.01 * i for i in range(50)]]})
    assert own.ax_.get_ylim()[1] > 8
    calm = [{"loss": [2.0, 1.5, 1.0]}] * 3
    diverged = {"loss": [2.0, 1e4, 1e30, NAN]}
    search = searched([0.3, 0.2, 0.1, 0.0], histories_=[[own] for own in (*calm, diverged)])
    assert LearningCurvesDisplay.from_search(search).ax_.get_ylim()[1] < 1e6


@pytest.mark.parametrize(
    ("draw", "error", "said"),
    [
        (
            lambda: LearningCurvesDisplay.from_search(searched([0.1])),
            ValueError,
            "this SimpleNamespace has no histories_, the curves of its fits; use a search of kerashp.mod",
        ),
        (
            lambda: LearningCurvesDisplay.from_search(searched([0.1], histories_=[[None]])),
            ValueError,
            "no fit of the search has curves; the candidates are not estimators of kerashp, or",
        ),
        (
            lambda: LearningCurvesDisplay.from_estimator(LinearRegression()),
            TypeError,
            "from_estimator: estimator must be a fitted estimator of kerashp, alone",
        ),
        (lambda: LearningCurvesDisplay.from_estimator(KerasMLPRegressor()), NotFittedError, "not fitted yet"),
        (
            lambda: LearningCurvesDisplay.from_history([1.0]),
            TypeError,
            "from_history: history must be a keras History, or a dict of lists by name; got",
        ),
        (
            lambda: LearningCurvesDisplay.from_history({"loss": [1.0], "val_loss": [1.0]}, curve="mae"),
            ValueError,
            "from_history: curve must be one of 'loss'; got 'mae'",
        ),
        (
            lambda: LearningCurvesDisplay.from_history({"loss": 1.0}),
            TypeError,
            "the curve 'loss' must be one number for each epoch; got 1.0",
        ),
        (
            lambda: LearningCurvesDisplay.from_history({"loss": ["a"]}),
            ValueError,
            "the curve 'loss' must be one number for each epoch; got ",
        ),
    ],
)
def test_what_has_no_curves(draw: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        draw()


# Schedules


def test_rates_of_all_kinds_of_schedules() -> None:
    decay = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.5, 0.25])
    given = [StepDrop(0.5, every_epochs=1), "exponential", decay, 0.3, "exponential", LearningRateWarmup(2)]
    display = ScheduleDisplay.from_schedules(given, epochs=2, steps_per_epoch=2, learning_rate=0.1)
    expected = {
        "StepDrop": [0.1, 0.1, 0.05, 0.05],
        "exponential": 0.1 * 0.1 ** (np.arange(4) / 2),
        "PiecewiseConstantDecay": [0.5, 0.5, 0.25, 0.25],
        "constant 0.3": [0.3] * 4,
        "exponential 2": 0.1 * 0.1 ** (np.arange(4) / 2),
        "LearningRateWarmup": [0.0, 0.025, 0.05, 0.075],
    }
    assert list(display.rates) == list(expected)
    for name, rates in expected.items():
        np.testing.assert_allclose(display.rates[name], rates, rtol=1e-6)
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), [0, 0.5, 1, 1.5])
    assert display.ax_.get_yscale() == "linear"


def test_one_schedule_with_a_warm_up_and_a_log_scale() -> None:
    _, ax = plt.subplots()
    options = {"epochs": 3, "steps_per_epoch": 1, "learning_rate": 1.0}
    display = ScheduleDisplay.from_schedules("constant", **options, warmup_epochs=2, ax=ax)
    np.testing.assert_array_equal(display.rates["constant"], [0, 0.5, 1])
    assert (display.ax_, ax.get_xlabel()) == (ax, "step")
    assert ScheduleDisplay({"a": np.geomspace(1, 1e-4, 50)}).plot().ax_.get_yscale() == "log"
    assert ScheduleDisplay({"a": [1.0, 0.5]}).plot(log=True).ax_.get_yscale() == "log"
    assert list(ScheduleDisplay.from_schedules({"mine": 0.1}, epochs=1).rates) == ["mine"]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        (
            {"schedules": "linear"},
            ValueError,
            "schedules must be one of 'constant', 'cosine', .*; got 'linear'",
        ),
        (
            {"schedules": [None]},
            TypeError,
            "schedules must be a keras LearningRateSchedule, a callback of kerashp",
        ),
        ({"schedules": -0.1}, ValueError, "schedules must be a number >= 0; got -0.1"),
        ({"epochs": 0}, ValueError, "epochs must be an integer >= 1; got 0"),
        ({"steps_per_epoch": 0}, ValueError, "steps_per_epoch must be an integer >= 1; got 0"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be a number > 0; got 0.0"),
        ({"warmup_epochs": 2}, ValueError, "warmup_epochs must be in \\[0, epochs\\); got 2"),
    ],
)
def test_what_is_no_schedule(options: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=f"ScheduleDisplay.from_schedules: {said}"):
        ScheduleDisplay.from_schedules(**({"schedules": "cosine", "epochs": 2} | options))


# matplotlib


def test_importing_does_not_need_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kerashp, "plotting", None)
    for name in [name for name in sys.modules if name.startswith(("kerashp.plotting", "matplotlib"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    anew = importlib.import_module("kerashp.plotting")
    assert anew.SearchHistoryDisplay is not SearchHistoryDisplay
    assert anew.SearchHistoryDisplay([0.1, 0.3, 0.2]).best_scores.tolist() == [0.1, 0.3, 0.3]


@pytest.mark.parametrize(
    ("draw", "caller"),
    [
        (lambda: SearchHistoryDisplay.from_search(None), "SearchHistoryDisplay.from_search"),
        (lambda: SliceDisplay.from_search(None), "SliceDisplay.from_search"),
        (lambda: ParallelCoordinatesDisplay.from_search(None), "ParallelCoordinatesDisplay.from_search"),
        (lambda: LearningCurvesDisplay.from_search(None), "LearningCurvesDisplay.from_search"),
        (lambda: LearningCurvesDisplay.from_estimator(None), "LearningCurvesDisplay.from_estimator"),
        (lambda: LearningCurvesDisplay.from_history(None), "LearningCurvesDisplay.from_history"),
        (lambda: ScheduleDisplay.from_schedules(None, epochs=1), "ScheduleDisplay.from_schedules"),
        (lambda: SearchHistoryDisplay([0.1]).plot(), "SearchHistoryDisplay.plot"),
        (lambda: SliceDisplay([0.1], {}, {}).plot(), "SliceDisplay.plot"),
        (lambda: ScheduleDisplay({}).plot(), "ScheduleDisplay.plot"),
    ],
)
def test_drawing_without_matplotlib_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, draw: Any, caller: str
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(
        ImportError, match=rf'{caller} requires matplotlib; install it with: pip install "kerashp\[plot\]"'
    ):
        draw()


def test_settings_of_matplotlib_are_left_as_they_were() -> None:
    before = dict(mpl.rcParams)
    SearchHistoryDisplay.from_search(searched([0.1, 0.2]))
    ParallelCoordinatesDisplay.from_search(searched([0.1, NAN]))
    assert dict(mpl.rcParams) == before
    assert mpl.colormaps["viridis_r"].get_bad().tolist() == [0, 0, 0, 0]
