"""Estimators around any function that returns a Keras model, or any Keras model; based on scikeras."""

from collections.abc import Hashable
from dataclasses import replace
from typing import Any, ClassVar, Self

import keras
import numpy as np
from sklearn.metrics import accuracy_score, r2_score

from kerashp._compat.scikeras import loss_name, route_params
from kerashp.estimators._base import restored_on_error
from kerashp.estimators._continuation import ContinuedFits, n_dims
from kerashp.estimators._data.losses import loss_of
from kerashp.estimators._data.metrics import needs_one_hot
from kerashp.estimators._data.models import new_model_with_offers
from kerashp.estimators._data.rows import Rows, checked_rows
from kerashp.estimators._data.targets import data_arguments
from kerashp.estimators._encoders import EncoderMixin
from kerashp.estimators._mixins import KerasClassifierMixin, KerasRegressorMixin
from kerashp.estimators._parameters.parameters import COMPILE_DEFAULTS
from kerashp.estimators._parameters.signatures import (
    SCIKERAS_ARGUMENTS,
    arguments_for_kwargs,
    defaults_of,
    display_name,
    is_same_value,
    keras_tuner_remedy,
    names_of,
    takes_any,
)
from kerashp.estimators._routing import PredictionCalls, ProbabilityCalls, RoutedCalls
from kerashp.estimators._training.handover import has_one_hot_targets, is_suspending
from kerashp.estimators._training.pending import architecture_of
from kerashp.estimators._training.prototypes import network_like, pending_network
from kerashp.models import build_model, designed, loss_for
from kerashp.training import isolated

_COMPILE_ROUTES = ("optimizer__", "loss__", "metrics__", "compile__")


