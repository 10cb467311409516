"""How a search suspends a fit before its training, and resumes it after the training.

The first call of `fit` runs up to the training and is suspended there. By then, the meta-estimators around
the estimator (a pipeline, a transformed target) have done their part, and the search need not know them. The
second call of `fit` resumes at that point with the trained model. An ensemble computes the network's outputs
of several predictions in the same way.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from kerashp.estimators._data.rows import Rows
from kerashp.estimators._training.arguments import FitArguments
from kerashp.estimators._training.pending import architecture_of, model_of
from kerashp.training import InputStatistics

Outputs = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class EstimatorState:
    """An estimator's attributes at the point where its training begins."""

    attributes: dict[str, Any]

    @property
    def network(self) -> Any:
        """The network that is trained: a model, or a PendingNetwork."""
        return self.attributes["model_"]

    @property
    def architecture(self) -> keras.Model:
        """A model of the network's layers, loss and metrics, whose widths and values may be others."""
        return architecture_of(self.network)

    def with_network(self, network: Any) -> "EstimatorState":
        """The state with another form of the network."""
        return EstimatorState(self.attributes | {"model_": network})

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

    rows: Rows  # the training rows, with encoded targets
    validation: Rows | None  # the validation rows, with encoded targets
    arguments: FitArguments
    seed: int  # for the order of the rows
    dtype: str | None  # Keras' float type, if the estimator sets it
    state: EstimatorState
    all_rows: Callable[[], Rows]  # the checked rows that were passed to `fit`, as the model takes them
    statistics: InputStatistics | None = None  # of the inputs; the network gets them before it trains


@dataclass(frozen=True)
class ResumedFit:
    """The state and the results of a training with which a fit resumes."""

    state: EstimatorState
    arguments: FitArguments
    history: dict[str, list[float]]
    outputs: Outputs  # computes the model's outputs for rows


class FitSuspended(BaseException):
    """Ends a fit before its training. It is not an `Exception`, so that handlers of errors let it pass."""

    def __init__(self, fitting: Fitting):
        super().__init__()
        self.fitting = fitting


# Trains the network of a fit; None: the fit has to train it.
Trainer = Callable[[Fitting], dict[str, list[float]] | None]


class PredictionSuspended(BaseException):
    """Ends a prediction before a model's outputs for X are computed. Like `FitSuspended`, it is no error."""

    def __init__(self, model: Any, X: np.ndarray):
        super().__init__()
        self.model = model
        self.X = X
        self.floatx: str = keras.config.floatx()  # the float type of the computation


_SHARED_MODELS: ContextVar[dict[Hashable, Any] | None] = ContextVar("shared_models", default=None)
_RESUMED_FIT: ContextVar[ResumedFit | None] = ContextVar("resumed_fit", default=None)
_SUBSTITUTE: ContextVar[tuple[Any, Outputs] | None] = ContextVar("substitute", default=None)
_SUSPENDS_PREDICTIONS: ContextVar[bool] = ContextVar("suspends_predictions", default=False)
_TRAINER: ContextVar[Trainer | None] = ContextVar("trainer", default=None)
_HORIZON: ContextVar[int | None] = ContextVar("horizon", default=None)
_FIXED_EPOCHS: ContextVar[Callable[[], int | None] | None] = ContextVar("fixed_epochs", default=None)
_ONE_HOT_TARGETS: ContextVar[bool] = ContextVar("one_hot_targets", default=False)


@contextmanager
def _setting(variable: ContextVar[Any], value: Any) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def suspending(models: dict[Hashable, Any]) -> AbstractContextManager[None]:
    """Inside, an estimator's fit raises `FitSuspended`, and fits that build equal models share them."""
    return _setting(_SHARED_MODELS, models)


def is_suspending() -> bool:
    """Whether the current fit will be suspended before its training."""
    return _SHARED_MODELS.get() is not None


def suspend_if_requested(fitting: Fitting) -> None:
    """Raise `FitSuspended` inside `suspending`."""
    if is_suspending():
        rows = fitting.all_rows()  # while the estimator has its encoders
        raise FitSuspended(replace(fitting, all_rows=lambda: rows))


