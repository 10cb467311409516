"""Estimators around any function that returns a Keras model, or any model: scikeras' wrappers, mended."""

from collections.abc import Hashable
from typing import Any, ClassVar, Self

import keras
import numpy as np
from sklearn.utils._param_validation import validate_parameter_constraints

from kerashp.estimators._base import BaseKerasEstimator, unchanged_by_errors
from kerashp.estimators._callbacks import copied
from kerashp.estimators._losses import loss_of
from kerashp.estimators._metrics import ask_for_one_hot
from kerashp.estimators._mixins import KerasClassifierMixin, KerasRegressorMixin
from kerashp.estimators._models import built, output_width
from kerashp.estimators._parameters import COMPILE_DEFAULTS, ROUTED_CONSTRAINTS, ParameterNamespace
from kerashp.estimators._rows import Rows, checked_rows
from kerashp.estimators._scikeras import BaseWrapper, loss_name, route_params
from kerashp.estimators._signatures import HANDED, called, defaults_of, names_of, same
from kerashp.estimators._targets import data_arguments
from kerashp.models import loss_for
from kerashp.training import isolated

_COMPILE_ROUTES = ("optimizer__", "loss__", "metrics__", "compile__")


class _Wrapper(BaseKerasEstimator, ParameterNamespace):
    """Building, training and asking a model by scikeras' rules."""

    def _validate_params(self) -> None:
        if self.model is None and not hasattr(type(self), "_keras_build_fn"):
            raise ValueError(
                f"The 'model' parameter of {type(self).__name__} must be a callable. Got None instead: call "
                "set_params(model=...) with a function that returns a Keras model, or with a model; load "
                "cannot restore the function of a saved estimator"
            )
        super()._validate_params()

    # Building.

    def _build(self, X: np.ndarray) -> keras.Model:
        self._refuse_encoders()
        model = built(self.model, self._model_arguments(X))
        if not model.compiled:
            model.compile(**self._compile_arguments(self._task_of(model, X)))
        elif "compile_kwargs" not in (names_of(self.model, handed=True) or ()):
            self._refuse_unused(model)
        return model

    def _build_key(self, rows: Rows, seed: int) -> Hashable | None:
        described = "meta" in (names_of(self.model, handed=True) or ())
        return None if described else super()._build_key(rows, seed)

    def _model_arguments(self, X: np.ndarray) -> dict[str, Any]:
        """The model function's arguments; what describes the data is theirs to say, unless it was set."""
        if isinstance(self.model, keras.Model):
            return {}
        defaults, takes = defaults_of(self.model), names_of(self.model, handed=True)
        own = set(self._params) - set(self._defaults) if takes is None else set(takes)
        params = self.get_params(deep=False)
        arguments = route_params(params, destination="model", pass_filter=own, strict=True)
        arguments.pop("model", None)
        for name, value in data_arguments(self.target_encoder_, X).items():
            untouched = name not in arguments or (name in defaults and same(arguments[name], defaults[name]))
            if untouched and name in (takes or ()):
                arguments[name] = value
        handed = {
            "meta": self._metadata,
            "compile_kwargs": self._compile_arguments,
            "params": self.get_params,
        }
        arguments |= {name: handed[name]() for name in HANDED if name in (takes or ())}
        missing = [name for name in takes or () if name not in arguments]
        if missing:
            raise TypeError(
                f"{called(self.model)} needs {', '.join(missing)}: pass "
                f"{type(self).__name__}({called(self.model)}, {missing[0]}=...) or give it a default"
            )
        return arguments

    def _task_of(self, model: keras.Model, X: np.ndarray) -> str:
        """What the loss is to suit: a model with a unit for each of several classes may get two of them."""
        task: str = self.target_encoder_.task_
        wide = task == "binary" and self.loss is None and output_width(model, X) > 2
        return "multiclass" if wide else task

    def _compile_arguments(self, task: str | None = None) -> dict[str, Any]:
        try:
            arguments = self._get_compile_kwargs()
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{type(self).__name__} cannot compile the model with {self._compile_words()}: {error}. See "
                "keras.optimizers, keras.losses and keras.metrics for names and arguments"
            ) from error
        optimizer = arguments["optimizer"]
        if optimizer is self.optimizer and isinstance(optimizer, keras.optimizers.Optimizer):
            arguments["optimizer"] = type(optimizer).from_config(optimizer.get_config())
        if arguments["loss"] is None:
            arguments["loss"] = self._suited_loss(task or self.target_encoder_.task_, arguments)
        return arguments

    def _suited_loss(self, task: str, arguments: dict[str, Any]) -> str:
        """The loss that suits the target, in the form that takes the targets which the metrics take."""
        metrics = [arguments.get(name) for name in ("metrics", "weighted_metrics")]
        if task == "multiclass" and ask_for_one_hot(metrics):
            return "categorical_crossentropy"
        return loss_for(task)

    def _compile_words(self) -> str:
        """What the parameters say of compiling, as they say it."""
        words = {name: getattr(self, name) for name in ("optimizer", "loss", "metrics")}
        words |= {name: value for name, value in self._params.items() if name.startswith(_COMPILE_ROUTES)}
        return ", ".join(f"{name}={value!r}" for name, value in words.items())

    def _refuse_unused(self, model: keras.Model) -> None:
        """A model that comes compiled takes no further word on it."""
        taken = names_of(self.model) or ()
        unused = [
            name
            for name, value in self._params.items()
            if (name in COMPILE_DEFAULTS and name not in taken and not same(value, COMPILE_DEFAULTS[name]))
            or name.startswith(_COMPILE_ROUTES)
        ]
        if "loss" in unused and loss_name(self.loss) == loss_of(model).name:
            unused.remove("loss")
        if unused:
            raise ValueError(
                f"{', '.join(unused)} cannot be honoured: {called(self.model)} returns a compiled model "
                f"(loss {loss_of(model).name!r}, optimizer {model.optimizer.name!r}). Leave compiling to the "
                f"estimator, or let {called(self.model)} take the argument, or compile_kwargs"
            )

    def _refuse_encoders(self) -> None:
        for name in ("target_encoder", "feature_encoder"):
            if getattr(type(self), name) is not getattr(BaseWrapper, name):
                raise TypeError(
                    f"{type(self).__name__} overrides scikeras' {name}, which kerashp does not use: put a "
                    "transformer before the estimator in a Pipeline, or use TransformedTargetRegressor"
                )

    def _start(self, rows: Rows, classes: np.ndarray | None) -> None:
        super()._start(rows, classes)
        encoder = self.target_encoder_
        self.X_shape_, self.X_dtype_ = rows.X.shape, rows.X.dtype
        self.y_dtype_, self.y_ndim_ = rows.y.dtype, rows.y.ndim
        self.n_outputs_, self.n_outputs_expected_ = encoder.n_outputs_, encoder.n_outputs_expected_
        with np.errstate(invalid="ignore"):  # of numbers beyond all integers
            self.target_type_ = getattr(encoder, "_target_type", None) or self._type_of_target(rows.y)

    def _metadata(self) -> dict[str, Any]:
        """scikeras' `meta`: what is known of the data before the model is built."""
        of_classes = ("classes_", "n_classes_")
        return self._get_metadata() | {
            name: getattr(self, name) for name in of_classes if hasattr(self, name)
        }

    def initialize(self, X: Any, y: Any) -> Self:
        """Build the model for (X, y) without training it, say to predict with the weights that it has.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows like those to come.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets like those to come.

        Returns
        -------
        self
        """
        self._validate_params()
        with unchanged_by_errors(self):
            rows = checked_rows(self, X, y, None, self._floatx(), reset=True)
            self._start(rows, None)
            with isolated(self._next_seed()):
                self.model_, width = self._measured(rows.X)
                self._bind(rows, width)
            self._check_classes(rows, partial=False)
        self.history_, self.best_epoch_, self.stopped_early_ = {"loss": []}, 0, False
        return self

    # Training and prediction.

    def _fit_arguments(self, n_samples: int) -> dict[str, Any]:
        params = self.get_params(deep=False)
        arguments = route_params(params, destination="fit", pass_filter=self._fit_kwargs)
        if "class_weight" in arguments and not hasattr(self, "predict_proba"):
            raise ValueError(
                f"fit__class_weight is for classifiers, not {type(self).__name__}; use sample_weight"
            )
        routed = {name: params[name] for name in ROUTED_CONSTRAINTS if name in params}
        validate_parameter_constraints(ROUTED_CONSTRAINTS, routed, caller_name=type(self).__name__)
        sizes = {
            name: n_samples for name in ("batch_size", "validation_batch_size") if arguments.get(name) == -1
        }
        return {
            name: value
            for name, value in {**arguments, **sizes}.items()
            if value is not None and not name.startswith("callbacks")
        }

    def _fit_callbacks_given(self) -> Any:
        routed = [name for name in self._params if name.startswith("callbacks__")]
        if routed and self.callbacks is None:
            raise ValueError(f"{routed[0]} has nothing to go to: callbacks=None; pass callbacks=[...] too")
        try:
            self._initialize_callbacks()
        except TypeError as error:
            raise TypeError(
                "callbacks must hold keras.callbacks.Callback objects, or classes with routed arguments; "
                f"got {self.callbacks!r}: {error}"
            ) from error
        return self._fit_callbacks

    def _forward(self, X: np.ndarray) -> np.ndarray:
        params = self.get_params(deep=False)
        arguments = route_params(params, destination="predict", pass_filter=set(), strict=True)
        if not arguments:
            return super()._forward(X)
        arguments = {"verbose": self.verbose, **arguments}
        self._initialize_callbacks()
        if arguments.get("batch_size") == -1:
            arguments["batch_size"] = len(X)
        return self.model_.predict(X, **arguments | {"callbacks": copied(self._predict_callbacks)})


