"""One batch of training or of validation with a Keras model, as a function of its state alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import keras
from keras import ops, tree

from kerashp._compat.keras import (
    MASKS_ARE_HANDED_ON,
    computed_loss,
    loss_tracker,
    mask_of,
    metrics_by_output,
    set_mask,
    training_argument,
)
from kerashp.training._keras.layers import has_batch_statistics
from kerashp.training._keras.logs import flat_logs
from kerashp.training._keras.numbers import Number, lifted
from kerashp.training._keras.optimizers import updated
from kerashp.training._runtime.backend import backend
from kerashp.training._runtime.temporary_values import temporary_values
from kerashp.training._stacking.padding import Padding, mask_weights, outputs_masked
from kerashp.training._stacking.penalties import fast_penalties


class State(NamedTuple):
    """What training changes: the values of the Keras variables, in their order."""

    weights: list[Any]
    non_trainable: list[Any]  # moving averages, random seeds
    optimizer: list[Any]
    metrics: list[Any]


class Batch(NamedTuple):
    """Rows to train or validate on."""

    data: Any  # (x, y, sample_weight), each an array, a structure of arrays or None
    n_rows: Any  # how many rows are real, the first ones; None: all
    kept_units: list[Any]  # of each Dropout layer of the step
    rate: Any = None  # the learning rate; None: the optimizer's
    factors: Any = None  # of dropout rates and of weight decay, of shape (2,); None: 1
    takes_part: Any = None  # whether the step changes the state; None: it does


class CannotCompile(Exception):
    """A model cannot be trained by one compiled call an epoch."""


class Step:
    """The steps of a model's training.

    Parameters
    ----------
    model : keras.Model, compiled and built
    numbers : list of Number
        The constants that are arguments of the step instead of being compiled in.
    dropouts : list of keras.layers.Dropout
        The layers whose kept units are part of the batch.
    padding : Padding or None
        What is padded, by masks that follow the numbers among the constants.
    """

    def __init__(
        self, model: Any, numbers: Sequence[Number], dropouts: Sequence[Any], padding: Padding | None
    ):
        self._model = model
        self._numbers = numbers
        self._dropouts = dropouts
        self._padding = padding

    def train(self, state: State, constants: Sequence[Any], batch: Batch) -> State:
        """The state after one more batch of training."""
        constants = self._scaled(constants, batch.factors)

        def loss_of(weights: list[Any]) -> tuple[Any, State]:
            return self._forward(state._replace(weights=weights), constants, batch, training=True)

        optimizer = self._model.optimizer
        with self._with_constants(constants), backend().stateless(optimizer):
            _, new_state, gradients = backend().value_and_grad(loss_of, state.weights)
            weights, variables = updated(
                self._model, state.optimizer, gradients, new_state.weights, batch.rate, batch.takes_part
            )
        if self._padding is not None:
            weights = mask_weights(weights, self._padding, constants[len(self._numbers) :])
        forward = [step_state._replace(weights=[], optimizer=[]) for step_state in (new_state, state)]
        return _where(batch.takes_part, *forward)._replace(weights=weights, optimizer=variables)

    def test(self, state: State, constants: Sequence[Any], batch: Batch) -> State:
        """The state after one more batch of validation, which changes the metrics."""
        with self._with_constants(constants):
            _, new_state = self._forward(state, constants, batch, training=False)
        return _where(batch.takes_part, new_state, state)

    def outputs(self, state: State, constants: Sequence[Any], x: Any) -> Any:
        """The model's predictions for rows x."""
        model = self._model
        pairs = [
            *zip(model.trainable_variables, state.weights, strict=True),
            *zip(model.non_trainable_variables, state.non_trainable, strict=True),
        ]
        with self._with_constants(constants), keras.StatelessScope(state_mapping=pairs):
            return model(x, training=False)

    def _scaled(self, constants: Sequence[Any], factors: Any) -> Sequence[Any]:
        """The constants with the factors of dropout rates and of weight decay."""
        if factors is None:
            return constants
        factors_by_path: dict[tuple[str | int, ...], Any] = {
            ("rate",): factors[0],
            ("optimizer", "weight_decay"): factors[1],
        }
        scaled = list(constants)
        for index, number in enumerate(self._numbers):
            if number.path in factors_by_path:
                factor = ops.cast(factors_by_path[number.path], constants[index].dtype)
                scaled[index] = constants[index] * factor
        return scaled

    @contextmanager
    def _with_constants(self, constants: Sequence[Any]) -> Iterator[None]:
        n_numbers = len(self._numbers)
        with ExitStack() as stack:
            stack.enter_context(lifted(self._model, self._numbers, constants[:n_numbers]))
            if self._padding is not None:
                stack.enter_context(outputs_masked(self._model, self._padding, constants[n_numbers:]))
            yield

    def results(self, metrics: Sequence[Any]) -> dict[str, Any]:
        """The logs, from the values of the metrics' variables."""
        mapping = zip(self._model.metrics_variables, metrics, strict=True)
        with keras.StatelessScope(state_mapping=mapping):
            return flat_logs(self._model.get_metrics_result())

    def _forward(
        self, state: State, constants: Sequence[Any], batch: Batch, *, training: bool
    ) -> tuple[Any, State]:
        model = self._model
        x, y, sample_weight = batch.data
        variables = variables_of(model)
        pairs = [pair for group in zip(variables, state, strict=True) for pair in zip(*group, strict=True)]
        with keras.StatelessScope(state_mapping=pairs, collect_losses=True) as scope, ExitStack() as stack:
            stack.enter_context(_dropping(self._dropouts, batch.kept_units if training else None))
            rows = None if batch.n_rows is None else _mask(x, batch.n_rows)
            outputs = _outputs(model, x, rows, training=training)
            with fast_penalties():
                loss = computed_loss(model, x, y, outputs, sample_weight, training=training)
            count = _n_rows(x) if rows is None else batch.n_rows
            loss_tracker(model).update_state(loss, sample_weight=count)
            if rows is None:
                _check_logs(model, model.compute_metrics(x, y, outputs, sample_weight=sample_weight))
            else:
                _update_metrics(model, y, outputs, sample_weight, rows)
            if training:
                loss = model.optimizer.scale_loss(loss)
        _check_assignments(scope, pairs, model.trainable_variables)
        values = [[scope.get_current_value(variable) for variable in group] for group in variables]
        return loss, State(*values)


