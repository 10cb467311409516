"""What learning curves are said to show: curves of known closed forms, and sources of all kinds."""

import re
from dataclasses import FrozenInstanceError
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from scipy.stats import entropy
from sklearn import model_selection
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerashp import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor, build_model, fit
from kerashp.diagnostics import diagnose
from kerashp.diagnostics._learning_curves import rules as rules
from kerashp.diagnostics._learning_curves.rules import Curves
from kerashp.estimators._data.losses import trivial_loss
from kerashp.model_selection import GridSearchCV
from kerashp.training import Trained

N = 60
EPOCHS = np.arange(N)
DECAY = 0.95 * np.exp(-EPOCHS / 4) + 0.05  # from 1 to a plateau at 0.05
LINE = np.linspace(1.0, 0.7, N)


def noise(size: float, seed: int = 0, n: int = N) -> np.ndarray:
    return size * np.random.default_rng(seed).normal(size=n)


def curves(
    loss: np.ndarray, val_loss: np.ndarray | None = None, scale: float = 1.0, **options: bool
) -> Curves:
    return Curves(loss, scale, val_loss, **options)  # type: ignore[arg-type]


def history_of(layers: list[keras.Layer], loss: np.ndarray, **more: np.ndarray) -> keras.callbacks.History:
    history = keras.callbacks.History()
    history.set_model(keras.Sequential([keras.Input((2, 3)), *layers]))
    history.history = {"loss": list(loss)} | {name: list(curve) for name, curve in more.items()}
    return history


def verdict(loss: Any, val_loss: Any = None, baseline: float | None = 1.0) -> str:
    given = {"loss": loss} if val_loss is None else {"loss": loss, "val_loss": val_loss}
    return diagnose(given, baseline=baseline).verdict


# The rules.


def test_levels_are_medians_of_tenths() -> None:
    curve = np.arange(40.0)[::-1]
    spiked = np.where(np.arange(40) == 38, 1e9, curve)
    assert rules.end(curve) == 1.5  # of 3, 2, 1, 0
    assert rules.end(spiked) == 2.5  # of 3, 2, a spike, 0
    assert rules.lowest(np.concatenate([curve, curve + 7])) == 3.5  # of a tenth of 80 epochs
    assert rules.fall(curve) == 11.5 - 1.5
    assert rules.fall_of_half(curve) == 19 - 1.5
    assert rules.late_share(curve) == pytest.approx(17.5 / 37.5)
    assert rules.late_share(np.ones(10)) == 0


def test_a_zigzag_is_what_goes_up_and_down() -> None:
    turns = np.tile([0.0, 0.3], 20)
    assert rules.zigzag(turns) == pytest.approx(0.3)
    assert rules.zigzag(DECAY) == rules.zigzag(LINE) == 0
    one_jump = DECAY.copy()
    one_jump[50] = 5.0
    assert rules.zigzag(one_jump) == 0


@pytest.mark.parametrize("n_epochs", [8, 15, 60, 1000])
@pytest.mark.parametrize("speed", [1, 2, 4])
def test_a_decay_to_a_low_plateau_is_healthy(n_epochs: int, speed: int) -> None:
    loss = 0.05 + 0.95 * np.exp(-speed * 8 * np.arange(n_epochs) / n_epochs)
    assert verdict(loss, loss * 1.2) == "healthy"
    assert verdict(loss + noise(0.002, n=n_epochs).clip(-0.04), loss) == "healthy"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_diverged_in_any_length(bad: float) -> None:
    for n_epochs in (1, 3, 20):
        found = diagnose({"loss": [*[1.0] * (n_epochs - 1), bad]})
        assert found.verdict == "divergence"
        assert found.findings[0].evidence == {"first_bad_epoch": n_epochs, "bad_epochs": 1}
    assert verdict(DECAY, [*DECAY[:-1], bad]) == "divergence"
    assert verdict(DECAY, [bad]) == "divergence"


