"""`find_learning_rate`: many rates side by side, or one that rises."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from kerashp._arguments import Arguments
from kerashp.diagnostics._foundations.result import Result, Table
from kerashp.diagnostics._foundations.training_setup import TrainingSetup, training_setup
from kerashp.diagnostics._learning_rate.curves import Reading, of_range_test, of_side_by_side
from kerashp.diagnostics._learning_rate.range_test import range_test
from kerashp.training import LearningRateCallback, Member, Population, isolated, without_retracing_warnings
from kerashp.training._keras.learning_rates import initial_rate

_CHECK = Arguments("find_learning_rate")
_MOST_LINES = 25  # of a printed table
_N_RATES, _N_STEPS = 21, 100  # 4 a decade by default; fast.ai's number of steps
_EPOCHS = 5
_MAX_SEED = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class LearningRates(Result):
    """The loss by learning rate, and the rate to begin with.

    Attributes
    ----------
    method : {"population", "range"}
    learning_rates : ndarray of shape (n_rates,)
        Those that were tried, rising.
    losses : ndarray of shape (n_rates,)
        "population": each one's loss at the end. "range": that of each step, before its update, to the step
        at which training diverged. Infinite where the loss was not finite.
    smoothed : ndarray of shape (n_rates,)
        "range": the exponential moving average of the losses. "population": the losses themselves.
    untrained_loss : float
        The loss without training.
    diverges_from : float or None
        The lowest rate from which training diverges; None if none does.
    suggestion : float
        The rate to begin with; NaN where no rate learns.
    reasons : tuple of str
        How the suggestion was found, with its numbers, and what to change where it lies at an end.
    """

    method: str
    learning_rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    untrained_loss: float
    diverges_from: float | None
    suggestion: float
    reasons: tuple[str, ...]

    def _parts(self) -> list[str | Table]:
        found = f"{self.suggestion:.3g}" if np.isfinite(self.suggestion) else "none"
        return [f"Suggested learning rate: {found}", *self.reasons, self._table()]

    def _table(self) -> Table:
        shown = np.unique(np.linspace(0, len(self.losses) - 1, _MOST_LINES).round().astype(int))
        names = ("learning_rate", "loss") + (("smoothed",) if self.method == "range" else ())
        columns = [self.learning_rates, self.losses, self.smoothed][: len(names)]
        return Table(names, [tuple(f"{column[at]:.4g}" for column in columns) for at in shown])


def find_learning_rate(
    model: Any,
    X: Any,
    y: Any,
    *,
    low: float = 1e-5,
    high: float = 1.0,
    method: str = "population",
    n_rates: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    validation_fraction: float = 0.0,
    sample_weight: Any = None,
    random_state: Any = 0,
) -> LearningRates:
    r"""Which learning rate to begin with.

    The rates are, with $i = 0, \ldots, n - 1$,

    $$\eta_i = \mathrm{low} \, (\mathrm{high} / \mathrm{low})^{i / (n - 1)}.$$

    "population" trains each from the same weights, on the same rows in the same order, all side by side in
    one compiled computation, and one more at the rate 0, whose loss is that of no training. A rate above the
    best one diverges if its loss ends above that. The suggestion is the rate of the lowest loss, among those
    at most a third of the first that diverges (Bengio: the best rate is often within a factor of 2 of the
    largest that does not diverge; after one that does, a third of it is the next to try).

    "range" is Smith's test: one training, a step at each rate. With $\beta = 0.9$ the losses are smoothed,

    $$s_i = \frac{(1 - \beta) \sum_{j \le i} \beta^{i - j} \ell_j}{1 - \beta^{i + 1}},$$

    and the test ends where $s_i$ is not finite or above 4 times its lowest value (fast.ai's convention; for a
    negative loss, 3 times its size above it). The suggestion is a tenth of the rate at which $s$ is lowest,
    where the loss turns (Géron). It is quick, but each rate is tried on weights that the lower ones trained.

    Parameters
    ----------
    model : keras.Model, or estimator of kerashp's, alone or at the end of a Pipeline
        A compiled and built model, left as it was: weights, optimizer's state and rate, seeds. An optimizer
        that was not built is built. An estimator is cloned, with its encoding of targets and a pipeline's
        earlier steps; its own schedule, callbacks and early stopping have no part in the test.
    X : array of shape (n_samples, ...)
        Training rows; for a Keras model lists and dicts of arrays too.
    y : array of shape (n_samples,) or (n_samples, n_outputs)
        Targets: labels of any type for a classifier, what the loss takes for a Keras model.
    low, high : float, default=1e-5, 1.0
        The lowest and the highest rate.
    method : {"population", "range"}, default="population"
    n_rates : int, default=None
        How many rates, at least 2; 21 for "population", and for "range", whose steps they are, 100.
    epochs : int, default=None
        "population": epochs of each training, 5 if None. "range" has as many as its steps take.
    batch_size : int, default=None
        Rows of a step; the estimator's own if None, 32 for a Keras model. "range" leaves out a short last
        batch.
    validation_fraction : float in [0, 1), default=0.0
        "population": the share of the rows, drawn at random, whose loss is compared; 0 is for the loss of the
        training rows, the mean over the last epoch's steps as Keras logs it.
    sample_weight : array of shape (n_samples,), default=None
        Multiplies the loss of each row.
    random_state : int, RandomState instance or None, default=0
        Draws the order of the rows, the rows held out, and an estimator's weights where it has no
        `random_state` of its own. None draws from `numpy.random`.

    Returns
    -------
    LearningRates

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type or out of its range, or one that the method does not take; if the
        optimizer's rate is a schedule; if the loss is not finite without training.
    RuntimeError
        If a population cannot train the model (see `kerashp.fit` for what cannot be compiled); "range" can.

    Notes
    -----
    A few epochs favour rates that are high at first: for a long training, begin with the suggestion and lower
    it by a schedule.

    References
    ----------
    L. N. Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017, section 3.3.
    Y. Bengio, Practical Recommendations for Gradient-Based Training of Deep Architectures, 2012, 3.1.1.
    A. Géron, Hands-On Machine Learning, ch. 11, "Learning Rate Scheduling"; ch. 10 on the learning rate.
    fast.ai, `lr_find` (100 steps; it stops at 4 times the best loss).

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp import build_model
    >>> from kerashp.diagnostics import find_learning_rate
    >>> X = np.random.default_rng(0).normal(size=(200, 8))
    >>> found = find_learning_rate(build_model(0), X, X[:, 0], high=10.0, n_rates=13)
    >>> 0.01 < found.suggestion < found.diverges_from
    True
    """
    low, high = _check_ends(low, high)
    method = _CHECK.choice("method", method, ["population", "range"])
    n_rates = _N_RATES if n_rates is None and method == "population" else n_rates
    n_rates = _N_STEPS if n_rates is None else _CHECK.integer("n_rates", n_rates, at_least=2)
    validation_fraction = _CHECK.fraction("validation_fraction", validation_fraction)
    if method == "range":
        _check_range(epochs, validation_fraction)
    epochs = _EPOCHS if epochs is None else _CHECK.integer("epochs", epochs, at_least=1)
    if batch_size is not None:
        batch_size = _CHECK.integer("batch_size", batch_size, at_least=1)
    seed = check_random_state(random_state).randint(_MAX_SEED)
    rates = np.geomspace(low, high, n_rates)
    with without_retracing_warnings(), isolated(seed):
        own = training_setup(_CHECK, model, X, y, sample_weight, batch_size)
        initial_rate(own.model, _At(0.0))  # refuses a schedule
        with isolated(dtype=own.dtype):
            if method == "range":
                return _rising(own, rates, seed)
            return _side_by_side(own, rates, epochs, validation_fraction, seed)


class _At(LearningRateCallback):
    """Keeps the rate where it says, whatever the optimizer's own."""

    def __init__(self, rate: float):
        super().__init__()
        self._rate = rate

    def described(self) -> str:
        return "find_learning_rate"

    def schedule(self, learning_rate: float, steps_per_epoch: int) -> Any:
        return keras.optimizers.schedules.ExponentialDecay(self._rate, decay_steps=1, decay_rate=1.0)