def variables_of(model: Any) -> State:
    """The Keras variables whose values are the state."""
    return State(
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


def _where(takes_part: Any, new_state: State, state: State) -> State:
    if takes_part is None:
        return new_state
    return tree.map_structure(lambda new, old: ops.where(takes_part, new, old), new_state, state)


def _outputs(model: Any, x: Any, rows: Any, *, training: bool) -> Any:
    arguments = training_argument(model, training)
    if rows is not None and has_batch_statistics(model):
        arguments["mask"] = rows
    with temporary_values((vars(model), MASKS_ARE_HANDED_ON, True)):
        outputs = model(x, **arguments)
    if rows is not None:
        for output in tree.flatten(outputs):
            _mask_rows(output, rows)
    return outputs


def _mask(x: Any, n_rows: Any) -> Any:
    """Which rows of the batch are real."""
    return ops.arange(_n_rows(x), dtype="int32") < n_rows


def _n_rows(x: Any) -> Any:
    return ops.shape(next(tensor for tensor in tree.flatten(x) if tensor is not None))[0]


def _mask_rows(output: Any, rows: Any) -> None:
    """Keras' losses and metrics leave out what the mask of their predictions leaves out."""
    shape = ops.shape(output)[:-1]
    mask = ops.broadcast_to(ops.reshape(rows, (-1, *[1] * (len(shape) - 1))), shape)
    output_mask = mask_of(output)
    if output_mask is not None and len(output_mask.shape) == len(mask.shape):
        mask = ops.logical_and(mask, output_mask)
    set_mask(output, mask)


def _update_metrics(model: Any, y: Any, outputs: Any, sample_weight: Any, rows: Any) -> None:
    """`Model.compute_metrics` over the real rows: all others have weight 0, in `metrics` too."""
    unweighted, weighted = metrics_by_output(model)
    if not unweighted and not weighted:
        return
    is_real = ops.cast(rows, keras.config.floatx())
    for metric in unweighted:
        metric.update_state(tree.flatten(y)[0], tree.flatten(outputs)[0], is_real)
    weight = (
        is_real if sample_weight is None else _weights_of_real_rows(tree.flatten(sample_weight)[0], is_real)
    )
    for metric in weighted:
        metric.update_state(tree.flatten(y)[0], tree.flatten(outputs)[0], weight)


def _weights_of_real_rows(sample_weight: Any, is_real: Any) -> Any:
    return sample_weight * ops.reshape(is_real, (-1, *[1] * (len(sample_weight.shape) - 1)))


@contextmanager
def _dropping(layers: Sequence[Any], kept_units: Sequence[Any] | None) -> Iterator[None]:
    """Inside, these Dropout layers keep these units."""
    if kept_units is None:
        yield
        return
    calls = [_dropout_call(layer, units) for layer, units in zip(layers, kept_units, strict=True)]
    with temporary_values(*[(vars(layer), "call", call) for layer, call in zip(layers, calls, strict=True)]):
        yield


def _dropout_call(layer: Any, kept_units: Any) -> Callable[..., Any]:
    """Keras' Dropout with random numbers from outside."""

    def call(inputs: Any, training: bool = True) -> Any:  # noqa: ARG001  (Keras passes it)
        layer.seed_generator.next()
        scale = ops.cast(1 / (1 - layer.rate), inputs.dtype)
        return ops.where(kept_units, inputs * scale, ops.zeros_like(inputs))

    return call


def _check_logs(model: Any, logs: dict[str, Any]) -> None:
    """Refuse logs that are not metrics of the model: Keras would show those of the last batch."""
    overrides = type(model).compute_metrics is not keras.Model.compute_metrics
    if overrides and flat_logs(logs).keys() != flat_logs(model.get_metrics_result()).keys():
        raise CannotCompile(
            f"{type(model).__name__}.compute_metrics returns logs that are not metrics of the model"
        )


def _check_assignments(scope: Any, pairs: list[tuple[Any, Any]], trainable: list[Any]) -> None:
    """Refuse a forward pass that assigns to variables that are not in the state."""
    values = {id(variable): value for variable, value in pairs}
    if scope.state_mapping.keys() - values.keys():
        raise CannotCompile(
            "the model assigns to variables that it does not track; make them attributes of a layer (for "
            "random numbers, a keras.random.SeedGenerator)"
        )
    for variable in trainable:
        if scope.get_current_value(variable) is not values[id(variable)]:
            raise CannotCompile(
                f"the model assigns to its trainable weight {variable.path} in its forward pass"
            )
