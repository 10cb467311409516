"""What all four estimators are: validate, build, train, predict."""

from abc import abstractmethod
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any, ClassVar, Self

import keras
import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from kerashp._arguments import known_arguments
from kerashp._compat.sklearn import (
    copy_metadata_request,
    validate_parameter_constraints,
    validating_parameters,
)
from kerashp.callbacks import ModelCheckpoint
from kerashp.estimators._data.losses import check_loss, check_values, loss_of, trivial_loss
from kerashp.estimators._data.magnitudes import check_inputs, check_targets
from kerashp.estimators._data.metrics import check_metrics
from kerashp.estimators._data.models import (
    check_compiled,
    check_optimizer,
    output_width,
    outputs,
    rows_of,
    weights_are_finite,
)
from kerashp.estimators._data.rows import (
    Rows,
    checked_features,
    checked_rows,
    hold_out,
    last_rows,
    weighted,
    with_weight,
)
from kerashp.estimators._data.targets import ValueEncoder
from kerashp.estimators._data.validation_rows import validation_tuple, warn_of_unlike_rows
from kerashp.estimators._parameters.constraints import CALL_CONSTRAINTS, check_epoch_arguments
from kerashp.estimators._parameters.schedules import named_schedule
from kerashp.estimators._persistence import Persistent
from kerashp.estimators._training.arguments import FitArguments
from kerashp.estimators._training.callbacks import (
    best_epoch,
    check_monitors,
    checkpoints_of,
    copied,
    save_whole,
)
from kerashp.estimators._training.convergence import (
    is_governed,
    resolved_epochs,
    unconverged,
    warn_of_convergence,
)
from kerashp.estimators._training.handover import (
    EstimatorState,
    Fitting,
    built_once,
    epochs_told,
    given_outputs,
    has_horizon,
    horizon,
    suspend,
    taken,
)
from kerashp.estimators._training.warm_start import start_from
from kerashp.training import (
    Statistics,
    fit,
    isolated,
    set_statistics,
    without_retracing_warnings,
)
from kerashp.training._keras.rowwise import predicts_by_row

_MAX_SEED = np.iinfo(np.int32).max
_FEWEST_ROWS = 8  # of a table that predict together
_OF_VALIDATION = ("validation_steps", "validation_freq")


@contextmanager
def unchanged_by_errors(estimator: BaseEstimator) -> Iterator[None]:
    """A fit that is refused, or a new model's that breaks off, leaves a fitted estimator as it was."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def _as_told(arguments: dict[str, Any], *, validated: bool) -> dict[str, Any]:
    """A fit's arguments, but for as many epochs as a search says, if it does, and with nothing held out."""
    epochs = epochs_told()
    if epochs is None:
        return arguments
    kept = {name: value for name, value in arguments.items() if validated or name not in _OF_VALIDATION}
    return {**kept, "epochs": arguments.get("initial_epoch", 0) + epochs}