def _side_by_side(
    own: TrainingSetup, rates: np.ndarray, epochs: int, validation_fraction: float, seed: int
) -> LearningRates:
    rows, held_out = np.arange(own.n_rows), None
    if validation_fraction:
        rows, held_out = train_test_split(rows, test_size=validation_fraction, random_state=seed)
    members = [
        Member(own.model, rows, held_out, random_state=seed, schedule=_At(float(rate)))
        for rate in (0.0, *rates)
    ]
    trained = _population(own, members).train(epochs)
    log = "loss" if held_out is None else "val_loss"
    untrained, *losses = [member.history[log][-1] for member in trained]
    _check_untrained(untrained)
    finite = np.where(np.isfinite(losses), losses, np.inf)
    return _result("population", rates, finite, finite, untrained, of_side_by_side(rates, finite, untrained))


def _population(own: TrainingSetup, members: list[Member]) -> Population:
    try:
        return Population(
            members, own.x, own.y, own.sample_weight, batch_size=own.batch_size, shuffle=own.shuffle
        )
    except RuntimeError as error:
        raise RuntimeError(
            f"find_learning_rate cannot train many rates side by side: {error}. Pass method='range', which "
            "trains by Keras' own steps"
        ) from error


def _rising(own: TrainingSetup, rates: np.ndarray, seed: int) -> LearningRates:
    losses, averages = range_test(own, rates, seed)
    _check_untrained(losses[0])
    tried = rates[: len(losses)]
    return _result("range", tried, losses, averages, losses[0], of_range_test(tried, averages, rates[-1]))


def _result(
    method: str, rates: np.ndarray, losses: np.ndarray, averages: np.ndarray, untrained: float, says: Reading
) -> LearningRates:
    return LearningRates(
        method=method,
        learning_rates=rates,
        losses=losses,
        smoothed=averages,
        untrained_loss=float(untrained),
        diverges_from=says.diverges_from,
        suggestion=says.suggestion,
        reasons=says.reasons,
    )


def _check_ends(low: Any, high: Any) -> tuple[float, float]:
    low = _CHECK.positive("low", low)
    return low, _CHECK.number("high", high, f"a number > low={low:g}", lambda rate: rate > low)


def _check_range(epochs: Any, validation_fraction: float) -> None:
    """Refuse what the range test has no use for."""
    given = {"epochs": epochs, "validation_fraction": validation_fraction}
    for name, value in given.items():
        if value:
            raise ValueError(
                f"find_learning_rate: {name} is for method='population'; got {name}={value!r} with "
                "method='range', which takes n_rates steps and the loss of each"
            )


def _check_untrained(loss: float) -> None:
    if not np.isfinite(loss):
        raise ValueError(
            "find_learning_rate: the loss is not finite before any training; look for missing or huge values "
            "in X, y and the model's weights"
        )
