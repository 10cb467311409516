"""`find_learning_rate`: many rates at the same time, or a single training with a rising rate."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from kerashp._arguments import Arguments
from kerashp.diagnostics._foundations.result import Result, Table
from kerashp.diagnostics._foundations.training_setup import TrainingSetup, training_setup
from kerashp.diagnostics._learning_rate.curves import Reading, read_population, read_range_test
from kerashp.diagnostics._learning_rate.range_test import range_test
from kerashp.training import LearningRateCallback, Member, Population, isolated, without_retracing_warnings
from kerashp.training._keras.learning_rates import initial_rate

_CHECK = Arguments("find_learning_rate")
_MAX_LINES = 25  # of a printed table
_N_RATES, _N_STEPS = 21, 100  # 4 per decade by default; the number of steps of fast.ai
_EPOCHS = 5
_MAX_SEED = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class LearningRates(Result):
    """The result of `find_learning_rate`: the loss by learning rate, and a suggestion.

    Attributes
    ----------
    method : {"population", "range"}
        The method of the search.
    learning_rates : ndarray of shape (n_rates,)
        The rates tried, in ascending order.
    losses : ndarray of shape (n_rates,)
        "population": the final loss at each rate. "range": the loss of each step, before its update, up to
        the step at which training diverged. Infinite if the loss was not finite.
    smoothed : ndarray of shape (n_rates,)
        "range": the exponential moving average of the losses. "population": the same as `losses`.
    untrained_loss : float
        The loss without training.
    diverges_from : float or None
        The lowest rate from which training diverges; None if none does.
    suggestion : float
        The suggested learning rate; NaN if no rate learns.
    reasons : tuple of str
        The reasons for the suggestion, and what to change if it is at an end of the range.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp import build_model
    >>> from kerashp.diagnostics import find_learning_rate
    >>> X = np.random.default_rng(0).normal(size=(200, 8))
    >>> rates = find_learning_rate(build_model(0), X, X[:, 0], low=1e-3, n_rates=4, epochs=1)
    >>> rates.method, rates.learning_rates.round(4).tolist(), rates.losses.shape
    ('population', [0.001, 0.01, 0.1, 1.0], (4,))
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
        suggestion = f"{self.suggestion:.3g}" if np.isfinite(self.suggestion) else "none"
        return [f"Suggested learning rate: {suggestion}", *self.reasons, self._table()]

    def _table(self) -> Table:
        rows = np.unique(np.linspace(0, len(self.losses) - 1, _MAX_LINES).round().astype(int))
        names = ("learning_rate", "loss") + (("smoothed",) if self.method == "range" else ())
        columns = [self.learning_rates, self.losses, self.smoothed][: len(names)]
        return Table(names, [tuple(f"{column[row]:.4g}" for column in columns) for row in rows])


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
    r"""Find the learning rate to start with.

    The rates are, with $i = 0, \ldots, n - 1$,

    $$\eta_i = \mathrm{low} \, (\mathrm{high} / \mathrm{low})^{i / (n - 1)}.$$

    "population" trains with each rate from the same weights, on the same rows in the same order, all in one
    compiled computation, and also with rate 0 for the loss without training. A rate above the best one is
    said to diverge if its final loss is above the loss without training. The suggestion is the rate of the
    lowest loss among those up to a third of the first rate that diverges (Bengio: the best rate is often
    within a factor of 2 of the largest rate that does not diverge; after divergence, try a third of it).

    "range" is Smith's range test: one training with one step at each rate. The losses are smoothed with
    $\beta = 0.9$,

    $$s_i = \frac{(1 - \beta) \sum_{j \le i} \beta^{i - j} \ell_j}{1 - \beta^{i + 1}},$$

    and the test ends when $s_i$ is not finite or above 4 times its minimum (the convention of fast.ai; for a
    negative minimum, above it by 3 times its magnitude). The suggestion is a tenth of the rate at which $s$
    is lowest (Géron). This method is fast, but each rate is tried on weights trained with the lower rates.

    Parameters
    ----------
    model : keras.Model or estimator of kerashp, alone or as the last step of a Pipeline
        A model is compiled and built; its weights, optimizer state, learning rate and seeds are restored. An
        optimizer that was not built is built. An estimator is cloned with the other steps of its pipeline,
        and encodes the targets as in `fit`; its schedule, callbacks and early stopping are not used.
    X : array of shape (n_samples, ...)
        Training rows; for a Keras model also lists or dicts of arrays.
    y : array of shape (n_samples,) or (n_samples, n_outputs)
        Targets: labels of any type for a classifier, targets of the loss for a Keras model.
    low, high : float, default=1e-5, 1.0
        The lowest and the highest rate.
    method : {"population", "range"}, default="population"
        How the rates are tried.
    n_rates : int, default=None
        The number of rates, at least 2. If None, 21 for "population" and 100 for "range", where it is the
        number of steps.
    epochs : int, default=None
        The number of epochs of each training of "population"; 5 if None. For "range" it follows from the
        number of steps.
    batch_size : int, default=None
        The number of rows of a step. If None, that of the estimator, or 32 for a Keras model. "range" omits a
        short last batch.
    validation_fraction : float in [0, 1), default=0.0
        For "population", the share of the rows, drawn at random, that are held out to compare their losses.
        With 0 the training losses are compared, each the mean over the steps of the last epoch, as in Keras'
        logs.
    sample_weight : array of shape (n_samples,), default=None
        Multiplies the loss of each row.
    random_state : int, RandomState instance or None, default=0
        Determines the order of the rows, the held-out rows, and the weights of an estimator without a
        `random_state`. None draws from `numpy.random`.

    Returns
    -------
    LearningRates
        The result with `suggestion`, `reasons`, `learning_rates` and `losses`; it prints as a table.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong type, out of its range, or not supported by the method; if the learning
        rate of the optimizer is a schedule; if the loss is not finite without training.
    RuntimeError
        If a population cannot train the model (see `kerashp.fit` for what cannot be compiled); use "range".

    Notes
    -----
    A few epochs favour high rates: for a long training, start with the suggestion and lower it by a
    schedule.

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
    >>> rates = find_learning_rate(build_model(0), X, X[:, 0], high=10.0, n_rates=13)
    >>> 0.01 < rates.suggestion < rates.diverges_from
    True
    """
    low, high = _check_bounds(low, high)
    method = _CHECK.choice("method", method, ["population", "range"])
    n_rates = _N_RATES if n_rates is None and method == "population" else n_rates
    n_rates = _N_STEPS if n_rates is None else _CHECK.integer("n_rates", n_rates, at_least=2)
    validation_fraction = _CHECK.fraction("validation_fraction", validation_fraction)
    if method == "range":
        _check_range_arguments(epochs, validation_fraction)
    epochs = _EPOCHS if epochs is None else _CHECK.integer("epochs", epochs, at_least=1)
    if batch_size is not None:
        batch_size = _CHECK.integer("batch_size", batch_size, at_least=1)
    seed = check_random_state(random_state).randint(_MAX_SEED)
    rates = np.geomspace(low, high, n_rates)
    with without_retracing_warnings(), isolated(seed):
        setup = training_setup(_CHECK, model, X, y, sample_weight, batch_size)
        initial_rate(setup.model, _ConstantRate(0.0))  # refuses a schedule
        with isolated(dtype=setup.dtype):
            if method == "range":
                return _by_range_test(setup, rates, seed)
            return _by_population(setup, rates, epochs, validation_fraction, seed)