@pytest.mark.parametrize(
    ("loss", "ailment"),
    [
        (np.exp(EPOCHS / 30), "divergence"),  # ends at 7
        (np.where(EPOCHS == 3, 2e6, DECAY), "divergence"),
        (np.where(EPOCHS == 3, 1e5, DECAY), "healthy"),
        (np.linspace(1, 2, N), "underfitting"),
    ],
)
def test_a_loss_that_was_absurd_or_ends_far_above_its_start_diverged(loss: np.ndarray, ailment: str) -> None:
    assert verdict(loss) == ailment


@pytest.mark.parametrize("mean", [1e5, 1e6])
def test_a_loss_that_stays_high_is_slow_and_one_that_came_down_diverged(mean: float) -> None:
    unscaled = 2500 + mean**2 * (1 - 7e-4 * EPOCHS / N)  # targets of standard deviation 50
    finding = diagnose({"loss": unscaled, "val_loss": unscaled}, baseline=2500.0).findings[0]
    assert finding.ailment == "too slow"
    assert any("the targets of a regression" in action for action in finding.actions)
    exploded = np.where(EPOCHS == 0, mean**2, 17.0)
    assert verdict(exploded) == "divergence"


def test_a_gap_is_overfitting_from_its_threshold_on() -> None:
    for gap, ailment in ((rules.GAP + 0.01, "overfitting"), (rules.GAP - 0.01, "healthy")):
        assert verdict(DECAY, np.maximum(DECAY, 0.05 + gap)) == ailment
    finding = rules.overfitting(curves(DECAY, np.maximum(DECAY, 0.85)))
    assert finding is not None
    assert finding.evidence["gap"] == pytest.approx(0.8, abs=1e-4)
    assert finding.severity == pytest.approx(2.0, abs=1e-3)
    assert "0.85. This is 80% of the first epoch's loss above the training loss of 0.05" in finding.text


def test_a_validation_loss_that_rises_is_overfitting_unless_it_is_of_no_size() -> None:
    for size, found in ((0.2, True), (0.01, False)):
        val_loss = size * (1 + np.maximum(0, EPOCHS - 20) / 40) + 0.95 * np.exp(-EPOCHS / 4)
        assert (rules.overfitting(curves(DECAY * 0.01, val_loss)) is not None) == found


def test_a_clear_gap_is_overfitting_where_the_validation_loss_rises_somewhat() -> None:
    loss = 0.16 + 0.84 * np.exp(-EPOCHS / 8)

    def risen(rise: float) -> np.ndarray:
        return 0.45 * (1 + rise * np.clip((EPOCHS - 20) / 30, 0, 1)) + 0.55 * np.exp(-EPOCHS / 2)

    assert verdict(loss, risen(0.2)) == verdict(loss, risen(0.12)) == "overfitting"
    assert verdict(loss, risen(0.08)) == "healthy"
    finding = rules.overfitting(curves(loss, risen(0.2)))
    assert finding is not None
    assert finding.evidence["rise"] == pytest.approx(0.2, abs=1e-3)
    assert finding.evidence["gap"] == pytest.approx(0.38, abs=1e-3)
    assert finding.evidence["rise_threshold"] == rules.SMALL_RISE
    both_rose = 0.16 + 0.84 * np.exp(-EPOCHS / 2) + 0.09 * np.clip((EPOCHS - 20) / 30, 0, 1)
    assert rules.overfitting(curves(both_rose, risen(0.2))) is None


def test_what_was_learned_and_does_not_hold_for_other_rows_is_overfitting() -> None:
    loss = 0.4 + 0.6 * np.exp(-EPOCHS / 4)
    for level, ailment in ((0.79, "overfitting"), (0.71, "overfitting"), (0.69, "healthy")):
        assert verdict(loss, np.maximum(loss, level)) == ailment
    finding = rules.overfitting(curves(loss, np.maximum(loss, 0.79), has_baseline=True))
    assert finding is not None
    assert finding.evidence["lost"] == pytest.approx(0.39 / 0.6, abs=1e-3)
    assert "Of what was learned, 65% does not hold for the validation rows" in finding.text
    assert rules.overfitting(curves(loss, np.maximum(loss, 0.79))) is None  # what a guess loses is not known
    no_better = 0.7 + 0.3 * np.exp(-EPOCHS / 4)
    assert verdict(no_better, np.ones(N)) == "overfitting"


