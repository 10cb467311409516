"""`find_learning_rate`: against closed forms, on real data, and without a trace."""

import random
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from kerashp import KerasMLPClassifier, KerasMLPRegressor, build_model
from kerashp.diagnostics import LearningRates, find_learning_rate
from kerashp.diagnostics._learning_rate.curves import (
    has_diverged,
    read_population,
    read_range_test,
    smoothed,
)

N_ROWS, EPOCHS = 64, 12
EIGENVALUES = np.array([1.0, 0.5, 0.1])  # of the Hessian 2 X'X / n of the mean squared error
START, END = np.array([1.0, -2.0, 0.5]), np.array([3.0, 1.0, -1.0])
rng = np.random.default_rng(0)
X = np.linalg.qr(rng.normal(size=(N_ROWS, 3)))[0] * np.sqrt(N_ROWS / 2 * EIGENVALUES)
Y = X @ END
UNTRAINED = float(np.mean((X @ (START - END)) ** 2))
RATES = np.geomspace(0.02, 5.0, 16)
TRIED = {"low": 0.02, "high": 5.0, "n_rates": 16, "batch_size": N_ROWS}


@pytest.fixture(scope="module")
def linear() -> Any:
    """A linear model without a bias: gradient descent on a quadratic whose eigenvalues are known."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.01), "mse")
    model.set_weights([START[:, None]])
    return model


@pytest.fixture(scope="module")
def found(linear: Any) -> LearningRates:
    return find_learning_rate(linear, X, Y, epochs=EPOCHS, **TRIED)


def closed_form(rates: np.ndarray, n_updates: Any) -> np.ndarray:
    """Each eigenvector's error shrinks, or grows, by 1 - rate * eigenvalue."""
    errors = (START - END) * (1 - np.multiply.outer(rates, EIGENVALUES)) ** n_updates
    return errors**2 @ EIGENVALUES / 2


def test_losses_are_those_of_the_closed_form(found: LearningRates) -> None:
    np.testing.assert_allclose(found.learning_rates, RATES)
    np.testing.assert_allclose(found.losses, closed_form(RATES, EPOCHS - 1), rtol=1e-4)
    assert found.untrained_loss == pytest.approx(UNTRAINED, rel=1e-5)


def test_divergence_begins_at_twice_the_inverse_of_the_largest_eigenvalue(found: LearningRates) -> None:
    diverging = RATES[closed_form(RATES, EPOCHS - 1) > UNTRAINED]
    assert found.diverges_from == pytest.approx(diverging[0])
    boundary = 2 / EIGENVALUES.max()
    assert found.diverges_from == pytest.approx(RATES[boundary < RATES][0])
    assert any(f"diverges from {found.diverges_from:.3g}" in reason for reason in found.reasons)


def test_the_suggestion_is_the_best_rate_at_most_a_third_of_that(found: LearningRates) -> None:
    allowed = RATES[found.diverges_from / 3 >= RATES]
    assert found.suggestion == pytest.approx(allowed[np.argmin(closed_form(allowed, EPOCHS - 1))])
    best = RATES[np.argmin(closed_form(RATES, EPOCHS - 1))]
    assert best > found.suggestion
    assert f"at {best:.3g}" in found.reasons[0]


def test_the_loss_of_rows_held_out_is_compared(linear: Any) -> None:
    held_out = find_learning_rate(linear, X, Y, epochs=3, validation_fraction=0.25, **TRIED)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    train, test = train_test_split(np.arange(N_ROWS), test_size=0.25, random_state=seed)
    expected = []
    for rate in RATES:
        weights = START
        for _ in range(3):
            weights = weights - rate * 2 * X[train].T @ (X[train] @ weights - Y[train]) / len(train)
        expected.append(np.mean((X[test] @ weights - Y[test]) ** 2))
    np.testing.assert_allclose(held_out.losses, expected, rtol=1e-4)


def test_weights_of_rows_count(linear: Any) -> None:
    weights = np.where(np.arange(N_ROWS) < 8, 1.0, 0.0)
    weighted = find_learning_rate(linear, X, Y, method="range", sample_weight=weights, **TRIED)
    expected = linear.evaluate(X, Y, sample_weight=weights, batch_size=N_ROWS, verbose=0)
    assert weighted.untrained_loss == pytest.approx(expected, rel=1e-5)
    assert expected != pytest.approx(UNTRAINED, rel=0.01)