class _ConstantRate(LearningRateCallback):
    """Sets a constant learning rate, instead of that of the optimizer."""

    def __init__(self, rate: float):
        super().__init__()
        self._rate = rate

    def described(self) -> str:
        return "find_learning_rate"

    def schedule(self, learning_rate: float, steps_per_epoch: int) -> Any:
        return keras.optimizers.schedules.ExponentialDecay(self._rate, decay_steps=1, decay_rate=1.0)


def _by_population(
    setup: TrainingSetup, rates: np.ndarray, epochs: int, validation_fraction: float, seed: int
) -> LearningRates:
    rows, held_out = np.arange(setup.n_rows), None
    if validation_fraction:
        rows, held_out = train_test_split(rows, test_size=validation_fraction, random_state=seed)
    members = [
        Member(setup.model, rows, held_out, random_state=seed, schedule=_ConstantRate(float(rate)))
        for rate in (0.0, *rates)
    ]
    results = _population(setup, members).train(epochs)
    log = "loss" if held_out is None else "val_loss"
    untrained, *losses = [member.history[log][-1] for member in results]
    _check_untrained(untrained)
    finite = np.where(np.isfinite(losses), losses, np.inf)
    return _learning_rates(
        "population", rates, finite, finite, untrained, read_population(rates, finite, untrained)
    )


def _population(setup: TrainingSetup, members: list[Member]) -> Population:
    try:
        return Population(
            members, setup.x, setup.y, setup.sample_weight, batch_size=setup.batch_size, shuffle=setup.shuffle
        )
    except RuntimeError as error:
        raise RuntimeError(
            f"find_learning_rate: a population cannot train this model: {error}. Pass method='range', which "
            "trains by Model.train_on_batch"
        ) from error


def _by_range_test(setup: TrainingSetup, rates: np.ndarray, seed: int) -> LearningRates:
    losses, averages = range_test(setup, rates, seed)
    _check_untrained(losses[0])
    tried = rates[: len(losses)]
    return _learning_rates(
        "range", tried, losses, averages, losses[0], read_range_test(tried, averages, rates[-1])
    )


def _learning_rates(
    method: str,
    rates: np.ndarray,
    losses: np.ndarray,
    averages: np.ndarray,
    untrained: float,
    reading: Reading,
) -> LearningRates:
    return LearningRates(
        method=method,
        learning_rates=rates,
        losses=losses,
        smoothed=averages,
        untrained_loss=float(untrained),
        diverges_from=reading.diverges_from,
        suggestion=reading.suggestion,
        reasons=reading.reasons,
    )


def _check_bounds(low: Any, high: Any) -> tuple[float, float]:
    low = _CHECK.positive("low", low)
    return low, _CHECK.number("high", high, f"a number > low={low:g}", lambda rate: rate > low)


def _check_range_arguments(epochs: Any, validation_fraction: float) -> None:
    """Refuse the arguments that the range test does not support."""
    for name, value in {"epochs": epochs, "validation_fraction": validation_fraction}.items():
        if value:
            raise ValueError(
                f"find_learning_rate: {name} is only for method='population'; got {name}={value!r} with "
                "method='range', which trains n_rates steps and records the loss of each"
            )


def _check_untrained(loss: float) -> None:
    if not np.isfinite(loss):
        raise ValueError(
            "find_learning_rate: the loss is not finite before training; look for missing or very large "
            "values in X, y and the weights of the model"
        )
