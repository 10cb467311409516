"""Estimators around any function that returns a Keras model, or any model: scikeras' wrappers, mended."""

from collections.abc import Hashable
from typing import Any, ClassVar, Self

import keras
import numpy as np
from sklearn.metrics import accuracy_score, r2_score

from kerashp._compat.scikeras import loss_name, route_params
from kerashp.estimators._base import unchanged_by_errors
from kerashp.estimators._continuation import ContinuedFits, n_dims
from kerashp.estimators._data.losses import loss_of
from kerashp.estimators._data.metrics import ask_for_one_hot
from kerashp.estimators._data.models import built_with
from kerashp.estimators._data.rows import Rows, checked_rows
from kerashp.estimators._data.targets import data_arguments
from kerashp.estimators._encoders import EncoderMixin
from kerashp.estimators._mixins import KerasClassifierMixin, KerasRegressorMixin
from kerashp.estimators._parameters.parameters import COMPILE_DEFAULTS
from kerashp.estimators._parameters.signatures import (
    HANDED,
    called,
    defaults_of,
    names_of,
    offers_to,
    same,
    takes_any,
    way_from_keras_tuner,
)
from kerashp.estimators._routing import PredictionCalls, ProbabilityCalls, RoutedCalls
from kerashp.models import loss_for
from kerashp.training import isolated

_COMPILE_ROUTES = ("optimizer__", "loss__", "metrics__", "compile__")


class _Wrapper(ContinuedFits, RoutedCalls):
    """Building, training and asking a model by scikeras' rules."""

    def _validate_params(self) -> None:
        if self.model is None and not self._builds_itself():
            raise ValueError(
                f"The 'model' parameter of {type(self).__name__} must be a callable. Got None instead: call "
                "set_params(model=...) with a function that returns a Keras model, or with a model; load "
                "cannot restore the function of a saved estimator"
            )
        way = None if "hp" in self._params else way_from_keras_tuner(self.model)
        if way is not None:
            raise TypeError(f"{type(self).__name__} calls its model function with its parameters, but {way}")
        super()._validate_params()

    # Building.

    def _build(self, X: np.ndarray) -> keras.Model:
        if self._builds_itself() and self.model is not None:
            raise ValueError(
                f"{type(self).__name__} cannot implement ``_keras_build_fn`` and have the "
                f"model {called(self.model)}, too: pass model=None, or use a class without that method"
            )
        offers = {name: self._handed(name) for name in offers_to(self._function)}
        model = built_with(self._function, self._model_arguments(X), offers)
        if not model.compiled:
            model.compile(**self._compile_arguments(self._task_of(model, X)))
        elif not self._compiled_by_parameters(model, offers.get("compile_kwargs")):
            self._refuse_unused(model)
        return model

    def _compiled_by_parameters(self, model: keras.Model, offer: dict[str, Any] | None) -> bool:
        """Whether the model function has compiled the model with the `compile_kwargs` that it was given.

        A function that names them is taken at its word; of an offer, the model has the optimizer.
        """
        if "compile_kwargs" in names_of(self._function, handed=True):
            return True
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # inside one that scales
        return offer is not None and optimizer is offer["optimizer"]

    def _build_key(self, rows: Rows, seed: int) -> Hashable | None:
        described = "meta" in [*names_of(self._function, handed=True), *offers_to(self._function)]
        other = described or self._builds_itself() or self._encodes_targets or self._encodes_features
        return None if other else super()._build_key(rows, seed)

    def _model_arguments(self, X: np.ndarray) -> dict[str, Any]:
        """The model function's arguments; what describes the data is theirs to say, unless it was set."""
        if isinstance(self._function, keras.Model):
            return {}
        defaults, takes = defaults_of(self._function), names_of(self._function, handed=True)
        own = set(takes)
        if takes_any(self._function):
            own |= set(self._params) - set(self._defaults)
        params = self.get_params(deep=False)
        arguments = route_params(params, destination="model", pass_filter=own, strict=True)
        arguments.pop("model", None)
        for name, value in data_arguments(self.target_encoder_, X).items():
            untouched = name not in arguments or (name in defaults and same(arguments[name], defaults[name]))
            if untouched and name in takes:
                arguments[name] = value
        arguments |= {name: self._handed(name) for name in HANDED if name in takes}
        missing = [name for name in takes if name not in arguments]
        if missing:
            raise TypeError(
                f"{called(self._function)} needs {', '.join(missing)}: pass "
                f"{type(self).__name__}({called(self._function)}, {missing[0]}=...) or give it a default"
            )
        return arguments

    def _handed(self, name: str) -> Any:
        """What scikeras hands to a model function under a name of `HANDED`."""
        return {
            "meta": self._metadata,
            "compile_kwargs": self._compile_arguments,
            "params": self.get_params,
        }[name]()

    def _task_of(self, model: keras.Model, X: np.ndarray) -> str:
        """What the loss is to suit: a model with a unit for each of several classes may get two of them."""
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
                f"{type(self).__name__} cannot compile the model with {self._compile_words()}: {error}. See "
                "keras.optimizers, keras.losses and keras.metrics for names and arguments"
            ) from error
        optimizer = arguments["optimizer"]
        if optimizer is self.optimizer and isinstance(optimizer, keras.optimizers.Optimizer):
            arguments["optimizer"] = type(optimizer).from_config(optimizer.get_config())
        if arguments["loss"] is None and not self._encodes_targets:
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
        taken = names_of(self._function)
        defaults = COMPILE_DEFAULTS | self._own_defaults()
        unused = [
            name
            for name, value in self._params.items()
            if (name in COMPILE_DEFAULTS and name not in taken and not same(value, defaults[name]))
            or name.startswith(_COMPILE_ROUTES)
        ]
        if "loss" in unused and loss_name(self.loss) == loss_of(model).name:
            unused.remove("loss")
        if unused:
            function = called(self._function)
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
        with np.errstate(invalid="ignore"):  # of numbers beyond all integers
            self.target_type_ = getattr(encoder, "_target_type", None) or self._type_of_target(rows.y)

    def _metadata(self) -> dict[str, Any]:
        """scikeras' `meta`: what is known of the data before the model is built."""
        of_classes = ("classes_", "n_classes_")
        return self._get_metadata() | {
            name: getattr(self, name) for name in of_classes if hasattr(self, name)
        }

    def _initial(self, X: np.ndarray) -> tuple[keras.Model, int]:
        """The user's own model where nothing in it has to be changed, otherwise a new one."""
        model = self._function
        if not isinstance(model, keras.Model) or not model.compiled or self.warm_start_from is not None:
            return self._measured(X)
        self._refuse_unused(model)
        return model, self._width(model, X)

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
            self._ndim_of_y = n_dims(y)
            self._start(rows, None)
            with isolated(self._next_seed()):
                self.model_, width = self._initial(rows.X)
                self._bind(rows, width)
            self._check_classes(rows, partial=False)
        self.history_, self.best_epoch_, self.stopped_early_ = {"loss": []}, 0, False
        return self