class BaseKerasEstimator(Persistent, BaseEstimator):
    """A Keras model trained and asked by scikit-learn's rules; subclasses say how it is built."""

    _takes_axes: ClassVar[bool] = True  # whether rows may have more than one

    history_: dict[str, list[float]]
    callbacks_: list[keras.callbacks.Callback]
    baseline_loss_: float | None = None
    _statistics: Statistics | None = None  # of the inputs, by which a new network standardises them
    _dtype_of_X: np.dtype  # of the X in fit, before it became rows of the network

    def __sklearn_clone__(self) -> Self:
        # A clone of a fitted `warm_start_from` would have forgotten what it is there for. It is only read.
        if self.warm_start_from is None:
            return super().__sklearn_clone__()
        without = type(self)(**{**self.get_params(deep=False), "warm_start_from": None})
        copy_metadata_request(self, without)
        return clone(without).set_params(warm_start_from=self.warm_start_from)

    # What a subclass provides.

    @abstractmethod
    def _build(self, X: np.ndarray) -> keras.Model:
        """A compiled model for rows like those of X, with the seeds and the float type already set."""

    @abstractmethod
    def _fit_arguments(self, n_samples: int) -> dict[str, Any]:
        """The arguments of `Model.fit` that the parameters say; a call's own go before them."""

    @abstractmethod
    def _new_target_encoder(self, classes: np.ndarray | None) -> Any:
        """The encoder, not yet fitted, of the targets."""

    def _convergence(self) -> list[keras.callbacks.Callback]:
        """The callback that ends a training whose loss falls no more, where the parameters ask for one."""
        return []

    def _model_input(self, X: np.ndarray) -> Any:
        """Rows X as the model takes them: X itself, or a list or dict of arrays."""
        return X

    def _width(self, model: keras.Model, X: np.ndarray) -> int:
        """The width of the model's output for rows like those of X."""
        return output_width(model, self._model_input(X[:1]))

    def _dtype(self) -> str | None:
        """The float type that the parameters set; None leaves it, and the dtype policy, to Keras."""
        return None

    @property
    def _network(self) -> keras.Model:
        """The network that trains and predicts: `model_`, without what a subclass puts around it."""
        network: keras.Model = vars(self)["model_"]
        return network

    def _adopt(self, model: keras.Model) -> None:
        """Take a model that was saved as `model_`."""
        self.model_ = model

    def _standardize(self, rows: Rows, passed: Rows) -> None:
        """Learn what a new fit needs to know of its rows, before their targets are encoded.

        Of those to train on, and of all that were passed, those held out among them.
        """

    def _floatx(self) -> str:
        return self._dtype() or keras.config.floatx()

    # Training.

    @known_arguments
    @validating_parameters
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation_data: Any = None,
        callbacks: Any = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        verbose: Any = None,
        validation_split: float | None = None,
        shuffle: bool | None = None,
        class_weight: Any = None,
        initial_epoch: int | None = None,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Build a model and train it on (X, y).

        What is not None goes before the estimator's parameter of the same name, for this call only, and
        means what it means in `keras.Model.fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training rows: NumPy, pandas, polars, lists, or a sparse matrix, which is made dense.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels of any type, an indicator matrix (multilabel), or numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of at least 0; rows of weight 0 are left out.
        validation_data : tuple (X, y) or (X, y, sample_weight), default=None
            Rows to validate on after each epoch; early stopping then holds nothing out. The steps of a
            pipeline are not applied to them.
        callbacks : list of keras.callbacks.Callback, default=None
            Used besides the estimator's own. They are copied, so that two fits share no state; `callbacks_`
            holds the copies, with what they collected.
        epochs : int, default=None
            Epochs at the end of this call, counted from `initial_epoch`'s zero.
        batch_size : int, default=None
            Rows of a training step.
        verbose : {"auto", 0, 1, 2}, default=None
            Keras' progress.
        validation_split : float in [0, 1), default=None
            The last part of the rows, as Keras takes it, to validate on.
        shuffle : bool, default=None
            Whether each epoch takes the rows in a new order.
        class_weight : dict, list of dict or "balanced", default=None
            Weights of the labels (classifiers only), multiplied into the `sample_weight` of the rows to train
            on; those to validate on keep theirs.
        initial_epoch : int, default=None
            The epoch to count from.
        steps_per_epoch : int, default=None
            Batches of an epoch.
        validation_steps : int, default=None
            Batches of a validation.
        validation_batch_size : int, default=None
            Rows of a validation step.
        validation_freq : int or list of int, default=None
            Epochs between validations, or the epochs (from 1) that end with one.
        X_val, y_val, sample_weight_val : array-like, default=None
            `validation_data` apart, as scikit-learn's `transform_input` needs them: with metadata routing and
            `set_fit_request(X_val=True, y_val=True)`, a pipeline made with `transform_input=["X_val"]`
            applies its steps to X_val too.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If data, parameters, model and loss do not fit together; nothing is trained then.
        ValueError
            If training diverged, so that the weights are no longer finite; `history_` holds the curves.
        """
        call = {
            "callbacks": callbacks,
            "epochs": epochs,
            "batch_size": batch_size,
            "verbose": verbose,
            "validation_split": validation_split,
            "shuffle": shuffle,
            "class_weight": class_weight,
            "initial_epoch": initial_epoch,
            "steps_per_epoch": steps_per_epoch,
            "validation_steps": validation_steps,
            "validation_batch_size": validation_batch_size,
            "validation_freq": validation_freq,
        }
        fresh = not (self.warm_start and self.__sklearn_is_fitted__())
        validation_data = validation_tuple(validation_data, X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation_data, call, fresh=fresh)

    def _fit_epoch(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_data: Any,
        arguments: dict[str, Any],
        classes: np.ndarray | None = None,
    ) -> Self:
        """One more epoch on these rows, without early stopping: what `partial_fit` does."""
        check_epoch_arguments(type(self).__name__, arguments)
        fresh = not self.__sklearn_is_fitted__()
        done = 0 if fresh else len(self.history_["loss"])
        call = {**arguments, "epochs": done + 1, "initial_epoch": done, "validation_split": 0.0}
        return self._fit(
            X, y, sample_weight, validation_data, call, fresh=fresh, classes=classes, partial=True
        )

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_data: Any,
        call: dict[str, Any],
        *,
        fresh: bool,
        classes: np.ndarray | None = None,
        partial: bool = False,
    ) -> Self:
        resumed = taken()
        with unchanged_by_errors(self):
            if resumed is not None:
                resumed.state.restore(self)
                history, arguments = resumed.history, resumed.arguments
            else:
                fitting = self._begun(
                    X, y, sample_weight, validation_data, call, fresh=fresh, classes=classes, partial=partial
                )
                history, arguments = self._trained(fitting), fitting.arguments
        self._record(history, arguments, partial=partial and not fresh)
        self._check_converged()
        if not has_horizon():
            text = unconverged(history["loss"], arguments)
            warn_of_convergence(type(self).__name__, [text] if text else [])
        return self

    def _begun(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_data: Any,
        call: dict[str, Any],
        *,
        fresh: bool,
        classes: np.ndarray | None,
        partial: bool,
    ) -> Fitting:
        """All that comes before the training, where a search may take over."""
        call = self._checked_call(call)
        passed = checked_rows(self, X, y, sample_weight, self._floatx(), reset=fresh)
        if fresh:
            self._start(passed, classes)
        else:
            self._go_on(passed, partial=partial)
        rows, validation, arguments = self._prepared(
            with_weight(passed), validation_data, call, fresh=fresh, partial=partial
        )
        fitting = Fitting(
            rows=rows,
            validation=validation,
            arguments=FitArguments.from_mapping(arguments),
            seed=self._next_seed(),
            dtype=self._dtype(),
            state=EstimatorState(dict(vars(self))),
            statistics=self._statistics if fresh else None,
        )
        suspend(fitting, lambda: passed._replace(X=self._model_input(passed.X)))
        if validation is not None and validation.at is None:
            warn_of_unlike_rows(rows.X, validation.X)
        return fitting

    def _trained(self, fitting: Fitting) -> dict[str, list[float]]:
        rows = fitting.rows
        for checkpoint in checkpoints_of(fitting.arguments.callbacks):
            save_whole(checkpoint, self._network, self.model_)
        with without_retracing_warnings(), isolated(fitting.seed, fitting.dtype):
            set_statistics(self._network, fitting.statistics)
            check_compiled(self._network, rows.X, rows.y)
            self.baseline_loss_ = trivial_loss(self._network, rows.y, rows.sample_weight)
            arguments = fitting.arguments.to_mapping()
            return fit(self._network, rows.X, rows.y, sample_weight=rows.sample_weight, **arguments).history

    def _checked_call(self, call: dict[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in call.items() if value is not None}
        name = type(self).__name__
        validate_parameter_constraints(CALL_CONSTRAINTS, given, caller_name=f"{name}.fit")
        epochs = given.get("validation_freq", 1)
        listed = [] if isinstance(epochs, Integral) else epochs
        if not all(isinstance(epoch, Integral) and int(epoch) >= 1 for epoch in listed):
            raise ValueError(f"validation_freq must be an int or a list of epochs, from 1; got {epochs!r}")
        if "class_weight" in given and not hasattr(self, "predict_proba"):
            raise ValueError(f"{name}.fit got class_weight, which is for classifiers; use sample_weight")
        return given

    def _start(self, rows: Rows, classes: np.ndarray | None) -> None:
        """Forget an earlier fit: a new random state, and the targets' kind from y."""
        self._random = check_random_state(self.random_state)
        self._input_shape = rows.X.shape[1:]
        self.target_encoder_ = self._new_target_encoder(classes).fit(rows.y)
        if isinstance(self.target_encoder_, ValueEncoder):
            self.target_encoder_.narrow(self._float_type())

    def _go_on(self, rows: Rows, *, partial: bool) -> None:
        """Learn what a later fit of the same model needs to know of its rows."""

    def _float_type(self) -> np.dtype:
        """The floating type of X in fit, at least Keras' own; Keras' own where X holds no floats."""
        own = np.dtype(self._floatx())
        return np.result_type(self._dtype_of_X, own) if self._dtype_of_X.kind == "f" else own

    def _next_seed(self) -> int:
        return self._random.randint(_MAX_SEED)

    def _prepared(
        self, rows: Rows, validation_data: Any, call: dict[str, Any], *, fresh: bool, partial: bool
    ) -> tuple[Rows, Rows | None, dict[str, Any]]:
        """The rows that the network takes and all else for `kerashp.fit`, checked against each other.

        The rows to train on, encoded; those to validate on, likewise; and the arguments.
        """
        seed = self._next_seed()
        stops = self.early_stopping and not partial and epochs_told() is None
        with isolated(seed, self._dtype()):
            if fresh:
                self.model_, width = built_once(self._build_key(rows, seed), lambda: self._measured(rows.X))
            else:
                width = self._width(self._network, rows.X)
            self._bind(rows, width)
            passed = rows
            rows, held_out = self._divided(passed, validation_data, call, stops=stops, seed=seed)
            if fresh:
                self._standardize(rows, passed)
            validation = self._validation(held_out, validation_data)
            arguments = self._arguments(len(rows.X), validation, call, stops=stops, partial=partial)
            rows = with_weight(weighted(rows, arguments.pop("class_weight", None), self.target_encoder_))
            self._check_classes(rows, partial=partial)
            rows = self._as_trained(rows)
            check_inputs(self._network, rows.X)
            check_optimizer(self._network)
        return rows, validation, arguments

    def _as_trained(self, rows: Rows) -> Rows:
        """The rows as the model takes them, and their targets encoded."""
        return rows._replace(X=self._model_input(rows.X), y=self.target_encoder_.transform(rows.y))

    def _measured(self, X: np.ndarray) -> tuple[keras.Model, int]:
        """A new model, and the width of its output."""
        model = self._build(X)
        width = self._width(model, X)
        if self.warm_start_from is not None:
            start_from(model, self.warm_start_from, getattr(self, "classes_", None))
        return model, width

    def _build_key(self, rows: Rows, seed: int) -> Hashable | None:
        """What the model depends on besides the parameters; None: on more than can be compared."""
        encoder = self.target_encoder_
        return seed, rows.X.shape, encoder.task_, encoder.width_

    def _check_classes(self, rows: Rows, *, partial: bool) -> None:
        """Nothing to check where the target has no classes."""

    def _bind(self, rows: Rows, width: int) -> None:
        """Fit the encoder to the model, or refuse a model whose output or loss does not fit the target."""
        encoder, loss = self.target_encoder_, loss_of(self._network)
        check_loss(loss, encoder.task_, width, encoder.width_)
        encoder.bind(width, loss)
        if encoder.task_ != "regression":
            check_metrics(self._network, loss, encoder.task_, width, one_hot=encoder.one_hot_)
        self._check_values(rows)

    def _check_values(self, rows: Rows) -> None:
        if self.target_encoder_.task_ == "regression":
            check_values(loss_of(self._network), rows.y)
            check_targets(loss_of(self._network), rows.y)

    def _divided(
        self, rows: Rows, validation_data: Any, call: dict[str, Any], *, stops: bool, seed: int
    ) -> tuple[Rows, Rows | None]:
        """The rows to train on, and those held out to validate on, where the call or early stopping asks.

        They are divided before class weights are known, which are for the rows to train on.
        """
        split = call.get("validation_split", self._fit_arguments(len(rows.X)).get("validation_split", 0.0))
        if validation_data is not None:
            if call.get("validation_split"):
                raise ValueError("fit got both validation_data and validation_split; pass one of them")
            return rows, None
        if epochs_told() is not None or not (stops or split):
            return rows, None
        if stops and split:
            raise ValueError(
                f"early_stopping=True holds out validation_fraction={self.validation_fraction} of the rows, "
                f"and validation_split={split} asks for another part; set one of them"
            )
        if split:
            train, valid = last_rows(rows, split)
        else:
            stratify = self.target_encoder_.task_ in ("binary", "multiclass")
            train, valid = hold_out(rows, self.validation_fraction, stratify=stratify, seed=seed)
        return train, valid

    def _validation(self, held_out: Rows | None, validation_data: Any) -> Rows | None:
        """The rows to validate on, encoded."""
        if validation_data is not None:
            return self._checked_validation(validation_data)
        return None if held_out is None else self._as_trained(held_out)

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
            return self._as_trained(rows)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"validation_data: {error}") from error

    def _arguments(
        self, n_samples: int, validation: Rows | None, call: dict[str, Any], *, stops: bool, partial: bool
    ) -> dict[str, Any]:
        """Everything but the training rows that goes to `kerashp.fit`."""
        own = self._fit_arguments(n_samples)
        whole = {**own, **call, "epochs": own["epochs"] if partial else call.get("epochs", own["epochs"])}
        epochs = resolved_epochs(whole, n_samples)
        arguments = _as_told({**own, "epochs": epochs, **call}, validated=validation is not None)
        callbacks = copied([self._fit_callbacks_given(), call.get("callbacks")])
        callbacks += named_schedule(self.schedule, self.warmup_epochs, horizon(epochs))
        if epochs_told() is not None:
            callbacks = [c for c in callbacks if not isinstance(c, keras.callbacks.EarlyStopping)]
        if stops:
            callbacks.append(
                keras.callbacks.EarlyStopping(
                    "val_loss",
                    patience=self.patience,
                    min_delta=self.min_delta,
                    restore_best_weights=self.restore_best_weights,
                )
            )
        elif not partial and epochs_told() is None and not is_governed(callbacks):
            callbacks += self._convergence()
        # A checkpoint saves the state of the others when their epoch is over.
        callbacks.sort(key=lambda callback: isinstance(callback, ModelCheckpoint))
        arguments.pop("validation_split", None)  # those rows are `validation`
        if validation is not None:
            weight = [] if validation.sample_weight is None else [validation.sample_weight]
            arguments["validation_data"] = (validation.X, validation.y, *weight)
        check_monitors(callbacks, validated=validation is not None)
        idle = [name for name in _OF_VALIDATION if name in arguments and validation is None]
        if idle:
            raise ValueError(
                f"{type(self).__name__} got {idle[0]}={arguments[idle[0]]!r}, but there are no validation "
                "data; pass validation_data=(X, y) or validation_split, or set early_stopping=True"
            )
        first = arguments.get("initial_epoch", 0)
        if arguments["epochs"] <= first:
            raise ValueError(
                f"epochs={arguments['epochs']} is where training ends and initial_epoch={first} where it "
                "begins, so nothing would be trained; pass more epochs"
            )
        return {**arguments, "callbacks": callbacks}

    def _fit_callbacks_given(self) -> Any:
        return self.callbacks

    def _record(self, history: dict[str, list[float]], arguments: FitArguments, *, partial: bool) -> None:
        before = self.history_ if partial else {}
        done = len(before.get("loss", ()))
        self.callbacks_ = arguments.callbacks
        named = {self._curve_name(name): values for name, values in history.items()}
        self.history_ = {name: [*before.get(name, []), *values] for name, values in named.items()}
        shift = done - arguments.initial_epoch
        known = self.history_ | {name: self.history_[self._curve_name(name)] for name in history}
        self.best_epoch_ = best_epoch(arguments.callbacks, known, shift)
        ended_early = len(history["loss"]) < arguments.n_epochs
        self.stopped_early_ = ended_early and bool(np.isfinite(history["loss"]).all())

    def _curve_name(self, name: str) -> str:
        """The name in `history_` of what Keras' logs call so."""
        return name

    def _check_converged(self) -> None:
        if weights_are_finite(self._network):
            return
        losses = np.asarray(self.history_["loss"])
        bad = np.flatnonzero(~np.isfinite(losses))
        since = f"the loss is {losses[bad[0]]} from epoch {bad[0]} on and " if len(bad) else ""
        raise ValueError(
            f"Training diverged: {since}the weights are not finite. Lower the learning rate, scale X and y, "
            "or clip the gradients (clipnorm). The curves are in history_"
        )

    # Prediction.

    def __sklearn_is_fitted__(self) -> bool:
        return "history_" in vars(self)

    def _raw_outputs(self, X: Any) -> Any:
        check_is_fitted(self)
        X = checked_features(self, X, self._floatx(), reset=False)
        with isolated(dtype=self._dtype()):
            raw = self._forward(self._model_input(X))
        finite = [np.isfinite(own).reshape(len(X), -1).all(axis=1) for own in keras.tree.flatten(raw)]
        bad = ~np.all(finite, axis=0)
        if bad.any():
            raise ValueError(
                f"The network's outputs are not finite for {bad.sum()} of {len(X)} rows: they lie far from "
                "what it was trained on, or training went astray (see history_). Scale X, or lower the "
                "learning rate"
            )
        return raw

    def _forward(self, X: Any) -> Any:
        few = isinstance(X, np.ndarray) and X.ndim == 2 and len(X) < _FEWEST_ROWS
        if few and predicts_by_row(self._network):
            # A row or two would be multiplied by another routine, which rounds otherwise than that of many.
            repeated = X[np.minimum(np.arange(_FEWEST_ROWS), len(X) - 1)]
            return rows_of(self._forward(repeated), 0, len(X))
        given = given_outputs(self._network, X)
        return outputs(self._network, X) if given is None else given

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