def test_a_gap_of_a_validation_loss_that_still_falls_is_not_judged() -> None:
    assert rules.overfitting(curves(DECAY, 2 - EPOCHS / N)) is None


def test_fluctuation_is_measured_by_the_scale_and_by_the_loss() -> None:
    assert verdict(DECAY + 0.3 + noise(0.03)) == "fluctuation"
    assert verdict(DECAY + 0.3 + noise(0.001)) == "healthy"
    assert rules.fluctuation(curves(DECAY + noise(0.03), scale=100.0)) is None
    assert rules.fluctuation(curves(10 + noise(0.03))) is None
    assert verdict(DECAY, DECAY + noise(0.01)) == "healthy"  # validation rows may be few


@pytest.mark.parametrize(
    ("layers", "noisy"),
    [
        ([keras.layers.Dropout(0.2)], True),
        ([keras.layers.SpatialDropout1D(0.2)], True),
        ([keras.layers.GaussianNoise(0.1)], True),
        ([keras.Sequential([keras.layers.Dense(2), keras.layers.AlphaDropout(0.5)])], True),
        ([keras.layers.LSTM(2, dropout=0.1)], True),
        ([keras.layers.Dropout(0.0), keras.layers.GaussianDropout(0.0), keras.layers.LSTM(2)], False),
    ],
)
def test_noise_that_a_model_draws_is_no_fluctuation(layers: list[keras.Layer], noisy: bool) -> None:
    loss, smooth = DECAY + 0.3 + noise(0.03), DECAY + 0.3
    found = diagnose(history_of(layers, loss, val_loss=smooth), baseline=1.0)
    assert found.verdict == ("healthy" if noisy else "fluctuation")


def test_of_a_model_with_dropout_the_validation_loss_is_judged() -> None:
    dropout = [keras.layers.Dropout(0.2)]

    def found(loss: np.ndarray, **more: np.ndarray) -> str:
        return diagnose(history_of(dropout, loss + noise(0.03), **more), baseline=1.0).verdict

    assert found(DECAY + 0.3, val_loss=DECAY + 0.3 + noise(0.015, seed=1)) == "healthy"
    assert found(DECAY + 0.3, val_loss=DECAY + 0.3 + noise(0.1, seed=1)) == "fluctuation"
    assert found(np.ones(N), val_loss=1 - EPOCHS * 1e-5) == "too slow"  # a rate of nearly nothing
    assert found(DECAY + 0.5, val_loss=DECAY + 0.3) == "healthy"  # half is left by what dropout drops
    assert found(DECAY + 0.5, val_loss=DECAY + 0.45) == "underfitting"
    alone = diagnose(history_of(dropout, DECAY + 0.3 + noise(0.03)), baseline=1.0)
    assert alone.verdict == "healthy"
    assert any("too high cannot be detected without a validation loss" in note for note in alone.notes)


def test_a_straight_line_is_too_slow_and_a_curve_that_began_well_still_improves() -> None:
    assert verdict(LINE) == verdict(LINE, LINE * 1.1) == "too slow"
    assert verdict(np.linspace(1, 0.1, N)) == "too slow"
    began_well = np.concatenate([[1.0], np.linspace(0.5, 0.15, N - 1)])
    assert verdict(began_well) == "still improving"
    assert verdict(np.exp(-np.arange(12) / 4)) == "still improving"  # 6% left of what was falling well
    assert verdict(1 - EPOCHS * 1e-5) == "too slow"  # the rate is lower by orders of magnitude
    assert verdict(1 - EPOCHS * 1e-5 + noise(1e-3)) == "underfitting"
    bent = 0.6 * np.exp(-EPOCHS / 20)
    assert verdict(bent + 0.4) == "too slow"  # a long way to go
    assert verdict(bent + 0.02) == "still improving"
    finding = rules.too_slow(curves(LINE))
    assert finding is not None
    assert finding.evidence["late"] == pytest.approx(0.5, abs=0.04)
    assert rules.still_improving(curves(LINE)) is None