class KerasClassifier(ProbabilityCalls, EncoderMixin, KerasClassifierMixin, _Wrapper):
    """A classifier around any Keras model: binary, multiclass or multilabel.

    scikeras' wrapper, mended: every argument in the model function's signature is a parameter of the
    estimator, with the function's default, so that `get_params` lists it and a search can set it. An argument
    called `input_shape`, `n_outputs` or `task` that is not set follows from the data. scikeras' routed
    names (`optimizer__learning_rate`, `model__...`, `fit__...`, `predict__...`) keep working, and so do
    `target_encoder` and `feature_encoder`, which a subclass overrides for a model of several inputs and
    outputs, `_keras_build_fn` and `scorer`.

    A function that names `meta`, `compile_kwargs` or `params`, or has `**kwargs`, gets those, as in scikeras:
    what is known of the data, the arguments of `Model.compile`, and all parameters. What it passes them on to
    may refuse them; they are then left out.

    A model may have more output units than y has classes, as in a fold that lacks some. Labels that are
    integers from 0 to the number of units less 1 then belong to the units of their numbers, and all others to
    the first units, in the order of `classes_`. `predict_proba` has columns for `classes_` alone, scaled to
    sum to 1.

    Parameters
    ----------
    model : callable or keras.Model, default=build_model
        A function that returns a Keras model, compiled or not, or a model, which is copied. A subclass with a
        method `_keras_build_fn`, scikeras' way, has that for its function.
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
        Copied for each fit; `callbacks_` holds the copies.
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
    callbacks_ : list of keras.callbacks.Callback
        Those of the last fit, with what they collected: copies of the user's, and what `early_stopping` and
        `schedule` add. Pickles and copies of the estimator are without them.
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

    scorer = staticmethod(accuracy_score)  # a subclass may have another, as in scikeras


class KerasRegressor(PredictionCalls, EncoderMixin, KerasRegressorMixin, _Wrapper):
    """A regressor around any Keras model, one output or many.

    scikeras' wrapper, mended: every argument in the model function's signature is a parameter of the
    estimator, with the function's default, so that `get_params` lists it and a search can set it. An argument
    called `input_shape`, `n_outputs` or `task` that is not set follows from the data. scikeras' routed
    names (`optimizer__learning_rate`, `model__...`, `fit__...`, `predict__...`) keep working, and so do
    `target_encoder` and `feature_encoder`, which a subclass overrides for a model of several inputs and
    outputs, `_keras_build_fn` and `scorer`.

    A function that names `meta`, `compile_kwargs` or `params`, or has `**kwargs`, gets those, as in scikeras:
    what is known of the data, the arguments of `Model.compile`, and all parameters. What it passes them on to
    may refuse them; they are then left out.

    Parameters
    ----------
    model : callable or keras.Model, default=build_model
        A function that returns a Keras model, compiled or not, or a model, which is copied. A subclass with a
        method `_keras_build_fn`, scikeras' way, has that for its function.
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
        Copied for each fit; `callbacks_` holds the copies.
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
    callbacks_ : list of keras.callbacks.Callback
        Those of the last fit, with what they collected: copies of the user's, and what `early_stopping` and
        `schedule` add. Pickles and copies of the estimator are without them.
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

    r_squared = keras.metrics.R2Score  # scikeras' name of this metric
    scorer = staticmethod(r2_score)  # a subclass may have another, as in scikeras
