"""Callbacks that set the dropout rates and the weight decay of every step."""

from collections.abc import MutableMapping, Sequence
from typing import Any, NamedTuple

import keras

from kerashp._compat.keras import flatten_layers
from kerashp.training._keras.learning_rates import has_hooks_of, steps_of_epoch
from kerashp.training._keras.numbers import lifted_number
from kerashp.training._keras.optimizers import inner_optimizer
from kerashp.training._members.rates import ScheduledFactors


class RegularizationCallback(keras.callbacks.Callback):
    """Base of callbacks that multiply dropout rates and weight decay by factors, which follow schedules.

    `Model.fit` calls the hooks at every batch; `kerashp.fit` and the searches call `factors` instead. Between
    batches, the model has its own rates and weight decay.
    """

    def factors(self, steps_per_epoch: int) -> tuple[Any, Any]:
        """The schedules of the factors of dropout rates and of weight decay, of steps from epoch 0 on."""
        raise NotImplementedError(f"{type(self).__name__} must have a method factors")

    def described(self) -> str:
        """Its name in errors."""
        return type(self).__name__

    def on_train_begin(self, logs: Any = None) -> None:
        self._step_factors: ScheduledFactors | None = None
        self._places: list[_Place] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self._step_factors is None:
            self._step_factors = self._begin()
        factors = self._step_factors.next(1)[0]
        for place in self._places:
            place.variable.assign(place.value * factors[place.factor])
            place.mapping[place.name] = lifted_number(place.variable)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        for place in self._places:
            place.mapping[place.name] = place.value

    def on_train_end(self, logs: Any = None) -> None:
        if self._places:
            self.model.train_function = None  # it reads the variables of this training

    def _begin(self) -> ScheduledFactors:
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                f"{self.described()} needs compiled training on the {keras.backend.backend()} backend; "
                "remove what makes Model.fit train, which the FallbackWarning names"
            )
        n_steps = steps_of_epoch(self.model, self.params, self.described())
        self._places = _places_of(self.model)
        self.model.make_train_function(force=True)  # an earlier one has the numbers compiled in
        return ScheduledFactors(self, n_steps, self._epoch)


class _Place(NamedTuple):
    """Where Keras looks a number up, its value, and which of the factors multiplies it."""

    mapping: MutableMapping[str, Any]
    name: str
    value: float
    factor: int
    variable: keras.Variable


def _places_of(model: Any) -> list[_Place]:
    dropouts = [layer for layer in flatten_layers(model) if type(layer) is keras.layers.Dropout]
    owners = [*[(layer, "rate", 0) for layer in dropouts], (inner_optimizer(model), "weight_decay", 1)]
    return [
        _Place(vars(owner), name, value, factor, keras.Variable(value, trainable=False))
        for owner, name, factor in owners
        if (value := getattr(owner, name))
    ]


def is_only_a_regularization(callback: Any) -> bool:
    """Whether a callback does nothing but set dropout rates and weight decay."""
    return has_hooks_of(callback, RegularizationCallback)


def regularization_among(callbacks: Sequence[Any]) -> RegularizationCallback | None:
    """The callback that sets dropout rates and weight decay, if there is one."""
    return next((c for c in callbacks if isinstance(c, RegularizationCallback)), None)