def test_nothing_improves_while_the_validation_loss_rises() -> None:
    assert verdict(LINE, LINE[::-1]) == "overfitting"
    assert rules.still_improving(curves(LINE, LINE[::-1])) is rules.too_slow(curves(LINE, LINE[::-1])) is None
    assert verdict(LINE[::-1]) == "underfitting"


def test_a_high_plateau_is_underfitting_by_the_baseline() -> None:
    plateau = 0.6 + 0.4 * np.exp(-EPOCHS / 4)
    assert verdict(plateau, plateau) == "underfitting"
    assert verdict(plateau, plateau, baseline=2.0) == "healthy"


def test_a_network_that_learned_nothing_is_to_be_looked_at_before_it_grows() -> None:
    for level, nothing in ((1.0, True), (0.96, True), (0.94, False)):
        finding = diagnose({"loss": level + 0.2 * np.exp(-EPOCHS)}, baseline=1.0).findings[0]
        assert finding.ailment == "underfitting"
        assert ("learned nothing" in finding.text) == nothing
        assert ("find_learning_rate" in finding.actions[0]) == nothing
        assert ("a higher learning rate" in finding.avoid) != nothing
        assert any("check_gradients" in action for action in finding.actions) == nothing
        assert any("check_initialization" in action for action in finding.actions) == nothing


@pytest.mark.parametrize("seed", range(5))
def test_verdicts_do_not_depend_on_units(seed: int) -> None:
    sound, noisy, high = DECAY + noise(0.001, seed), DECAY + 0.3 + noise(0.03, seed), DECAY + 0.6
    gap = np.maximum(sound, 0.7)
    cases = {"healthy": (sound, sound), "fluctuation": (noisy, noisy), "too slow": (LINE, LINE)}
    cases |= {"underfitting": (high, high), "overfitting": (sound, gap)}
    for unit in (1e-6, 1.0, 1e9):
        for ailment, (loss, val_loss) in cases.items():
            assert verdict(loss * unit, val_loss * unit, unit) == ailment


def test_findings_are_ranked_by_what_is_mended_first() -> None:
    loss = LINE + noise(0.03)
    found = diagnose({"loss": loss, "val_loss": np.full(N, 2.0)}, baseline=1.0)
    assert [one.ailment for one in found.findings] == ["overfitting", "fluctuation"]
    for one in found.findings:
        assert one.severity >= 1
        assert one.actions
        assert one.avoid
    assert found.findings[0].avoid == ("more epochs", "a lower learning rate")
    assert any("compare_distributions" in action for action in found.findings[0].actions)
    with pytest.raises(FrozenInstanceError):
        found.baseline = 2.0  # type: ignore[misc]


def test_a_diagnosis_prints_its_evidence() -> None:
    found = diagnose({"loss": LINE})
    text = str(found)
    assert text.startswith(
        "Verdict after 60 epochs: too slow\ntoo slow: The training loss still fell by 7.6%"
    )
    assert "1. raise the learning rate" in text
    assert "overfitting cannot be detected" in text
    assert "Pass y, the training targets, or baseline" in text
    assert ("first step", "0.005085", "0.35") in found.findings[0].evidence_rows()
    assert re.search(r"too slow +late +0.469 +0.3", text)
    assert found._repr_html_().count("<tr>") == 1 + len(found.findings[0].evidence_rows())


def test_what_curves_cannot_tell_is_said() -> None:
    assert len(diagnose({"loss": DECAY}).notes) == 2
    assert len(diagnose({"loss": DECAY, "val_loss": DECAY[:5]}, baseline=1.0).notes) == 1
    assert diagnose({"loss": DECAY, "val_loss": DECAY[::2]}, baseline=1.0).notes == ()


