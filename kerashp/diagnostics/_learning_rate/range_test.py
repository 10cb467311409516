"""The learning-rate range test: one training whose rate rises at every step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import tree

from kerashp.diagnostics._foundations.training_setup import TrainingSetup
from kerashp.diagnostics._learning_rate.curves import has_diverged, smoothed


def range_test(own: TrainingSetup, rates: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The loss of each step, the step of `rates[i]` being the i-th, and the same smoothed.

    It ends early where the loss diverges: an infinite loss is its last. Steps are Keras' own
    (`Model.train_on_batch`), so that any model can be tested; a population would give a loss an epoch only.
    """
    losses: list[float] = []
    with as_it_was(own.model):
        for rate, rows in zip(rates, _batches(own, np.random.default_rng(seed)), strict=False):
            losses.append(_step(own, float(rate), rows))
            averages = smoothed(np.array(losses))
            if has_diverged(averages):
                break
    return np.array(losses), averages


def _step(own: TrainingSetup, rate: float, rows: np.ndarray) -> float:
    own.model.optimizer.learning_rate = rate
    own.model.reset_metrics()  # or the loss would be a mean over the steps
    batch = [_rows_of(part, rows) for part in (own.x, own.y, own.sample_weight)]
    loss = float(own.model.train_on_batch(*batch, return_dict=True)["loss"])
    return loss if np.isfinite(loss) else np.inf


def _rows_of(part: Any, rows: np.ndarray) -> Any:
    return tree.map_structure(lambda array: None if array is None else array[rows], part)


def _batches(own: TrainingSetup, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Batches of one size, for ever: a short last one is left out, since Keras would compile it anew."""
    size = min(own.batch_size, own.n_rows)
    while True:
        order = random.permutation(own.n_rows) if own.shuffle else np.arange(own.n_rows)
        yield from order[: own.n_rows // size * size].reshape(-1, size)


@contextmanager
def as_it_was(model: Any) -> Iterator[None]:
    """Afterwards the model has the weights, optimizer's state, rate, seeds and metrics that it had."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    function = model.train_function
    before = [(variable, keras.ops.convert_to_numpy(variable)) for variable in _variables(model)]
    try:
        yield
    finally:
        model.train_function = function
        model.reset_metrics()  # those that had no variables yet
        for variable, value in before:
            variable.assign(value)


def _variables(model: Any) -> list[Any]:
    every = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return list({id(variable): variable for variable in every}.values())