def test_the_range_test_takes_a_step_at_each_rate(linear: Any) -> None:
    rates = np.geomspace(0.05, 50.0, 20)
    result = find_learning_rate(
        linear, X, Y, low=0.05, high=50.0, n_rates=20, method="range", batch_size=N_ROWS
    )
    factors = np.cumprod(1 - np.multiply.outer(rates, EIGENVALUES), axis=0)
    errors = (START - END) * np.concatenate([np.ones((1, 3)), factors[:-1]])
    expected = errors**2 @ EIGENVALUES / 2
    assert len(result.losses) < 20  # it stops
    np.testing.assert_allclose(result.losses, expected[: len(result.losses)], rtol=1e-3)
    np.testing.assert_allclose(result.learning_rates, rates[: len(result.losses)])
    average, averages = 0.0, []
    for step, loss in enumerate(expected, 1):
        average = 0.9 * average + 0.1 * loss
        averages.append(average / (1 - 0.9**step))
        if averages[-1] > 4 * min(averages):
            break
    np.testing.assert_allclose(result.smoothed, averages, rtol=1e-3)
    assert result.suggestion == pytest.approx(rates[np.argmin(averages)] / 10)
    assert result.diverges_from == pytest.approx(rates[len(averages) - 1])


def test_the_suggestion_trains_nearly_as_well_as_the_best_rate(
    diabetes: tuple[np.ndarray, np.ndarray],
) -> None:
    regressor = KerasMLPRegressor(n_neurons=20, optimizer="sgd", batch_size=32, random_state=0)
    long = find_learning_rate(regressor, *diabetes, epochs=40, validation_fraction=0.3)
    short = find_learning_rate(regressor, *diabetes, validation_fraction=0.3)
    rising = find_learning_rate(regressor, *diabetes, method="range")
    for result, near in ((short, 1.1), (rising, 1.25)):
        nearest = np.abs(np.log(long.learning_rates / result.suggestion)).argmin()
        assert long.losses[nearest] < near * long.losses.min()
    assert np.isinf(long.losses[-1])
    assert long.losses[0] > 2 * long.losses.min()


def state_of(model: Any) -> list[np.ndarray]:
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def stateful() -> Any:
    """With seeds, moving averages, an optimizer's moments and a metric; trained a little."""
    model = build_model(1, 4, 0.01, 3, dropout=0.5, batch_normalization=True, optimizer="adam")
    model.compile(model.optimizer, "mse", metrics=["mae"])
    model.train_on_batch(X[:16], Y[:16])
    return model


@pytest.mark.parametrize("method", ["population", "range"])
def test_everything_is_left_as_it_was(method: str) -> None:
    model = stateful()
    before, drawn, by_python = state_of(model), np.random.get_state()[1].copy(), random.getstate()
    rate, function = float(model.optimizer.learning_rate), model.train_function
    result = find_learning_rate(model, X, Y, method=method, low=1e-3, n_rates=5)
    assert result.losses.min() < result.losses.max()
    after = state_of(model)
    assert len(after) == len(before)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    assert float(model.optimizer.learning_rate) == rate
    assert model.train_function is function
    np.testing.assert_array_equal(np.random.get_state()[1], drawn)
    assert random.getstate() == by_python


