"""The learning-rate range test: one training whose rate rises at every step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import tree

from kerashp.diagnostics._foundations.training_setup import TrainingSetup
from kerashp.diagnostics._learning_rate.curves import has_diverged, smoothed


def range_test(setup: TrainingSetup, rates: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Train one step at each rate; return the losses of the steps and the smoothed losses.

    The test ends early if the loss diverges; an infinite loss is the last one. The steps are those of
    `Model.train_on_batch`, so any model can be tested; a population would return one loss per epoch only.
    """
    losses: list[float] = []
    with preserve_state(setup.model):
        for rate, rows in zip(rates, _batches(setup, np.random.default_rng(seed)), strict=False):
            losses.append(_train_step(setup, float(rate), rows))
            averages = smoothed(np.array(losses))
            if has_diverged(averages):
                break
    return np.array(losses), averages


def _train_step(setup: TrainingSetup, rate: float, rows: np.ndarray) -> float:
    setup.model.optimizer.learning_rate = rate
    setup.model.reset_metrics()  # or the loss would be the mean over all steps
    batch = [_take_rows(part, rows) for part in (setup.x, setup.y, setup.sample_weight)]
    loss = float(setup.model.train_on_batch(*batch, return_dict=True)["loss"])
    return loss if np.isfinite(loss) else np.inf


def _take_rows(part: Any, rows: np.ndarray) -> Any:
    return tree.map_structure(lambda array: None if array is None else array[rows], part)


def _batches(setup: TrainingSetup, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Endless batches of equal size; a short last one is omitted, as Keras would compile another step."""
    size = min(setup.batch_size, setup.n_rows)
    while True:
        order = random.permutation(setup.n_rows) if setup.shuffle else np.arange(setup.n_rows)
        yield from order[: setup.n_rows // size * size].reshape(-1, size)


@contextmanager
def preserve_state(model: Any) -> Iterator[None]:
    """Restore the model's weights, optimizer state, learning rate, seeds and metrics at the end."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    function = model.train_function
    values = [(variable, keras.ops.convert_to_numpy(variable)) for variable in _variables(model)]
    try:
        yield
    finally:
        model.train_function = function
        model.reset_metrics()  # also those created in between
        for variable, value in values:
            variable.assign(value)


def _variables(model: Any) -> list[Any]:
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return list({id(variable): variable for variable in variables}.values())