class _Wrapper(ContinuedFits, RoutedCalls):
    """Builds and compiles a model according to scikeras' rules."""

    def _validate_params(self) -> None:
        if self.model is None and not self._has_build_method():
            raise ValueError(
                f"The 'model' parameter of {type(self).__name__} must be a callable. Got None instead: call "
                "set_params(model=...) with a function that returns a Keras model, or with a model; load "
                "cannot restore the function of a saved estimator"
            )
        remedy = None if "hp" in self._params else keras_tuner_remedy(self.model)
        if remedy is not None:
            raise TypeError(
                f"{type(self).__name__} calls its model function with its parameters, but {remedy}"
            )
        super()._validate_params()

    # Building.

    def _build(self, X: np.ndarray) -> keras.Model:
        if self._has_build_method() and self.model is not None:
            raise ValueError(
                f"{type(self).__name__} cannot implement ``_keras_build_fn`` and have the "
                f"model {display_name(self.model)}, too: pass model=None, or use a class without that method"
            )
        offers = {name: self._scikeras_argument(name) for name in arguments_for_kwargs(self._function)}
        model = new_model_with_offers(self._function, self._model_arguments(X), offers)
        if not model.compiled:
            model.compile(**self._compile_arguments(self._task_of(model, X)))
        elif not self._compiled_by_parameters(model, offers.get("compile_kwargs")):
            self._refuse_unused(model)
        return model

    def _new_model_and_width(self, X: np.ndarray, seed: int) -> tuple[Any, int]:
        is_overridden = type(self)._build is not _Wrapper._build or self._has_build_method()
        can_be_described = self._function is build_model and not is_overridden
        if not is_suspending() or self.warm_start_from is not None:
            return super()._new_model_and_width(X, seed)
        if not can_be_described:
            model, width = super()._new_model_and_width(X, seed)
            return network_like(model) or model, width
        design = replace(designed(**self._model_arguments(X)), one_hot=has_one_hot_targets())
        network = pending_network(design, seed) if design.inputs.shape == X.shape[1:] else None
        if network is None:
            network = design.build()
        self._refuse_unused(architecture_of(network))
        width = self._width(network, X) if isinstance(network, keras.Model) else design.n_outputs
        return network, width

    def _compiled_by_parameters(self, model: keras.Model, offer: dict[str, Any] | None) -> bool:
        """Whether the model function compiled the model with the `compile_kwargs` that were passed to it.

        A function that names them is assumed to use them; otherwise the model must have their optimizer.
        """
        if "compile_kwargs" in names_of(self._function, with_scikeras=True):
            return True
        # A LossScaleOptimizer has another inside.
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        return offer is not None and optimizer is offer["optimizer"]

    def _build_key(self, rows: Rows, seed: int) -> Hashable | None:
        names = [*names_of(self._function, with_scikeras=True), *arguments_for_kwargs(self._function)]
        depends_on_data = (
            "meta" in names or self._has_build_method() or self._encodes_targets or self._encodes_features
        )
        return None if depends_on_data else super()._build_key(rows, seed)

    def _model_arguments(self, X: np.ndarray) -> dict[str, Any]:
        """The arguments of the model function; unset ones that describe the data follow from X and y."""
        if isinstance(self._function, keras.Model):
            return {}
        defaults, names = defaults_of(self._function), names_of(self._function, with_scikeras=True)
        routed_names = set(names)
        if takes_any(self._function):
            routed_names |= set(self._params) - set(self._defaults)
        params = self.get_params(deep=False)
        arguments = route_params(params, destination="model", pass_filter=routed_names, strict=True)
        arguments.pop("model", None)
        for name, value in data_arguments(self.target_encoder_, X).items():
            is_default = name in defaults and is_same_value(arguments.get(name), defaults[name])
            if name in names and (name not in arguments or is_default):
                arguments[name] = value
        arguments |= {name: self._scikeras_argument(name) for name in SCIKERAS_ARGUMENTS if name in names}
        missing = [name for name in names if name not in arguments]
        if missing:
            function = display_name(self._function)
            raise TypeError(
                f"{function} needs {', '.join(missing)}: pass "
                f"{type(self).__name__}({function}, {missing[0]}=...) or give it a default"
            )
        return arguments

    def _scikeras_argument(self, name: str) -> Any:
        """The value of an argument in `SCIKERAS_ARGUMENTS`."""
        return {
            "meta": self._metadata,
            "compile_kwargs": self._compile_arguments,
            "params": self.get_params,
        }[name]()

    def _task_of(self, model: keras.Model, X: np.ndarray) -> str:
        """The task that determines the loss: multiclass, too, for two classes and a model with more units."""
        task: str = self.target_encoder_.task_
        if task != "binary" or self.loss is not None or self._encodes_targets:
            return task
        return "multiclass" if self._width(model, X) > 2 else task

    def _compile_arguments(self, task: str | None = None) -> dict[str, Any]:
        try:
            arguments = self._get_compile_kwargs()
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(
                f"{type(self).__name__} cannot compile the model with {self._compile_parameters()}: {error}. "
                "See keras.optimizers, keras.losses and keras.metrics for names and arguments"
            ) from error
        optimizer = arguments["optimizer"]
        if optimizer is self.optimizer and isinstance(optimizer, keras.optimizers.Optimizer):
            arguments["optimizer"] = type(optimizer).from_config(optimizer.get_config())
        if arguments["loss"] is None and not self._encodes_targets:
            arguments["loss"] = self._suited_loss(task or self.target_encoder_.task_, arguments)
        return arguments

    def _suited_loss(self, task: str, arguments: dict[str, Any]) -> str:
        """The loss for the target, in the form that takes the same targets as the metrics."""
        metrics = [arguments.get(name) for name in ("metrics", "weighted_metrics")]
        if task == "multiclass" and needs_one_hot(metrics):
            return "categorical_crossentropy"
        return loss_for(task)

    def _compile_parameters(self) -> str:
        """The parameters of compiling, for messages."""
        params = {name: getattr(self, name) for name in ("optimizer", "loss", "metrics")}
        params |= {name: value for name, value in self._params.items() if name.startswith(_COMPILE_ROUTES)}
        return ", ".join(f"{name}={value!r}" for name, value in params.items())

    def _refuse_unused(self, model: keras.Model) -> None:
        """Refuse compile parameters that a compiled model does not use."""
        names = names_of(self._function)
        defaults = COMPILE_DEFAULTS | self._init_defaults()
        unused = [
            name
            for name, value in self._params.items()
            if (name in COMPILE_DEFAULTS and name not in names and not is_same_value(value, defaults[name]))
            or name.startswith(_COMPILE_ROUTES)
        ]
        if "loss" in unused and loss_name(self.loss) == loss_of(model).name:
            unused.remove("loss")
        if unused:
            function = display_name(self._function)
            raise ValueError(
                f"{', '.join(unused)} cannot be honoured: {function} returns a compiled model (loss "
                f"{loss_of(model).name!r}, optimizer {model.optimizer.name!r}); set for the estimator, but "
                f"model compiled with others. Leave compiling to the estimator, or let {function} take the "
                "argument, or compile_kwargs"
            )

    def _start(self, rows: Rows, classes: np.ndarray | None) -> None:
        super()._start(rows, classes)
        encoder = self.target_encoder_
        self.X_shape_, self.X_dtype_ = rows.X.shape, self._dtype_of_X
        self.y_dtype_, self.y_ndim_ = rows.y.dtype, rows.y.ndim
        self.n_outputs_, self.n_outputs_expected_ = encoder.n_outputs_, encoder.n_outputs_expected_
        with np.errstate(invalid="ignore"):  # for numbers that are too large for integers
            self.target_type_ = getattr(encoder, "_target_type", None) or self._type_of_target(rows.y)

    def _metadata(self) -> dict[str, Any]:
        """scikeras' `meta`: a description of the data before the model is built."""
        names = ("classes_", "n_classes_")
        return self._get_metadata() | {name: getattr(self, name) for name in names if hasattr(self, name)}

    def _initial_model(self, X: np.ndarray, seed: int) -> tuple[keras.Model, int]:
        """The user's model if it can be used unchanged, otherwise a new one; and its output width."""
        model = self._function
        if not isinstance(model, keras.Model) or not model.compiled or self.warm_start_from is not None:
            return self._new_model_and_width(X, seed)
        self._refuse_unused(model)
        return model, self._width(model, X)

    def initialize(self, X: Any, y: Any) -> Self:
        """Build the model for (X, y) without training it, for example to predict with pretrained weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows of the same shape and type as those to predict.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets of the same kind as those to predict.

        Returns
        -------
        self
        """
        self._validate_params()
        with restored_on_error(self):
            rows = checked_rows(self, X, y, None, self._floatx(), reset=True)
            self._ndim_of_y = n_dims(y)
            self._start(rows, None)
            seed = self._next_seed()
            with isolated(seed):
                self.model_, width = self._initial_model(rows.X, seed)
                self._bind(rows, width)
            self._check_classes(rows, partial=False)
        self.history_, self.best_epoch_, self.stopped_early_ = {"loss": []}, 0, False
        return self