def test_rows_that_are_classified_rightly_say_that_nothing_is_underfitted() -> None:
    high = 0.6 + 0.4 * np.exp(-EPOCHS / 4)
    for accuracy, ailment in ((0.97, "healthy"), (0.6, "underfitting")):
        assert diagnose({"loss": high, "accuracy": [accuracy] * N}).verdict == ailment
    assert diagnose({"loss": high, "accuracy": [0.97] * N}, baseline=1.0).verdict == "underfitting"


# The sources.


def test_a_history_and_a_trained_member_are_curves_too() -> None:
    history = keras.callbacks.History()
    history.history = {"loss": list(LINE)}
    assert diagnose(history).findings == diagnose({"loss": LINE}).findings
    assert diagnose(Trained({"loss": list(LINE)}, N, None, None)).verdict == "too slow"
    assert diagnose(dict(pd.DataFrame({"loss": LINE}))).verdict == "too slow"


@pytest.mark.parametrize(
    ("loss", "n_outputs", "expected"),
    [
        ("binary_crossentropy", 1, np.log(2)),
        (keras.losses.SparseCategoricalCrossentropy(), 7, np.log(7)),
        (keras.losses.categorical_crossentropy, 3, np.log(3)),
        ("mse", 1, None),
    ],
)
def test_the_baseline_of_classes_follows_from_the_model(loss: Any, n_outputs: int, expected: Any) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(n_outputs)])
    model.compile("sgd", loss)
    history = keras.callbacks.History()
    history.set_model(model)
    history.history = {"loss": list(LINE)}
    found = diagnose(history)
    assert found.baseline == (None if expected is None else pytest.approx(expected))
    assert any("equally frequent classes" in note for note in found.notes) == (expected is not None)
    assert diagnose(history, baseline=0.5).baseline == 0.5


def fitted_search(by_split: list[Any]) -> GridSearchCV:
    search = GridSearchCV(KerasMLPClassifier(), {})
    search.cv_results_, search.best_index_ = {}, 1
    search.histories_ = [[{"loss": LINE}] * len(by_split), by_split]
    return search


def test_of_a_search_what_most_splits_of_the_best_show_is_taken() -> None:
    slow, sound, noisy = ({"loss": loss} for loss in (LINE, DECAY, DECAY + 0.3 + noise(0.05)))
    found = diagnose(fitted_search([slow, sound, slow, None]), baseline=1.0)
    assert (found.verdict, found.n_curves) == ("too slow", 3)
    assert found.findings[0].text.endswith(
        "(Found on 2 of 3 splits; the numbers are those of median severity.)"
    )
    assert "after 60 epochs of 3 splits" in str(found)
    split = diagnose(fitted_search([noisy, sound, slow, sound, noisy, noisy]), baseline=1.0)
    assert split.verdict == "fluctuation"  # half of them: no ailment is of most
    assert diagnose(fitted_search([sound, sound, noisy]), baseline=1.0).verdict == "healthy"


def test_a_search_without_curves_says_how_to_mend_it() -> None:
    for search in (
        fitted_search([None, None]),
        model_selection.GridSearchCV(LogisticRegression(), {}, cv=2).fit([[0], [1]] * 4, [0, 1] * 4),
    ):
        with pytest.raises(
            ValueError, match="this GridSearchCV has no curves of its best .* with refit=True"
        ):
            diagnose(search)