def test_a_range_test_that_breaks_off_leaves_the_model_as_it_was(linear: Any) -> None:
    class Breaking(Exception):
        pass

    def broken(*_: Any, **__: Any) -> Any:
        linear.set_weights([END[:, None]])
        raise Breaking

    before = state_of(linear)
    linear.train_on_batch = broken
    try:
        with pytest.raises(Breaking):
            find_learning_rate(linear, X, Y, method="range")
    finally:
        del linear.train_on_batch
    for one, other in zip(before, state_of(linear), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_estimator_in_a_pipeline_is_prepared_as_its_fit_would(
    iris: tuple[np.ndarray, np.ndarray],
) -> None:
    rows, labels = iris[0] * 10 + 3, np.array(["a", "b", "c"])[iris[1]]
    weights = 1.0 + (iris[1] == 0)
    # Sample weights have a part in normalize=True and l2="auto", and class weights have none.
    own = {"normalize": False, "l2": 0.0, "early_stopping": True, "schedule": "cosine", "random_state": 0}
    classifier = KerasMLPClassifier(n_neurons=4, class_weight={"c": 2.0}, **own)
    pipeline = make_pipeline(StandardScaler(), classifier)
    parameters = repr(pipeline.get_params())
    options = {"low": 1e-3, "n_rates": 4, "epochs": 2}
    result = find_learning_rate(pipeline, rows, labels, sample_weight=weights, **options)
    alone = clone(classifier).set_params(class_weight=None)
    scaled = StandardScaler().fit_transform(rows)
    expected = find_learning_rate(
        alone, scaled, iris[1], sample_weight=weights * np.where(iris[1] == 2, 2.0, 1.0), **options
    )
    np.testing.assert_allclose(result.losses, expected.losses, rtol=1e-5)
    assert repr(pipeline.get_params()) == parameters
    for part in pipeline:
        with pytest.raises(NotFittedError):
            check_is_fitted(part)


def test_a_fitted_estimator_keeps_its_network() -> None:
    regressor = KerasMLPRegressor(0, epochs=2)
    target = TransformedTargetRegressor(regressor, transformer=StandardScaler()).fit(X, Y)
    before, network = target.predict(X), target.regressor_.model_
    drawn = np.random.get_state()[1].copy()
    result, again = (find_learning_rate(target, X, 100 * Y, method="range", n_rates=5) for _ in range(2))
    assert result.untrained_loss < 100  # of the scaled target
    np.testing.assert_array_equal(again.losses, result.losses)
    np.testing.assert_array_equal(np.random.get_state()[1], drawn)
    assert target.regressor_.model_ is network
    np.testing.assert_array_equal(target.predict(X), before)


def test_what_cannot_be_trained_together_is_tested_by_keras(linear: Any) -> None:
    linear.run_eagerly = True
    try:
        with pytest.raises(
            RuntimeError, match="a population cannot train this model: .*run_eagerly.* Pass method='range'"
        ):
            find_learning_rate(linear, X, Y)
        eager = find_learning_rate(linear, X, Y, method="range", n_rates=3, batch_size=N_ROWS)
    finally:
        linear.run_eagerly = False
    assert eager.losses[0] == pytest.approx(UNTRAINED, rel=1e-5)


def test_it_prints_what_it_found(found: LearningRates) -> None:
    lines = str(found).splitlines()
    assert lines[0] == f"Suggested learning rate: {found.suggestion:.3g}"
    assert lines[1] == found.reasons[0]
    assert lines[-1].split() == ["5", f"{found.losses[-1]:.4g}"]
    assert "<table>" in found._repr_html_()


GRID = np.array([0.001, 0.01, 0.1, 1.0])


@pytest.mark.parametrize(
    ("losses", "suggestion", "diverges_from", "reason"),
    [
        ([0.9, 0.5, 0.2, np.inf], 0.1, 1.0, "diverges from 1 on"),
        ([0.9, 0.5, 0.7, 2.0], 0.01, 1.0, "lowest loss, 0.5, is at 0.01"),
        ([0.2, 0.5, np.inf, np.inf], 0.001, 0.1, "lowest rate tried: lower low=0.001"),
        ([0.2, np.inf, np.inf, np.inf], 0.001, 0.01, "lowest rate tried: lower low=0.001"),
        ([0.9, 0.8, 0.7, 0.6], 1.0, None, "highest rate tried: raise high=1"),
        ([1.0, 1.0, 1.0, 1.0], np.nan, None, "No rate from 0.001 to 1 learns"),
        ([1.1, 1.2, 1.2, 9.0], np.nan, 0.01, "No rate from 0.001 to 1 learns"),
        ([1.1, 0.5, 0.6, 0.7], 0.01, None, "No rate up to 1 diverges"),  # noise below is no divergence
        ([np.inf] * 4, np.nan, 0.001, "Every rate diverges: lower low=0.001"),
        ([50.0, np.inf, np.inf, np.inf], np.nan, 0.001, "Every rate diverges: lower low=0.001"),
    ],
    ids=str,
)
def test_what_losses_side_by_side_say(
    losses: list[float], suggestion: float, diverges_from: float | None, reason: str
) -> None:
    reading = read_population(GRID, np.array(losses), untrained=1.0)
    assert reading.suggestion == pytest.approx(suggestion, nan_ok=True)
    assert reading.diverges_from == diverges_from
    assert reason in " ".join(reading.reasons)


def test_the_best_rate_close_to_divergence_is_not_suggested() -> None:
    rates = np.array([0.1, 0.2, 0.3, 0.4, 0.8])
    reading = read_population(rates, np.array([0.5, 0.3, 0.2, np.inf, np.inf]), untrained=1.0)
    assert reading.suggestion == 0.1
    assert (
        "0.1 is the rate of the lowest loss, 0.5, among the rates up to a third of 0.4" in reading.reasons[2]
    )


@pytest.mark.parametrize(
    ("averages", "suggestion", "diverges_from", "reason"),
    [
        ([1.0, 0.5, 0.6, 0.9], 0.001, None, "No rate up to 1 diverges"),
        ([1.0, 0.5, 0.3, 2.0], 0.01, 1.0, "diverges from 1 on"),
        ([1.0, 0.5, 0.3, np.inf], 0.01, 1.0, "The smoothed loss falls from 1 to 0.3 at 0.1"),
        ([1.0, 0.9, 0.8, 0.7], 0.1, None, "still falls at the highest rate: raise high=1"),
        ([1.0, 1.0, 1.1, 1.1], np.nan, None, "does not fall at any rate from 0.001 to 1"),
        ([1.0, 1.5, 2.0, 9.0], np.nan, 1.0, "only rises, and training diverges at 1: lower low=0.001"),
    ],
    ids=str,
)
def test_what_a_range_test_says(
    averages: list[float], suggestion: float, diverges_from: float | None, reason: str
) -> None:
    reading = read_range_test(GRID, np.array(averages), high=1.0)
    assert reading.suggestion == pytest.approx(suggestion, nan_ok=True)
    assert reading.diverges_from == diverges_from
    assert reason in " ".join(reading.reasons)


def test_a_suggestion_below_all_rates_says_so() -> None:
    reading = read_range_test(GRID[2:], np.array([1.0, 0.5]), high=1.0)
    assert reading.suggestion == pytest.approx(0.1)
    reading = read_range_test(np.array([0.1, 0.2, 0.4]), np.array([1.0, 0.5, 0.6]), high=1.0)
    assert reading.suggestion == pytest.approx(0.02)
    assert "below the lowest rate tried: lower low=0.1" in reading.reasons[-1]


def test_smoothing_and_its_end() -> None:
    np.testing.assert_allclose(smoothed(np.full(50, 3.0)), 3.0)
    assert not has_diverged(np.array([2.0, 1.0, 4.0]))
    assert has_diverged(np.array([2.0, 1.0, 4.1]))
    assert has_diverged(np.array([2.0, np.inf]))
    assert not has_diverged(np.array([-1.0, -2.0, -1.0]))


def uncompiled() -> Any:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])