class KerasClassifier(ProbabilityCalls, EncoderMixin, KerasClassifierMixin, _Wrapper):
    """A classifier around any Keras model: binary, multiclass or multilabel.

    This extends the wrapper of scikeras: every argument of the model function is a parameter of the
    estimator, with the function's default, so that `get_params` lists it and a search can set it. The
    arguments `input_shape`, `n_outputs` and `task` follow from the data unless they are set. scikeras' routed
    names (`optimizer__learning_rate`, `model__...`, `fit__...`, `predict__...`) are supported. So are
    `target_encoder` and `feature_encoder`, which a subclass overrides for a model with several inputs or
    outputs, `_keras_build_fn` and `scorer`.

    As in scikeras, a function with arguments `meta`, `compile_kwargs` or `params`, or with `**kwargs`, gets a
    description of the data, the arguments of `Model.compile`, and all parameters. If the function passes
    `**kwargs` on to a callable that refuses one of them, it is left out.

    A model may have more output units than y has classes, for example in a fold that lacks a class. Integer
    labels that are valid unit numbers then belong to those units; other labels belong to the first units, in
    the order of `classes_`. `predict_proba` has columns for `classes_` only, scaled to sum to 1.

    Parameters
    ----------
    model : callable or keras.Model, default=build_model
        A function that returns a Keras model, compiled or not, or a model, which is copied. In a subclass
        with scikeras' method `_keras_build_fn`, that method is the function.
    optimizer : str, keras Optimizer or class, default="rmsprop"
        The optimizer of models that are not compiled. Further parameters for them are `metrics`,
        `loss_weights`, `weighted_metrics` and `run_eagerly`, with the meaning and the defaults of
        `keras.Model.compile`.
    loss : str, keras Loss, function or class, default=None
        The loss of models that are not compiled. None chooses it by the target: binary cross-entropy, or
        categorical cross-entropy, in its sparse form unless a metric takes one-hot targets.
    batch_size : int or None, default=None
        The number of rows in a training step; None is Keras' default of 32, -1 is all rows.
    epochs : int, default=1
        The number of passes over the training rows.
    schedule : {"constant", "cosine", "cosine_restarts", "flat_cosine", "coslog4", "step", "exponential"}, \
            default="constant"
        How the learning rate changes over `epochs` from its peak, the optimizer's rate: "constant", not at
        all; "cosine", half a cosine down to 0; "cosine_restarts", three such periods, each twice as long as
        the previous one; "flat_cosine", constant for half of the epochs, then half a cosine down to 0;
        "coslog4", four rises and falls between 0 and the peak, each twice as long as the previous one;
        "step", to a tenth after each third of the epochs; "exponential", continuously down to a hundredth.
        See `kerashp.schedules`. For other values, pass `kerashp.callbacks.CosineRestarts` or `StepDrop` in
        `callbacks`.
    warmup_epochs : float, default=0.0
        The number of these epochs in which the rate first rises linearly from 0 to the peak; 0 with
        "coslog4".
    early_stopping : bool, default=False
        Whether to stop training when the validation loss has not decreased for `patience` epochs. The
        validation rows are the `validation_data` of `fit`, or a part of the training rows that is held out.
    validation_fraction : float in (0, 1), default=0.1
        The fraction of the training rows that is held out, stratified by class; a class with a single row
        stays in the training rows. It is used only with early stopping and without `validation_data`.
    patience : int or None, default=10
        The number of epochs without an improvement after which training stops. None trains all epochs, and
        the weights of the best are restored.
    min_delta : float, default=0.0
        The smallest decrease of the validation loss that counts as an improvement.
    restore_best_weights : bool, default=True
        Whether early stopping restores the weights of the best epoch instead of keeping those of the last.
    validation_split : float in [0, 1), default=0.0
        The fraction of the rows, the last ones, that is used for validation.
    validation_batch_size : int or None, default=None
        The number of rows in a validation step; None is `batch_size`, -1 is all rows.
    callbacks : list of keras.callbacks.Callback, default=None
        Callbacks, which are copied for each fit; `callbacks_` has the copies.
    class_weight : dict, list of dict or "balanced", default=None
        Weights of the labels; "balanced" is n_samples / (n_classes * number of rows of the class).
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new order.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the previous fit.
    warm_start_from : fitted estimator of kerashp, keras.Model or path of a .keras file, default=None
        The source of a new model's initial weights. The weights of all layers are copied, those of the output
        layer only if its shape and the classes are the same. The source is only read, and clones share it.
        See `kerashp.models.transfer` to choose the layers and to freeze them.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the order of the rows, the held-out rows and dropout. An int gives the
        same results in each fit.
    verbose : {"auto", 0, 1, 2}, default=0
        Keras' progress output.
    **params
        The arguments of the model function, and routed parameters.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The sorted labels.
    model_ : keras.Model
        The trained model.
    history_ : dict of str to list of float
        The curves (`loss`, `val_loss`, metrics), with one value for each epoch.
    best_epoch_ : int
        The index in `history_` of the best epoch, which early stopping restores.
    callbacks_ : list of keras.callbacks.Callback
        The callbacks of the last fit with the state that they collected: copies of those passed, and those
        that `early_stopping` and `schedule` add. Pickles and copies of the estimator do not have them.
    stopped_early_ : bool
        Whether training ended before `epochs`, for example by early stopping, unless the loss diverged.
    baseline_loss_ : float or None
        The loss of predicting the mean of the targets, or the proportions of the classes, for all training
        rows; `kerashp.diagnostics.diagnose` uses it. None if it is unknown, as for hinge losses and for fits
        that a search trained together.
    n_features_in_ : int
        The number of columns of X in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the columns, if X has string names.

    Raises
    ------
    TypeError
        If a parameter belongs neither to the estimator nor to its model function.

    References
    ----------
    scikeras, https://adriangb.com/scikeras/stable/

    Examples
    --------
    >>> import keras
    >>> from sklearn.datasets import load_iris
    >>> from kerashp import KerasClassifier
    >>> def build(input_shape, n_outputs, n_units=16):
    ...     layers = [keras.layers.Dense(n_units, "relu"), keras.layers.Dense(n_outputs, "softmax")]
    ...     return keras.Sequential([keras.Input(input_shape), *layers])
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = KerasClassifier(build, optimizer="adam", optimizer__learning_rate=0.05,
    ...                              epochs=20, random_state=0)
    >>> classifier.get_params()["n_units"]
    16
    >>> classifier.fit(X, y).score(X, y) > 0.8
    True
    """

    _defaults: ClassVar[dict[str, Any]] = {**_Wrapper._defaults, "class_weight": None}

    scorer = staticmethod(accuracy_score)  # a subclass may have another, as in scikeras