def test_real_runs_in_a_pipeline_and_a_search(iris: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = iris
    slow = KerasMLPClassifier(n_neurons=8, learning_rate=1e-5, epochs=12, random_state=0)
    search = GridSearchCV(make_pipeline(StandardScaler(), slow), {}, cv=2, refit=True).fit(X, y)
    best = search.best_estimator_
    before = {name: list(curve) for name, curve in best[-1].history_.items()}
    weights = best[-1].model_.get_weights()
    found = diagnose(search)
    assert (found.n_curves, found.n_epochs) == (2, 12)
    assert found.baseline == pytest.approx(np.log(3))
    assert found.verdict == "too slow"
    alone = diagnose(best)
    assert alone.verdict == diagnose(best[-1].history_, baseline=np.log(3)).verdict == "too slow"
    del search.histories_  # as in scikit-learn's own search
    assert diagnose(search).findings == alone.findings
    assert {name: list(curve) for name, curve in best[-1].history_.items()} == before
    np.testing.assert_array_equal(best[-1].model_.get_weights()[0], weights[0])


def test_a_rate_that_is_a_thousand_times_too_high_diverges(iris: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = iris
    model = build_model(1, 8, learning_rate=1000.0, input_shape=4)
    assert diagnose(fit(model, X, y, epochs=8, verbose=0)).verdict == "divergence"


# What is refused.


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ([1.0] * 20, TypeError, "diagnose: source must be a keras History, a dict of curves, or a fitted"),
        (LogisticRegression(), TypeError, "source must be a keras History, .* got LogisticRegression"),
        (KerasMLPClassifier(), NotFittedError, "not fitted yet"),
        (GridSearchCV(KerasMLPClassifier(), {}), NotFittedError, "not fitted yet"),
        ({}, ValueError, "the curves must include 'loss'; got none"),
        ({"val_loss": DECAY}, ValueError, "the curves must include 'loss'; got val_loss"),
        ({"loss": 3.0}, TypeError, "the curve 'loss' must be one number for each epoch; got 3.0"),
        ({"loss": ["a"] * 9}, ValueError, "the curve 'loss' must be one number for each epoch; got"),
        ({"loss": np.ones((9, 2))}, ValueError, "the curve 'loss' must be one number for each epoch; got an"),
        ({"loss": [1.0] * 7}, ValueError, "must have at least 8 epochs; got 7. Train for lo"),
        ({"loss": []}, ValueError, "must have at least 8 epochs; got 0"),
        ({"loss": [1.0] * 8, "val_loss": [1.0] * 9}, ValueError, "no more values than 'loss'; got 9 and 8"),
        ({"loss": -DECAY}, ValueError, "the first loss must be > 0 to be the unit .* got -1.0. Pass"),
    ],
)
def test_what_holds_no_curves_is_refused(source: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        diagnose(source)


@pytest.mark.parametrize(
    ("baseline", "error"), [(0, ValueError), (-1.0, ValueError), (np.nan, ValueError), ("1", TypeError)]
)
def test_a_baseline_is_a_positive_number(baseline: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="diagnose: baseline must be a number > 0; got"):
        diagnose({"loss": DECAY}, baseline=baseline)


def test_losses_may_be_negative_where_there_is_a_baseline() -> None:
    assert diagnose({"loss": DECAY - 1}, baseline=1.0).verdict == "healthy"


# The baseline.


def test_an_estimator_keeps_the_loss_of_a_trivial_prediction() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.normal(size=60)
    assert KerasMLPRegressor(1, 4, epochs=1).fit(X, y).baseline_loss_ == pytest.approx(1, rel=1e-4)
    regressor = KerasMLPRegressor(1, 4, epochs=8, normalize_target=False).fit(X, y)
    assert regressor.baseline_loss_ == pytest.approx(np.var(y), rel=1e-4)
    assert diagnose(regressor).baseline == regressor.baseline_loss_
    weights = rng.uniform(0, 2, size=60)
    mean = np.average(y, weights=weights)
    regressor.fit(X, y, sample_weight=weights)
    expected = np.average((y - mean) ** 2, weights=weights)
    assert regressor.baseline_loss_ == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("labels", [["no", "yes", "yes"], [0, 1, 1, 2]])
def test_a_classifier_keeps_the_entropy_of_its_classes(labels: list[Any]) -> None:
    y = np.resize(labels, 60)
    classifier = KerasMLPClassifier(0, epochs=1).fit(np.ones((60, 2)), y)
    shares = np.unique(y, return_counts=True)[1]
    assert classifier.baseline_loss_ == pytest.approx(entropy(shares), rel=1e-4)


@pytest.mark.parametrize(
    ("task", "n_outputs", "y", "expected"),
    [
        ("regression", 2, np.array([[0.0, 1.0], [2.0, 1.0]]), 0.5),
        ("binary", 1, np.array([0, 1, 1, 1]), entropy([1, 3])),
        ("multiclass", 4, np.array([0, 1, 2, 2]), entropy([1, 1, 2])),
        ("multilabel", 2, np.array([[0, 1], [1, 1], [0, 1], [1, 1]]), np.log(2) / 2),
    ],
)
def test_the_targets_give_the_baseline_of_a_history(
    task: str, n_outputs: int, y: np.ndarray, expected: float
) -> None:
    history = keras.callbacks.History()
    history.set_model(build_model(1, 2, task=task, n_outputs=n_outputs))
    history.history = {"loss": list(DECAY)}
    assert diagnose(history, y=y).baseline == pytest.approx(expected, rel=1e-3)


class Own(keras.Model):
    """Knows neither its inputs' nor its outputs' shape."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(3, "softmax")

    def call(self, x: Any) -> Any:
        return self.dense(x)


def _sparse() -> Any:
    own = Own()
    own.compile("sgd", "sparse_categorical_crossentropy")
    return own


def test_a_model_of_ones_own_has_a_baseline() -> None:
    y = np.resize(["a", "b", "b", "c"], 40)
    classifier = KerasClassifier(_sparse, epochs=1).fit(np.ones((40, 2)), y)
    assert classifier.baseline_loss_ == pytest.approx(entropy([1, 2, 1]), rel=1e-4)


@pytest.mark.parametrize(
    "loss", ["mse", ["mse"], keras.losses.mean_squared_error, keras.losses.MeanSquaredError()]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_have_a_baseline_however_they_are_given(loss: Any, weighted: bool) -> None:
    own = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    own.compile("sgd", loss)
    weights = np.array([1.0, 1.0, 0.0, 2.0]) if weighted else None
    y = np.array([0.0, 1.0, 9.0, 3.0])
    mean = np.average(y, weights=weights)
    expected = np.average((y - mean) ** 2, weights=weights)
    assert trivial_loss(own, y, weights) == pytest.approx(expected, rel=1e-5)


def test_what_cannot_give_a_baseline() -> None:
    hinge = keras.callbacks.History()
    hinge.set_model(build_model(1, 2))
    hinge.model.compile("sgd", "hinge")
    hinge.history = {"loss": list(DECAY)}
    with pytest.raises(
        ValueError, match="the best constant prediction of y is not known for the loss 'hinge'"
    ):
        diagnose(hinge, y=np.ones(3))
    with pytest.raises(
        ValueError,
        match="y requires a compiled model, and this source has none. .* pass the estimator itself",
    ):
        diagnose({"loss": DECAY}, y=np.ones(3))
    with pytest.raises(ValueError, match="y and baseline exclude each other; pass only one of them"):
        diagnose({"loss": DECAY}, y=np.ones(3), baseline=1.0)


def test_targets_that_give_no_baseline() -> None:
    history = keras.callbacks.History()
    history.set_model(build_model(1, 2))
    history.history = {"loss": list(DECAY)}
    for y in (["a", "b"], [np.ones(2), np.ones((2, 3))], 3.0):
        with pytest.raises(
            (TypeError, ValueError), match="y must be numbers of shape .* otherwise pass baseline"
        ):
            diagnose(history, y=y)
    regressor = KerasMLPRegressor(0, epochs=8).fit(np.ones((20, 2)), np.arange(20.0))
    with pytest.raises(
        ValueError, match="an estimator or a search stores the loss of the best constant prediction"
    ):
        diagnose(regressor, y=np.arange(20.0))


def test_a_search_knows_the_baseline_of_its_best() -> None:
    y = np.resize([0, 0, 0, 1], 60)
    classifier = KerasMLPClassifier(0, epochs=8, random_state=0)
    search = GridSearchCV(classifier, {"learning_rate": [0.01]}, cv=2).fit(np.ones((60, 2)), y)
    found = diagnose(search)
    assert found.baseline == pytest.approx(entropy([1, 3]), rel=1e-4)
    assert not any("equally frequent" in note for note in found.notes)