def compiled(layers: list[Any], optimizer: Any = "sgd") -> Any:
    model = keras.Sequential(layers)
    model.compile(optimizer, "mse")
    return model


def scheduled() -> Any:
    decay = keras.optimizers.schedules.CosineDecay(0.1, 10)
    return compiled([keras.Input((3,)), keras.layers.Dense(1)], keras.optimizers.SGD(decay))


class Idle(KerasMLPRegressor):
    def fit(self, X: Any, y: Any) -> Any:
        return self


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"low": 0}, ValueError, "find_learning_rate: low must be a number > 0; got 0"),
        ({"low": "a"}, TypeError, "low must be a number > 0; got 'a'"),
        ({"low": 1, "high": 1}, ValueError, "high must be a number > low=1; got 1"),
        ({"high": -1.0}, ValueError, "high must be a number > low=1e-05; got -1.0"),
        ({"high": np.inf}, ValueError, "high must be a number > low=1e-05; got inf"),
        ({"method": "grid"}, ValueError, "method must be one of 'population', 'range'; got 'grid'"),
        ({"n_rates": 1}, ValueError, "n_rates must be an integer >= 2; got 1"),
        ({"n_rates": 2.5}, TypeError, "n_rates must be an integer >= 2; got 2.5"),
        ({"epochs": 0}, ValueError, "epochs must be an integer >= 1; got 0"),
        ({"batch_size": 0}, ValueError, "batch_size must be an integer >= 1; got 0"),
        ({"validation_fraction": 1}, ValueError, r"validation_fraction must be a number in \[0, 1\); got 1"),
        (
            {"method": "range", "epochs": 2},
            ValueError,
            "epochs is only for method='population'; got epochs=2",
        ),
        (
            {"method": "range", "validation_fraction": 0.5},
            ValueError,
            "validation_fraction is only for method='population'; got validation_fraction=0.5 with",
        ),
        ({"X": X * np.nan}, ValueError, "the loss is not finite before training; look for missing or"),
        ({"X": X * np.nan, "method": "range"}, ValueError, "the loss is not finite before training"),
        (
            {"X": (row for row in X)},
            TypeError,
            "X must be dense arrays of numbers, or lists or dicts of them",
        ),
        ({"y": Y.astype(str)}, TypeError, r"y must be .*; encode labels as integers \(LabelEncoder\); got"),
    ],
)
def test_what_cannot_be_done_is_refused(
    linear: Any, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        find_learning_rate(**({"model": linear, "X": X, "y": Y, "n_rates": 2} | options))


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (lambda: "model", TypeError, "model must be a compiled keras.Model or an estimator of kerashp"),
        (StandardScaler, TypeError, "model must be a compiled keras.Model or an estimator of kerashp"),
        (uncompiled, ValueError, "model must be compiled, with an optimizer and a loss: call model.compile"),
        (lambda: compiled([keras.layers.Dense(1)]), ValueError, "model must be built: add a keras.Input"),
        (
            lambda: compiled([keras.Input((3,)), keras.layers.Flatten()]),
            ValueError,
            "model must be a model with trainable weights",
        ),
        (
            scheduled,
            ValueError,
            "find_learning_rate sets the learning rate, but the optimizer's rate is a CosineDecay",
        ),
        (Idle, TypeError, "model must be an estimator whose fit trains a Keras model; got Idle"),
    ],
)
def test_models_that_cannot_be_tested_are_refused(
    model: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        find_learning_rate(model(), X, Y)