class KerasClassifier(KerasClassifierMixin, _Wrapper):
    """A classifier around any Keras model: binary, multiclass or multilabel.

    scikeras' wrapper, mended: every argument in the model function's signature is a parameter of the
    estimator, with the function's default, so that `get_params` lists it and a search can set it. An argument
    called `input_shape`, `n_outputs` or `task` that is not set follows from the data. scikeras' routed
    names (`optimizer__learning_rate`, `model__...`, `fit__...`, `predict__...`) keep working.

    A model may have more output units than y has classes, as in a fold that lacks some. Labels that are
    integers from 0 to the number of units less 1 then belong to the units of their numbers, and all others to
    the first units, in the order of `classes_`. `predict_proba` has columns for `classes_` alone, scaled to
    sum to 1.

    Parameters
    ----------
    model : callable or keras.Model, default=build_model
        A function that returns a Keras model, compiled or not, or a model, which is copied.
    optimizer : str, keras Optimizer or class, default="rmsprop"
        For models that come uncompiled, as are `metrics`, `loss_weights`, `weighted_metrics` and
        `run_eagerly`, with Keras' meaning and defaults.
    loss : str, keras Loss, function or class, default=None
        For models that come uncompiled; None is the one that suits the target: binary cross-entropy, or
        categorical cross-entropy, sparse unless a metric takes one-hot targets.
    batch_size : int or None, default=None
        Rows of a training step; None is Keras' 32, -1 all rows.
    epochs : int, default=1
        Passes over the training rows.
    schedule : {"constant", "cosine", "cosine_restarts", "step", "exponential"}, default="constant"
        How the learning rate goes from its peak, the optimizer's own rate, over `epochs`: not at all; down to
        0 by half a cosine; the same three times, each period twice as long as the one before; a tenth of it
        after each third of the epochs; or steadily down to a hundredth. For other numbers pass
        `kerashp.callbacks.CosineRestarts` or `StepDrop` as `callbacks`.
    warmup_epochs : float, default=0.0
        Epochs, of those, in which the rate first rises from 0 to the peak.
    early_stopping : bool, default=False
        Whether training stops when the validation loss has not fallen for `patience` epochs. It looks at
        `fit`'s `validation_data`, or at a part of the training rows held out for it.
    validation_fraction : float in (0, 1), default=0.1
        The part held out, stratified by class, with none of a class of one row; only with early stopping and
        no `validation_data`.
    patience : int, default=10
        Epochs without an improvement before training stops.
    min_delta : float, default=0.0
        The least fall of the validation loss that counts as an improvement.
    restore_best_weights : bool, default=True
        Whether early stopping ends with the best epoch's weights instead of the last's.
    validation_split : float in [0, 1), default=0.0
        The last part of the rows, as Keras takes it, to validate on.
    validation_batch_size : int or None, default=None
        Rows of a validation step; None is `batch_size`, -1 all rows.
    callbacks : list of keras.callbacks.Callback, default=None
        Copied for each fit.
    class_weight : dict, list of dict or "balanced", default=None
        Weights of the labels; "balanced" is n_samples / (n_classes * n_samples_of_the_class).
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new order.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the fit before.
    warm_start_from : fitted estimator of kerashp's, keras.Model or path of a .keras file, default=None
        What a new model begins with: the weights of all layers, of the output's where it has the same shape
        and classes. It is only read, and a clone has the same one. See `kerashp.models.transfer` to choose
        the layers, and to freeze them.
    random_state : int, RandomState instance or None, default=None
        Weights, order of the rows, held-out rows and dropout. The same int gives the same numbers.
    verbose : {"auto", 0, 1, 2}, default=0
        Keras' progress.
    **params
        The model function's arguments, and routed ones.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    model_ : keras.Model
        The trained network.
    history_ : dict of str to list of float
        The curves: `loss`, `val_loss`, metrics, one value an epoch.
    best_epoch_ : int
        The position in `history_` of the best epoch, counted from 0: the one that early stopping restores.
    stopped_early_ : bool
        Whether training ended before `epochs`, as by early stopping; not where the loss diverged.
    baseline_loss_ : float or None
        The loss of predicting the targets' mean, or the classes' shares, for all training rows; for
        `kerashp.diagnostics.diagnose`. None where it is not known, as for hinge losses, or for fits that a
        search trained together.
    n_features_in_ : int
        Width of the rows in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where X had string names.

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


class KerasRegressor(KerasRegressorMixin, _Wrapper):
    """A regressor around any Keras model, one output or many.

    scikeras' wrapper, mended: every argument in the model function's signature is a parameter of the
    estimator, with the function's default, so that `get_params` lists it and a search can set it. An argument
    called `input_shape`, `n_outputs` or `task` that is not set follows from the data. scikeras' routed
    names (`optimizer__learning_rate`, `model__...`, `fit__...`, `predict__...`) keep working.

    Parameters
    ----------
    model : callable or keras.Model, default=build_model
        A function that returns a Keras model, compiled or not, or a model, which is copied.
    optimizer : str, keras Optimizer or class, default="rmsprop"
        For models that come uncompiled, as are `metrics`, `loss_weights`, `weighted_metrics` and
        `run_eagerly`, with Keras' meaning and defaults.
    loss : str, keras Loss, function or class, default=None
        For models that come uncompiled; None is the one that suits the target: mean squared
        error.
    batch_size : int or None, default=None
        Rows of a training step; None is Keras' 32, -1 all rows.
    epochs : int, default=1
        Passes over the training rows.
    schedule : {"constant", "cosine", "cosine_restarts", "step", "exponential"}, default="constant"
        How the learning rate goes from its peak, the optimizer's own rate, over `epochs`: not at all; down to
        0 by half a cosine; the same three times, each period twice as long as the one before; a tenth of it
        after each third of the epochs; or steadily down to a hundredth. For other numbers pass
        `kerashp.callbacks.CosineRestarts` or `StepDrop` as `callbacks`.
    warmup_epochs : float, default=0.0
        Epochs, of those, in which the rate first rises from 0 to the peak.
    early_stopping : bool, default=False
        Whether training stops when the validation loss has not fallen for `patience` epochs. It looks at
        `fit`'s `validation_data`, or at a part of the training rows held out for it.
    validation_fraction : float in (0, 1), default=0.1
        The part held out; only with early stopping and no `validation_data`.
    patience : int, default=10
        Epochs without an improvement before training stops.
    min_delta : float, default=0.0
        The least fall of the validation loss that counts as an improvement.
    restore_best_weights : bool, default=True
        Whether early stopping ends with the best epoch's weights instead of the last's.
    validation_split : float in [0, 1), default=0.0
        The last part of the rows, as Keras takes it, to validate on.
    validation_batch_size : int or None, default=None
        Rows of a validation step; None is `batch_size`, -1 all rows.
    callbacks : list of keras.callbacks.Callback, default=None
        Copied for each fit.
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new order.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the fit before.
    warm_start_from : fitted estimator of kerashp's, keras.Model or path of a .keras file, default=None
        What a new model begins with: the weights of all layers, of the output's where it has the same shape
        and classes. It is only read, and a clone has the same one. See `kerashp.models.transfer` to choose
        the layers, and to freeze them.
    random_state : int, RandomState instance or None, default=None
        Weights, order of the rows, held-out rows and dropout. The same int gives the same numbers.
    verbose : {"auto", 0, 1, 2}, default=0
        Keras' progress.
    **params
        The model function's arguments, and routed ones.

    Attributes
    ----------
    model_ : keras.Model
        The trained network.
    history_ : dict of str to list of float
        The curves: `loss`, `val_loss`, metrics, one value an epoch.
    best_epoch_ : int
        The position in `history_` of the best epoch, counted from 0: the one that early stopping restores.
    stopped_early_ : bool
        Whether training ended before `epochs`, as by early stopping; not where the loss diverged.
    baseline_loss_ : float or None
        The loss of predicting the targets' mean, or the classes' shares, for all training rows; for
        `kerashp.diagnostics.diagnose`. None where it is not known, as for hinge losses, or for fits that a
        search trained together.
    n_features_in_ : int
        Width of the rows in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where X had string names.

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
