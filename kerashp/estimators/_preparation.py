"""All that comes before the training of a fit: checked rows, a model that suits them, and arguments."""

import math
from abc import abstractmethod
from collections.abc import Hashable
from numbers import Integral
from typing import Any, ClassVar

import keras
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from kerashp._compat.sklearn import validate_parameter_constraints
from kerashp.callbacks import ModelCheckpoint
from kerashp.estimators._data.losses import check_loss, check_values, loss_of
from kerashp.estimators._data.magnitudes import check_inputs, check_targets
from kerashp.estimators._data.metrics import check_metrics
from kerashp.estimators._data.models import check_optimizer, output_width
from kerashp.estimators._data.rows import (
    Rows,
    apply_class_weight,
    checked_rows,
    drop_zero_weights,
    hold_out,
    last_rows,
)
from kerashp.estimators._data.targets import ValueEncoder
from kerashp.estimators._parameters.constraints import CALL_CONSTRAINTS
from kerashp.estimators._parameters.schedules import named_schedule
from kerashp.estimators._training.callbacks import check_monitors, copy_callbacks
from kerashp.estimators._training.convergence import has_early_stopping, resolved_epochs
from kerashp.estimators._training.handover import build_once, fixed_epochs, horizon
from kerashp.estimators._training.pending import architecture_of, model_of
from kerashp.estimators._training.warm_start import start_from
from kerashp.training import InputStatistics, isolated

_MAX_SEED = np.iinfo(np.int32).max
_VALIDATION_ARGUMENTS = ("validation_steps", "validation_freq")


def _with_fixed_epochs(arguments: dict[str, Any], *, validated: bool) -> dict[str, Any]:
    """The arguments with the number of epochs that a search fixes, which holds out no rows."""
    epochs = fixed_epochs()
    if epochs is None:
        return arguments
    arguments_kept = {
        name: value for name, value in arguments.items() if validated or name not in _VALIDATION_ARGUMENTS
    }
    return {**arguments_kept, "epochs": arguments.get("initial_epoch", 0) + epochs}


