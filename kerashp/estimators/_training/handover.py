"""How a search takes the training out of a fit, and puts what was trained into the same fit.

The first time, a fit runs up to its training and stops there: whatever stands around the estimator (a
pipeline, a transformed target) has done its part by then, and nothing of it has to be known. The second time,
the fit goes on from there, with what has been trained meanwhile. An ensemble takes the network's outputs out
of a prediction in the same way.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kerashp.estimators._data.rows import Rows
from kerashp.estimators._training.arguments import FitArguments
from kerashp.training import Statistics

Outputs = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class EstimatorState:
    """An estimator's attributes at the point where its training begins."""

    attributes: dict[str, Any]

    @property
    def model(self) -> Any:
        """The network that is trained."""
        return self.attributes["model_"]

    @property
    def target_encoder(self) -> Any:
        """The fitted encoder of the targets."""
        return self.attributes["target_encoder_"]

    def restore(self, estimator: Any) -> None:
        """Give an estimator these attributes."""
        vars(estimator).update(self.attributes)

    def release(self) -> None:
        """Drop the attributes, so that the memory of the model can be freed."""
        self.attributes.clear()


@dataclass(frozen=True)
class Fitting:
    """A fit that is ready to train."""

    rows: Rows  # with their targets encoded
    validation: Rows | None  # likewise
    arguments: FitArguments
    seed: int  # of the order of the rows
    dtype: str | None  # Keras' float type, where the estimator sets it
    state: EstimatorState
    statistics: Statistics | None = None  # of the inputs, which the network does not have yet


@dataclass(frozen=True)
class Resumed:
    """What a fit goes on from that was trained elsewhere."""

    state: EstimatorState
    arguments: FitArguments
    history: dict[str, list[float]]
    outputs: Outputs  # the model's for rows


class Suspended(BaseException):
    """A fit stops where its training would begin. No error: whoever catches errors lets it pass.

    `passed` are all rows of the fit as they were checked, in which those of `fitting` have their positions.
    """

    def __init__(self, fitting: Fitting, passed: Rows):
        super().__init__()
        self.fitting = fitting
        self.passed = passed


class Asked(BaseException):
    """A prediction stops where it needs the outputs of a model for rows X. No error, like `Suspended`."""

    def __init__(self, model: Any, X: np.ndarray):
        super().__init__()
        self.model = model
        self.X = X
        self.floatx: str = keras.config.floatx()  # that it computes in


_MODELS: ContextVar[dict[Hashable, Any] | None] = ContextVar("models", default=None)
_WAITING: ContextVar[Resumed | None] = ContextVar("waiting", default=None)
_GIVEN: ContextVar[tuple[Any, Outputs] | None] = ContextVar("given", default=None)
_ASKING: ContextVar[bool] = ContextVar("asking", default=False)
_HORIZON: ContextVar[int | None] = ContextVar("horizon", default=None)
_EPOCHS: ContextVar[Callable[[], int | None] | None] = ContextVar("epochs", default=None)


@contextmanager
def _holding(variable: ContextVar[Any], value: Any) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def suspending(models: dict[Hashable, Any]) -> AbstractContextManager[None]:
    """Inside, an estimator's fit raises `Suspended`; fits that build equal models take them from `models`."""
    return _holding(_MODELS, models)


def suspend(fitting: Fitting, passed: Callable[[], Rows]) -> None:
    """Stop here, where a search asks for it, with the rows that were passed, as the model takes them."""
    if _MODELS.get() is not None:
        raise Suspended(fitting, passed())


def built_once(key: Hashable | None, build: Callable[[], Any]) -> Any:
    """A fit's model, or what belongs to it; fits that are suspended share those of an equal key, but None."""
    models = _MODELS.get()
    if models is None or key is None:
        return build()
    if key not in models:
        models[key] = build()
    return models[key]


@contextmanager
def resuming(resumed: Resumed) -> Iterator[None]:
    """Inside, the first fit goes on from there, and the predictions of its model are those given."""
    with _holding(_WAITING, resumed), giving(resumed.state.model, resumed.outputs):
        yield


def giving(model: Any, outputs: Outputs) -> AbstractContextManager[None]:
    """Inside, the predictions of this model are those given."""
    return _holding(_GIVEN, (model, outputs))


def asking() -> AbstractContextManager[None]:
    """Inside, an estimator's prediction raises `Asked`."""
    return _holding(_ASKING, True)


def taken() -> Resumed | None:
    """What this fit goes on from, if there is anything; it is taken once."""
    resumed = _WAITING.get()
    _WAITING.set(None)
    return resumed


def given_outputs(model: Any, X: Any) -> Any:
    """The model's outputs for rows X, where somebody computes them; None where nobody does.

    Nobody is asked for those of a model of several inputs or outputs.
    """
    n_outputs = len(getattr(model, "outputs", None) or [model])  # a model of the user's own class has none
    if _ASKING.get() and isinstance(X, np.ndarray) and n_outputs == 1:
        raise Asked(model, X)
    given = _GIVEN.get()
    return given[1](X) if given is not None and given[0] is model else None


def training_for(epochs: Callable[[], int | None] | None) -> AbstractContextManager[None]:
    """Inside, fits hold out nothing and train for so many epochs; as they would otherwise if None."""
    return _holding(_EPOCHS, epochs)


def scheduling_for(epochs: int | None) -> AbstractContextManager[None]:
    """Inside, schedules of fits are those of so many epochs, though a fit may end before; None: its own."""
    return _holding(_HORIZON, epochs)


def has_horizon() -> bool:
    """Whether a search hands out the epochs, and a fit may go on later."""
    return _HORIZON.get() is not None


def horizon(epochs: int) -> int:
    """The epochs that a schedule is stretched over, in a fit of so many."""
    told = _HORIZON.get()
    return epochs if told is None else told


def epochs_told() -> int | None:
    """For how many epochs to train, whatever the estimator says; None where nobody says so."""
    epochs = _EPOCHS.get()
    return None if epochs is None else epochs()