def build_once(key: Hashable | None, build: Callable[[], Any]) -> Any:
    """Call `build`, but only once for all suspended fits with an equal key; a key of None is never shared."""
    models = _SHARED_MODELS.get()
    if models is None or key is None:
        return build()
    if key not in models:
        models[key] = build()
    return models[key]


@contextmanager
def resuming(resumed: ResumedFit) -> Iterator[None]:
    """Inside, the first fit resumes from `resumed`, and its model predicts the outputs in it."""
    with _setting(_RESUMED_FIT, resumed), substituting_outputs(resumed.state.network, resumed.outputs):
        yield


def substituting_outputs(network: Any, outputs: Outputs) -> AbstractContextManager[None]:
    """Inside, estimators call `outputs` instead of this network."""
    return _setting(_SUBSTITUTE, (network, outputs))


def suspending_predictions() -> AbstractContextManager[None]:
    """Inside, an estimator's prediction raises `PredictionSuspended`."""
    return _setting(_SUSPENDS_PREDICTIONS, True)


def take_resumed_fit() -> ResumedFit | None:
    """The state from which the current fit resumes, if any; only the first call returns it."""
    resumed = _RESUMED_FIT.get()
    _RESUMED_FIT.set(None)
    return resumed


def substituted_outputs(network: Any, X: Any) -> Any:
    """The outputs for X that `substituting_outputs` provides; None if the network has to compute them.

    Predictions of models with several inputs or outputs are not suspended.
    """
    model = architecture_of(network)
    n_outputs = len(getattr(model, "outputs", None) or [model])  # a custom model class has no outputs
    if _SUSPENDS_PREDICTIONS.get() and isinstance(X, np.ndarray) and n_outputs == 1:
        raise PredictionSuspended(model_of(network), X)
    substitute = _SUBSTITUTE.get()
    return substitute[1](X) if substitute is not None and substitute[0] is network else None


def training_by(trainer: Trainer | None) -> AbstractContextManager[None]:
    """Inside, fits let `trainer` train their network, if it does."""
    return _setting(_TRAINER, trainer)


def trained_by_trainer(fitting: Fitting) -> dict[str, list[float]] | None:
    """The history of the training by the trainer of `training_by`; None where it does not train the fit."""
    trainer = _TRAINER.get()
    return None if trainer is None else trainer(fitting)


def training_for(epochs: Callable[[], int | None] | None) -> AbstractContextManager[None]:
    """Inside, fits hold out no rows and train for `epochs()` epochs; None leaves fits unchanged."""
    return _setting(_FIXED_EPOCHS, epochs)


def scheduling_for(epochs: int | None) -> AbstractContextManager[None]:
    """Inside, schedules extend over `epochs` epochs, even if a fit trains fewer; None changes nothing."""
    return _setting(_HORIZON, epochs)


def with_one_hot_targets(one_hot: bool) -> AbstractContextManager[None]:
    """Inside, suspended multiclass fits have one-hot targets if `one_hot`, also without label smoothing.

    Candidates with label smoothing need them, and candidates without it then train together with those.
    """
    return _setting(_ONE_HOT_TARGETS, one_hot)


def has_one_hot_targets() -> bool:
    """Whether the current fit is a suspended one inside `with_one_hot_targets(True)`."""
    return is_suspending() and _ONE_HOT_TARGETS.get()


def has_horizon() -> bool:
    """Whether a search assigns epochs to fits, which it may continue later."""
    return _HORIZON.get() is not None


def horizon(epochs: int) -> int:
    """The epochs over which a schedule extends in a fit of `epochs` epochs."""
    search_epochs = _HORIZON.get()
    return epochs if search_epochs is None else search_epochs


def fixed_epochs() -> int | None:
    """The number of epochs that `training_for` sets; None outside of it."""
    epochs = _FIXED_EPOCHS.get()
    return None if epochs is None else epochs()
