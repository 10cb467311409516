"""Schedules against their closed forms, alone and in optimizers."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras.optimizers import schedules as theirs

from kerashp import build_model, fit
from kerashp.schedules import (
    CosLog,
    FlatCosine,
    LinearWarmup,
    StepDecay,
    in_epochs,
    takes_many_steps,
    warmup_cosine_restarts,
)
from kerashp.training import LearningRateCallback
from kerashp.training._members.rates import ScheduledRates

STEPS = np.unique(np.r_[:16, 48:52, 90:94, 128:132, 16:500:17])


def rates(schedule: Any) -> np.ndarray:
    return np.array([float(schedule(step)) for step in STEPS])


def warmed(step: float) -> float:
    return 0.02 + 0.08 * step / 50 if step < 50 else 0.1


def warmed_cosine(step: float) -> float:
    return 0.1 * step / 20 if step < 20 else 0.05 * (1 + np.cos(np.pi * min(1, (step - 20) / 100)))


def dropped(step: float) -> float:
    return max(0.004, 0.1 * 0.5 ** (step // 70))


def restarted(step: float, first: float = 40, alpha: float = 0.01, m_mul: float = 0.5) -> float:
    if step < 10:
        return 0.1 * step / 10
    step, length, height = step - 10, first, 1.0
    while step >= length:
        step, length, height = step - length, 2 * length, m_mul * height
    return 0.1 * (alpha + (1 - alpha) * height * (1 + np.cos(np.pi * step / length)) / 2)


def flat(step: float, share: float = 0.5) -> float:
    done = min(1, step / 200)
    return 0.1 if done < share else 0.05 * (1 + np.cos(np.pi * (done - share) / (1 - share)))


def coslog(step: float) -> float:
    return 0.1 * 0.5 * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * min(1, step / 150))))


CASES: dict[str, tuple[Callable[[], Any], Callable[[float], float]]] = {
    "a number warmed up": (lambda: LinearWarmup(0.1, 50, start=0.02), warmed),
    "no warm-up": (lambda: LinearWarmup(0.1, 0), lambda _: 0.1),
    "a cosine warmed up": (lambda: LinearWarmup(theirs.CosineDecay(0.1, 100), 20), warmed_cosine),
    "drops": (lambda: StepDecay(0.1, drop=0.5, every=70, minimum=0.004), dropped),
    "restarts": (lambda: warmup_cosine_restarts(0.1, 10, 40, 2.0, 0.5, 0.01), restarted),
    "flat, then a cosine": (lambda: FlatCosine(0.1, 200), flat),
    "flat for a quarter": (lambda: FlatCosine(0.1, 200, flat=0.25), lambda step: flat(step, 0.25)),
    "periods of a cosine": (lambda: CosLog(0.1, 150), coslog),
    "periods in epochs": (lambda: in_epochs(CosLog(0.1, 30), 5), coslog),
    "drops in epochs": (lambda: in_epochs(StepDecay(0.1, 0.5, every=10, minimum=0.004), 7), dropped),
    "restarts in epochs": (
        lambda: in_epochs(warmup_cosine_restarts(0.1, 2, 8, 2.0, 0.5, 0.01), 5),
        restarted,
    ),
    "a warm-up that ends within an epoch": (lambda: in_epochs(LinearWarmup(0.1, 2.5, 0.02), 20), warmed),
}


@pytest.mark.parametrize("case", CASES)
def test_a_schedule_has_its_closed_form(case: str) -> None:
    make, expected = CASES[case]
    np.testing.assert_allclose(rates(make()), [expected(step) for step in STEPS], atol=3e-7)


OTHERS: dict[str, Callable[[], Any]] = {
    "piecewise": lambda: theirs.PiecewiseConstantDecay([3, 8], [0.1, 0.05, 0.01]),
    "Keras' own warm-up": lambda: theirs.CosineDecay(0.1, 50, warmup_target=0.2, warmup_steps=7),
    "polynomial": lambda: theirs.PolynomialDecay(0.1, 60, cycle=True),
    "inverse": lambda: theirs.InverseTimeDecay(0.1, 10, 0.5),
}


@pytest.mark.parametrize("make", [*[make for make, _ in CASES.values()], *OTHERS.values()])
def test_rates_of_many_steps_are_those_of_each(make: Callable[[], Any]) -> None:
    schedule = make()
    if takes_many_steps(schedule):
        at_once = keras.ops.convert_to_numpy(schedule(keras.ops.convert_to_tensor(STEPS)))
        np.testing.assert_allclose(at_once, rates(schedule), rtol=1e-5, atol=2e-8)
    taken = ScheduledRates(_Given(schedule), 0.1, n_steps=3, first_epoch=2)
    parts = [taken.next(7), taken.next(3), taken.next(10)]
    each = [float(schedule(step)) for step in range(6, 26)]
    np.testing.assert_allclose(np.concatenate(parts), each, rtol=1e-5, atol=2e-8)


class _Given(LearningRateCallback):
    def __init__(self, schedule: Any):
        super().__init__()
        self._schedule = schedule

    def schedule(self, learning_rate: float, steps_per_epoch: int) -> Any:
        return self._schedule


@pytest.mark.parametrize("case", CASES)
def test_a_schedule_is_saved_with_its_model(case: str, tmp_path: Any) -> None:
    schedule = CASES[case][0]()
    model = build_model(1, 4, schedule, input_shape=(3,))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").optimizer._learning_rate
    assert type(loaded) is type(schedule)
    np.testing.assert_array_equal(rates(loaded), rates(schedule))


@pytest.mark.parametrize(
    ("case", "optimizer"),
    [*[(case, keras.optimizers.SGD) for case in CASES], ("restarts", keras.optimizers.Adam)],
)
def test_a_schedule_in_an_optimizer_trains_as_under_keras(case: str, optimizer: Any) -> None:
    X = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
    models = []
    for train in (fit, keras.Model.fit):
        keras.utils.set_random_seed(0)
        models.append(
            build_model(1, 4, input_shape=(3,), optimizer=optimizer(CASES[case][0]()), learning_rate=None)
        )
        train(models[-1], X, X[:, 0], epochs=3, batch_size=16, shuffle=False, verbose=0)
    for ours, keras_own in zip(*[model.get_weights() for model in models], strict=True):
        np.testing.assert_allclose(ours, keras_own, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: LinearWarmup("fast", 3),
            TypeError,
            "LinearWarmup: schedule must be a number >= 0 or a keras ",
        ),
        (lambda: LinearWarmup(-0.1, 3), ValueError, "schedule must be a number >= 0 or .*; got -0.1"),
        (lambda: LinearWarmup(0.1, -3), ValueError, "warmup_steps must be a number >= 0; got -3"),
        (lambda: LinearWarmup(0.1, 3, start=np.nan), ValueError, "start must be a number >= 0; got nan"),
        (lambda: FlatCosine(0, 3), ValueError, "FlatCosine: initial must be a number > 0; got 0"),
        (lambda: FlatCosine(0.1, 0), ValueError, "FlatCosine: decay_steps must be a number > 0; got 0"),
        (lambda: FlatCosine(0.1, 3, 1), ValueError, r"FlatCosine: flat must be a number in \[0, 1\); got 1"),
        (lambda: CosLog("0.1", 3), TypeError, "CosLog: peak must be a number > 0; got '0.1'"),
        (lambda: CosLog(0.1, -3), ValueError, "CosLog: decay_steps must be a number > 0; got -3"),
        (lambda: CosLog(0.1, 3, 0), ValueError, "CosLog: cycles must be an integer >= 1; got 0"),
        (lambda: StepDecay(0.0, 0.5, 3), ValueError, "StepDecay: initial must be a number > 0; got 0.0"),
        (lambda: StepDecay(0.1, 1.5, 3), ValueError, r"drop must be a number in \(0, 1\); got 1.5"),
        (lambda: StepDecay(0.1, 0.5, 0), ValueError, "every must be a number > 0; got 0"),
        (lambda: StepDecay(0.1, 0.5, 3, 1.0), ValueError, r"minimum must be a number in \[0, initial=0.1\]"),
        (
            lambda: in_epochs(0.1, 3),
            TypeError,
            "in_epochs: schedule must be a keras LearningRateSchedule; got 0.1",
        ),
        (lambda: in_epochs(StepDecay(0.1, 0.5, 3), 0), ValueError, "steps_per_epoch must be an integer >= 1"),
        (lambda: warmup_cosine_restarts(0, 1, 1), ValueError, "peak must be a number > 0; got 0"),
        (lambda: warmup_cosine_restarts(1, -1, 1), ValueError, "warmup_steps must be a number >= 0; got -1"),
        (
            lambda: warmup_cosine_restarts(1, 1, 0),
            ValueError,
            "first_decay_steps must be a number > 0; got 0",
        ),
        (lambda: warmup_cosine_restarts(1, 1, 1, 0.5), ValueError, "t_mul must be a number >= 1; got 0.5"),
        (lambda: warmup_cosine_restarts(1, 1, 1, 2, 0), ValueError, "m_mul must be a number > 0; got 0"),
        (
            lambda: warmup_cosine_restarts(1, 1, 1, 2, 1, 2),
            ValueError,
            r"alpha must be a number in \[0, 1\]; got 2",
        ),
    ],
)
def test_what_cannot_be_a_schedule_is_refused(make: Callable[[], Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make()