class KerasRegressor(PredictionCalls, EncoderMixin, KerasRegressorMixin, _Wrapper):
    """A regressor around any Keras model, with one output or several.

    This extends the wrapper of scikeras: every argument of the model function is a parameter of the
    estimator, with the function's default, so that `get_params` lists it and a search can set it. The
    arguments `input_shape`, `n_outputs` and `task` follow from the data unless they are set. scikeras' routed
    names (`optimizer__learning_rate`, `model__...`, `fit__...`, `predict__...`) are supported. So are
    `target_encoder` and `feature_encoder`, which a subclass overrides for a model with several inputs or
    outputs, `_keras_build_fn` and `scorer`.

    As in scikeras, a function with arguments `meta`, `compile_kwargs` or `params`, or with `**kwargs`, gets a
    description of the data, the arguments of `Model.compile`, and all parameters. If the function passes
    `**kwargs` on to a callable that refuses one of them, it is left out.

    Parameters
    ----------
    model : callable or keras.Model, default=build_model
        A function that returns a Keras model, compiled or not, or a model, which is copied. In a subclass
        with scikeras' method `_keras_build_fn`, that method is the function.
    optimizer : str, keras Optimizer or class, default="rmsprop"
        The optimizer of models that are not compiled. Further parameters for them are `metrics`,
        `loss_weights`, `weighted_metrics` and `run_eagerly`, with the meaning and the defaults of
        `keras.Model.compile`.
    loss : str, keras Loss, function or class, default=None
        The loss of models that are not compiled. None chooses it by the target: mean squared error.
    batch_size : int or None, default=None
        The number of rows in a training step; None is Keras' default of 32, -1 is all rows.
    epochs : int, default=1
        The number of passes over the training rows.
    schedule : {"constant", "cosine", "cosine_restarts", "flat_cosine", "coslog4", "step", "exponential"}, \
            default="constant"
        How the learning rate changes over `epochs` from its peak, the optimizer's rate: "constant", not at
        all; "cosine", half a cosine down to 0; "cosine_restarts", three such periods, each twice as long as
        the previous one; "flat_cosine", constant for half of the epochs, then half a cosine down to 0;
        "coslog4", four rises and falls between 0 and the peak, each twice as long as the previous one;
        "step", to a tenth after each third of the epochs; "exponential", continuously down to a hundredth.
        See `kerashp.schedules`. For other values, pass `kerashp.callbacks.CosineRestarts` or `StepDrop` in
        `callbacks`.
    warmup_epochs : float, default=0.0
        The number of these epochs in which the rate first rises linearly from 0 to the peak; 0 with
        "coslog4".
    early_stopping : bool, default=False
        Whether to stop training when the validation loss has not decreased for `patience` epochs. The
        validation rows are the `validation_data` of `fit`, or a part of the training rows that is held out.
    validation_fraction : float in (0, 1), default=0.1
        The fraction of the training rows that is held out. It is used only with early stopping and without
        `validation_data`.
    patience : int or None, default=10
        The number of epochs without an improvement after which training stops. None trains all epochs, and
        the weights of the best are restored.
    min_delta : float, default=0.0
        The smallest decrease of the validation loss that counts as an improvement.
    restore_best_weights : bool, default=True
        Whether early stopping restores the weights of the best epoch instead of keeping those of the last.
    validation_split : float in [0, 1), default=0.0
        The fraction of the rows, the last ones, that is used for validation.
    validation_batch_size : int or None, default=None
        The number of rows in a validation step; None is `batch_size`, -1 is all rows.
    callbacks : list of keras.callbacks.Callback, default=None
        Callbacks, which are copied for each fit; `callbacks_` has the copies.
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new order.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the previous fit.
    warm_start_from : fitted estimator of kerashp, keras.Model or path of a .keras file, default=None
        The source of a new model's initial weights. The weights of all layers are copied, those of the output
        layer only if its shape and the classes are the same. The source is only read, and clones share it.
        See `kerashp.models.transfer` to choose the layers and to freeze them.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the order of the rows, the held-out rows and dropout. An int gives the
        same results in each fit.
    verbose : {"auto", 0, 1, 2}, default=0
        Keras' progress output.
    **params
        The arguments of the model function, and routed parameters.

    Attributes
    ----------
    model_ : keras.Model
        The trained model.
    history_ : dict of str to list of float
        The curves (`loss`, `val_loss`, metrics), with one value for each epoch.
    best_epoch_ : int
        The index in `history_` of the best epoch, which early stopping restores.
    callbacks_ : list of keras.callbacks.Callback
        The callbacks of the last fit with the state that they collected: copies of those passed, and those
        that `early_stopping` and `schedule` add. Pickles and copies of the estimator do not have them.
    stopped_early_ : bool
        Whether training ended before `epochs`, for example by early stopping, unless the loss diverged.
    baseline_loss_ : float or None
        The loss of predicting the mean of the targets, or the proportions of the classes, for all training
        rows; `kerashp.diagnostics.diagnose` uses it. None if it is unknown, as for hinge losses and for fits
        that a search trained together.
    n_features_in_ : int
        The number of columns of X in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the columns, if X has string names.

    Raises
    ------
    TypeError
        If a parameter belongs neither to the estimator nor to its model function.

    References
    ----------
    scikeras, https://adriangb.com/scikeras/stable/

    Examples
    --------
    >>> import keras
    >>> from sklearn.datasets import make_regression
    >>> from kerashp import KerasRegressor
    >>> def build(n_hidden=1, learning_rate=0.01, input_shape=(8,)):
    ...     hidden = [keras.layers.Dense(30, "relu") for _ in range(n_hidden)]
    ...     model = keras.Sequential([keras.Input(input_shape), *hidden, keras.layers.Dense(1)])
    ...     model.compile(loss="mse", optimizer=keras.optimizers.SGD(learning_rate))
    ...     return model
    >>> X, y = make_regression(200, 8, random_state=0)
    >>> regressor = KerasRegressor(build, epochs=10, random_state=0)
    >>> regressor.set_params(n_hidden=2).fit(X, y / y.std()).score(X, y / y.std()) > 0.5
    True
    """

    r_squared = keras.metrics.R2Score  # scikeras' name of this metric
    scorer = staticmethod(r2_score)  # a subclass may have another, as in scikeras