class FitPreparation(BaseEstimator):
    """Turns the arguments of `fit` into those of `kerashp.fit`; subclasses say how a model is built."""

    _takes_axes: ClassVar[bool] = True  # whether rows may have more than one axis
    _encodes_columns: ClassVar[bool] = False  # whether columns may be categories and numbers be missing
    _remedy_for_text: ClassVar[str] = "Encode text and dates, say with sklearn.preprocessing.OneHotEncoder"
    _statistics: InputStatistics | None = None  # of the inputs, with which a new network standardises them
    _dtype_of_X: np.dtype  # of X in `fit`, before it was cast

    # Methods of subclasses.

    @abstractmethod
    def _build(self, X: np.ndarray) -> keras.Model:
        """Build a compiled model for rows like those of X; seeds and float type are set by the caller."""

    @abstractmethod
    def _fit_arguments(self, n_samples: int) -> dict[str, Any]:
        """The arguments of `Model.fit` that the parameters set; arguments of the call override them."""

    @abstractmethod
    def _new_target_encoder(self, classes: np.ndarray | None) -> Any:
        """A new, unfitted encoder of the targets."""

    def _convergence(self) -> list[keras.callbacks.Callback]:
        """The callback that ends training when the loss stops falling, if the parameters request one."""
        return []

    def _regularization(self, epochs: int) -> list[keras.callbacks.Callback]:
        """The callback that sets dropout rates and weight decay, if the parameters request one."""
        return []

    def _model_input(self, X: np.ndarray) -> Any:
        """X in the form that the model takes: an array, or a list or dict of arrays."""
        return X

    def _width(self, model: keras.Model, X: np.ndarray) -> int:
        """The width of the model's output for rows like those of X."""
        return output_width(model, self._model_input(X[:1]))

    def _dtype(self) -> str | None:
        """The float type that the parameters set; None for Keras' float type and dtype policy."""
        return None

    @property
    def model_(self) -> keras.Model:
        """The trained model."""
        if "model_" not in vars(self):
            raise AttributeError(f"This {type(self).__name__} is not fitted: it has no model_ yet")
        return self._network

    @model_.setter
    def model_(self, network: Any) -> None:
        self.__dict__["model_"] = network

    @property
    def _network(self) -> keras.Model:
        """The network that trains and predicts: `model_` without the layers that a subclass adds."""
        network: keras.Model = model_of(vars(self)["model_"])
        self.__dict__["model_"] = network
        return network

    @property
    def _architecture(self) -> keras.Model:
        """A model of the network's layers, loss and metrics, whose widths and values may be others."""
        return architecture_of(vars(self)["model_"])

    def _check_loaded(self) -> None:
        """Check that what was loaded fits the model."""

    def _adopt(self, model: keras.Model) -> None:
        """Set the model that was loaded from a file."""
        self.model_ = model

    def _standardize(self, rows: Rows, all_rows: Rows) -> None:
        """Compute statistics of the rows of a new fit, before their targets are encoded.

        `rows` are the training rows; `all_rows` include those held out for validation.
        """

    def _floatx(self) -> str:
        return self._dtype() or keras.config.floatx()

    # Steps of the preparation.

    def _checked_call(self, call: dict[str, Any]) -> dict[str, Any]:
        """The arguments of `fit` that are not None."""
        arguments = {name: value for name, value in call.items() if value is not None}
        name = type(self).__name__
        validate_parameter_constraints(CALL_CONSTRAINTS, arguments, caller_name=f"{name}.fit")
        frequency = arguments.get("validation_freq", 1)
        epochs = [] if isinstance(frequency, Integral) else frequency
        if not all(isinstance(epoch, Integral) and int(epoch) >= 1 for epoch in epochs):
            raise ValueError(
                f"validation_freq must be an int or a list of epochs, counted from 1; got {frequency!r}"
            )
        if "class_weight" in arguments and not hasattr(self, "predict_proba"):
            raise ValueError(f"{name}.fit got class_weight, which is for classifiers; use sample_weight")
        return arguments

    def _start(self, rows: Rows, classes: np.ndarray | None) -> None:
        """Begin a new fit: a new random state, and an encoder for the targets."""
        self._random = check_random_state(self.random_state)
        self._input_shape = rows.X.shape[1:]
        self.target_encoder_ = self._new_target_encoder(classes).fit(rows.y)
        if isinstance(self.target_encoder_, ValueEncoder):
            self.target_encoder_.narrow(self._float_type())

    def _continue_fit(self, rows: Rows, *, partial: bool) -> None:
        """Continue with the model of an earlier fit; subclasses adapt it to the rows."""

    def _float_type(self) -> np.dtype:
        """The float type of predictions: Keras' float type, or that of X in `fit` if it is wider."""
        floatx = np.dtype(self._floatx())
        return np.result_type(self._dtype_of_X, floatx) if self._dtype_of_X.kind == "f" else floatx

    def _next_seed(self) -> int:
        return self._random.randint(_MAX_SEED)

    def _prepare(
        self, all_rows: Rows, validation_data: Any, call: dict[str, Any], *, fresh: bool, partial: bool
    ) -> tuple[Rows, Rows | None, dict[str, Any]]:
        """Build the model if it is new; return the encoded training and validation rows and the arguments."""
        seed = self._next_seed()
        stops = self.early_stopping and not partial and fixed_epochs() is None
        with isolated(seed, self._dtype()):
            if fresh:
                key = self._build_key(all_rows, seed)
                self.model_, width = build_once(key, lambda: self._new_model_and_width(all_rows.X, seed))
            else:
                width = self._width(self._network, all_rows.X)
            self._bind(all_rows, width)
            rows, held_out = self._split_rows(all_rows, validation_data, call, stops=stops, seed=seed)
            if fresh:
                self._standardize(rows, all_rows)
            validation = self._validation_rows(held_out, validation_data)
            arguments = self._training_arguments(len(rows.X), validation, call, stops=stops, partial=partial)
            rows = drop_zero_weights(
                apply_class_weight(rows, arguments.pop("class_weight", None), self.target_encoder_)
            )
            self._check_classes(rows, partial=partial)
            rows = self._encoded(rows)
            check_inputs(self._architecture, rows.X)
            check_optimizer(self._architecture)
        return rows, validation, arguments

    def _encoded(self, rows: Rows) -> Rows:
        """The rows in the form that the model takes, with encoded targets."""
        return rows._replace(X=self._model_input(rows.X), y=self.target_encoder_.transform(rows.y))

    def _new_model_and_width(self, X: np.ndarray, seed: int) -> tuple[Any, int]:
        """A new network, which may be a PendingNetwork in a search, and the width of its output.

        `seed` is what the caller has seeded the generators with.
        """
        model = self._build(X)
        width = self._width(model, X)
        if self.warm_start_from is not None:
            start_from(model, self.warm_start_from, getattr(self, "classes_", None))
        return model, width

    def _build_key(self, rows: Rows, seed: int) -> Hashable | None:
        """Fits with equal parameters and keys build equal models; None if models cannot be compared."""
        encoder = self.target_encoder_
        return seed, rows.X.shape, encoder.task_, encoder.width_

    def _check_classes(self, rows: Rows, *, partial: bool) -> None:
        """Check the classes of a classifier's training rows."""

    def _bind(self, rows: Rows, width: int) -> None:
        """Adapt the encoder to the model; refuse a model whose output or loss does not fit the target."""
        encoder, loss = self.target_encoder_, loss_of(self._architecture)
        check_loss(loss, encoder.task_, width, encoder.width_)
        encoder.bind(width, loss)
        if encoder.task_ != "regression":
            check_metrics(self._architecture, loss, encoder.task_, width, one_hot=encoder.one_hot_)
        self._check_values(rows)

    def _check_values(self, rows: Rows) -> None:
        if self.target_encoder_.task_ == "regression":
            check_values(loss_of(self._architecture), rows.y)
            check_targets(loss_of(self._architecture), rows.y)

    def _split_rows(
        self, rows: Rows, validation_data: Any, call: dict[str, Any], *, stops: bool, seed: int
    ) -> tuple[Rows, Rows | None]:
        """The training rows, and the rows held out for validation if the call or early stopping requires it.

        Rows are split before class weights are computed, which depend on the training rows only.
        """
        split = call.get("validation_split", self._fit_arguments(len(rows.X)).get("validation_split", 0.0))
        if validation_data is not None:
            if call.get("validation_split"):
                raise ValueError("fit got both validation_data and validation_split; pass one of them")
            return rows, None
        if fixed_epochs() is not None or not (stops or split):
            return rows, None
        if stops and split:
            raise ValueError(
                f"early_stopping=True holds out validation_fraction={self.validation_fraction} of the rows, "
                f"and validation_split={split} would hold out another part; set one of them"
            )
        if split:
            return last_rows(rows, split)
        stratify = self.target_encoder_.task_ in ("binary", "multiclass")
        return hold_out(rows, self.validation_fraction, stratify=stratify, seed=seed)

    def _validation_rows(self, held_out: Rows | None, validation_data: Any) -> Rows | None:
        """The encoded validation rows."""
        if validation_data is not None:
            return self._checked_validation(validation_data)
        return None if held_out is None else self._encoded(held_out)

    def _checked_validation(self, validation_data: Any) -> Rows:
        if not isinstance(validation_data, list | tuple) or len(validation_data) not in (2, 3):
            raise TypeError(
                "validation_data must be a tuple (X, y) or (X, y, sample_weight); "
                f"got {type(validation_data).__name__}"
                + (f" of length {len(validation_data)}" if isinstance(validation_data, list | tuple) else "")
            )
        X, y, sample_weight = (*validation_data, None)[:3]
        try:
            rows = checked_rows(self, X, y, sample_weight, self._floatx(), reset=False)
            self._check_values(rows)
            return self._encoded(rows)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"validation_data: {error}") from error

    def _training_arguments(
        self, n_samples: int, validation: Rows | None, call: dict[str, Any], *, stops: bool, partial: bool
    ) -> dict[str, Any]:
        """The arguments of `kerashp.fit` except the training rows, and `class_weight`."""
        parameters = self._fit_arguments(n_samples)
        epochs = parameters["epochs"] if partial else call.get("epochs", parameters["epochs"])
        epochs = resolved_epochs({**parameters, **call, "epochs": epochs}, n_samples)
        arguments = {**parameters, "epochs": epochs, **call}
        arguments = _with_fixed_epochs(arguments, validated=validation is not None)
        arguments.pop("validation_split", None)  # `validation` has these rows
        if validation is not None:
            weight = [] if validation.sample_weight is None else [validation.sample_weight]
            arguments["validation_data"] = (validation.X, validation.y, *weight)
        callbacks = self._training_callbacks(epochs, call.get("callbacks"), stops=stops, partial=partial)
        check_monitors(callbacks, validated=validation is not None)
        self._check_arguments(arguments)
        return {**arguments, "callbacks": callbacks}

    def _training_callbacks(
        self, epochs: int, callbacks_of_call: Any, *, stops: bool, partial: bool
    ) -> list[keras.callbacks.Callback]:
        callbacks = copy_callbacks([self._callbacks_parameter(), callbacks_of_call])
        callbacks += named_schedule(self.schedule, self.warmup_epochs, horizon(epochs))
        callbacks += self._regularization(horizon(epochs))
        if fixed_epochs() is not None:
            callbacks = [c for c in callbacks if not isinstance(c, keras.callbacks.EarlyStopping)]
        if stops:
            callbacks.append(
                keras.callbacks.EarlyStopping(
                    "val_loss",
                    patience=math.inf if self.patience is None else self.patience,
                    min_delta=self.min_delta,
                    restore_best_weights=self.restore_best_weights,
                )
            )
        elif not partial and fixed_epochs() is None and not has_early_stopping(callbacks):
            callbacks += self._convergence()
        # A checkpoint saves the state of the other callbacks after they have processed the epoch.
        callbacks.sort(key=lambda callback: isinstance(callback, ModelCheckpoint))
        return callbacks

    def _check_arguments(self, arguments: dict[str, Any]) -> None:
        unused = [name for name in _VALIDATION_ARGUMENTS if name in arguments]
        if unused and "validation_data" not in arguments:
            raise ValueError(
                f"{type(self).__name__} got {unused[0]}={arguments[unused[0]]!r}, but there are no "
                "validation data; pass validation_data=(X, y) or validation_split, or set early_stopping=True"
            )
        epochs, initial_epoch = arguments["epochs"], arguments.get("initial_epoch", 0)
        if epochs <= initial_epoch:
            raise ValueError(
                f"epochs={epochs}, where training ends, must be greater than "
                f"initial_epoch={initial_epoch}, where it begins; pass more epochs"
            )

    def _callbacks_parameter(self) -> Any:
        """The parameter `callbacks`, with the classes in it replaced by objects."""
        return self.callbacks
