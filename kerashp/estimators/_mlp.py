"""Multilayer perceptrons with explicit parameters, the Keras counterparts of scikit-learn's."""

from collections.abc import Hashable
from numbers import Integral, Real
from typing import Any, ClassVar

import keras
import numpy as np

from kerashp._arguments import Arguments, hidden_widths
from kerashp._compat.sklearn import HasMethods, Interval, StrOptions
from kerashp._memory import Footprint
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._data.rows import Rows
from kerashp.estimators._data.standardization import in_units, input_statistics, target_units, without_units
from kerashp.estimators._data.targets import data_arguments
from kerashp.estimators._mixins import KerasClassifierMixin, KerasRegressorMixin
from kerashp.estimators._parameters.constraints import TRAINING_CONSTRAINTS
from kerashp.estimators._training.convergence import AUTO
from kerashp.estimators._training.handover import built_once
from kerashp.estimators._training.warm_start import units_from
from kerashp.models import build_model, optimizer_slots
from kerashp.training._members.convergence import Convergence

_CHECK = Arguments("build_model")
# Of weights and of the optimizer's state: the model's, a program's before and after, and those on their way.
_COPIES = 4
_AUTO_BATCH = 200  # scikit-learn's MLPs: min(200, n_samples)

# The parameters that go to build_model as they are.
_NETWORK_CONSTRAINTS: dict[str, Any] = {
    "n_hidden": [Interval(Integral, 0, None, closed="left")],
    "n_neurons": [Interval(Integral, 1, None, closed="left"), StrOptions({"input"}), list, tuple, np.ndarray],
    "learning_rate": [Interval(Real, 0, None, closed="neither"), HasMethods("get_config"), None],
    "taper": [Interval(Real, 0, 1, closed="right")],
    "activation": [str, callable],
    "kernel_initializer": [str, callable],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "l1": [Interval(Real, 0, None, closed="left")],
    "l2": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    "activity_l1": [Interval(Real, 0, None, closed="left")],
    "batch_normalization": ["boolean"],
    "optimizer": [str, HasMethods("apply_gradients")],
    "momentum": [Interval(Real, 0, 1, closed="left"), None],
    "beta_1": [Interval(Real, 0, 1, closed="left"), None],
    "weight_decay": [Interval(Real, 0, None, closed="left"), None],
    "clipnorm": [Interval(Real, 0, None, closed="neither"), None],
}


def _repeated_rows(rows: Rows) -> float:
    """How many rows there are, where integer weights repeat them; fractions of a row count as one."""
    if rows.sample_weight is None:
        return float(len(rows.X))
    return max(float(rows.sample_weight.sum()), float(np.count_nonzero(rows.sample_weight)), 1.0)


def _mark(rows: Rows) -> bytes:
    """By which a call's rows are known again; empty for one row, which may come again in any stream."""
    return rows.X[[0, -1]].tobytes() if len(rows.X) > 1 else b""


class _KerasMLP(BaseKerasEstimator):
    """Both perceptrons: `build_model` with the parameters' values."""

    _takes_axes = False
    _l2_of_one_row: ClassVar[float]  # what l2="auto" divides by the number of rows
    _l2: float  # the penalty that a new model gets
    _first_passed: bytes | None = b""  # the mark of a stream's first rows; None once they have come again

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_NETWORK_CONSTRAINTS,
        **TRAINING_CONSTRAINTS,
        "normalize": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "epochs": [*TRAINING_CONSTRAINTS["epochs"], StrOptions({AUTO})],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "dtype": [StrOptions({"float32", "float64"})],
    }

    n_hidden: int
    n_neurons: Any
    taper: float
    l2: Any
    normalize: bool
    optimizer: Any
    batch_size: Any
    epochs: Any
    tol: float | None
    n_iter_no_change: int
    shuffle: bool
    warm_start_from: Any
    dtype: str
    verbose: Any

    def __init__(self, **parameters: Any) -> None:  # whose defaults are in the signatures of subclasses
        for name, value in parameters.items():
            setattr(self, name, value)

    def _dtype(self) -> str:
        return self.dtype

    def _build(self, X: np.ndarray) -> keras.Model:
        self._check_memory(X)
        network = {name: getattr(self, name) for name in _NETWORK_CONSTRAINTS}
        return build_model(
            **network | {"l2": self._l2},
            **data_arguments(self.target_encoder_, X),
            normalize=np.zeros((1, *X.shape[1:])) if self.normalize else None,  # see `_standardize`
        )

    def _start(self, rows: Rows, classes: np.ndarray | None) -> None:
        super()._start(rows, classes)
        self._l2 = self._l2_of_one_row / _repeated_rows(rows) if self.l2 == "auto" else self.l2
        self._first_passed = _mark(rows)

    def _go_on(self, rows: Rows, *, partial: bool) -> None:
        super()._go_on(rows, partial=partial)
        regularizers = [getattr(layer, "kernel_regularizer", None) for layer in self._network.layers]
        penalties = [own for own in regularizers if isinstance(own, keras.regularizers.L1L2) and own.l2]
        if self.l2 != "auto" or not penalties:
            return
        if partial and self._first_passed and self._first_passed == _mark(rows):
            self._first_passed = None
        if partial and self._first_passed is None:
            return  # these are further epochs of rows that count already
        n_before = self._l2_of_one_row / float(penalties[0].l2) if partial else 0.0
        for penalty in penalties:
            penalty.l2 = self._l2_of_one_row / (n_before + _repeated_rows(rows))
        self._network.train_function = self._network.test_function = None  # Keras has traced it as a constant

    def _build_key(self, rows: Rows, seed: int) -> Hashable:
        return super()._build_key(rows, seed), self._l2

    def _standardize(self, rows: Rows, passed: Rows) -> None:
        # `_build` gives all folds one model, which changes nothing yet; that of `warm_start_from` knows more.
        own = self.normalize and self.warm_start_from is None
        self._statistics = input_statistics(rows, self._floatx()) if own else None

    def _check_memory(self, X: np.ndarray) -> None:
        """Refuse before building what cannot be trained; what `build_model` refuses anyhow, it says."""
        try:
            widths = hidden_widths(_CHECK, self.n_hidden, self.n_neurons, self.taper, X[0].size)
        except (TypeError, ValueError):
            return
        batch_size = int(self._fit_arguments(len(X))["batch_size"])
        footprint = Footprint(
            X[0].size,
            self.target_encoder_.width_,
            itemsize=np.dtype(self.dtype).itemsize,
            copies=lambda: _COPIES * (1 + optimizer_slots(self.optimizer)),
            batch_size=min(batch_size, len(X)),
        )
        footprint.check(Arguments(type(self).__name__), self.n_neurons, widths)

    def _convergence(self) -> list[keras.callbacks.Callback]:
        return [] if self.tol is None else [Convergence(self.tol, self.n_iter_no_change)]

    def _fit_arguments(self, n_samples: int) -> dict[str, Any]:
        batch_size = max(1, min(_AUTO_BATCH, n_samples)) if self.batch_size == "auto" else self.batch_size
        return {
            "batch_size": batch_size,
            "epochs": self.epochs,
            "shuffle": self.shuffle,
            "verbose": self.verbose,
        }


class KerasMLPClassifier(KerasClassifierMixin, _KerasMLP):
    """A multilayer perceptron that classifies: binary, multiclass or multilabel.

    The network is `kerashp.build_model`'s: Dense layers with what the parameters ask for, an output layer
    and a loss that follow from the target. The defaults learn from raw data. With them, batches are whole for
    up to 200 rows and the loss is a mean weighted by the sample weights, so that an integer weight equals
    repeated rows.

    Parameters
    ----------
    n_hidden : int, default=1
        Hidden layers, at least 0.
    n_neurons : int, sequence of int or "input", default=100
        Width of the hidden layers; one a layer; or the input's own width, the advised starting point.
    learning_rate : float, keras LearningRateSchedule or None, default=5e-3
        The optimizer's rate; None keeps the optimizer's own.
    taper : float in (0, 1], default=1.0
        Each hidden layer has `taper` times the width of the one before, never under 1.
    activation : str or callable, default="relu"
        Of the hidden layers.
    kernel_initializer : str or keras Initializer, default="glorot_uniform"
        "auto" is He for ReLU and its kin, LeCun for tanh and SELU, Glorot for the others.
    dropout : float in [0, 1), default=0.0
        The share of units dropped after each hidden layer.
    l1 : float, default=0.0
        Penalty on the kernels' absolute values.
    l2 : float or "auto", default="auto"
        Penalty on the kernels' squares. "auto" is 1 / n_samples, of the rows passed to `fit`, and with
        `partial_fit` of those passed so far, until the first call's rows come again. n_samples is the sum of
        the sample weights, so that integer weights count as repeated rows, or the number of rows with a
        weight where that is larger.
    activity_l1 : float, default=0.0
        Penalty on the hidden layers' outputs.
    batch_normalization : bool, default=False
        Whether a `BatchNormalization` stands before each hidden activation.
    normalize : bool, default=True
        Whether the first layer, a `keras.layers.Normalization`, standardises the inputs with the weighted
        means and variances of the training rows: without those held out to validate on, with the sample
        weights and without the class weights. A constant column is only centred. `model_` and what is
        saved take rows as they are. Later calls of `partial_fit`, and of `fit` with `warm_start`, keep the
        statistics of the first; with `warm_start_from` those of the source go along with the weights, and a
        source without any leaves the inputs as they are.
    optimizer : str or keras Optimizer, default="adam"
        A name, or an optimizer, which is copied; `learning_rate` replaces its rate, unless it is None.
    momentum, beta_1, weight_decay, clipnorm : float or None, default=None
        The optimizer's, where it takes them; None is its own default.
    batch_size : int or "auto", default="auto"
        Rows of a training step; "auto" is min(200, n_samples).
    epochs : int or "auto", default="auto"
        Passes over the training rows, the most where training may stop early. "auto" is 200, or as many more
        as 2,000 updates take: max(200, ceil(2000 / steps of an epoch)), of the rows that are trained on and
        the batch size of this call; for the schedule, `partial_fit` reckons with the rows of the call.
    tol : float or None, default=1e-4
        Training ends when the training loss has not fallen by `tol` below the least one before for more than
        `n_iter_no_change` epochs in a row, as in scikit-learn; the weights stay the last epoch's. A
        `ConvergenceWarning` tells of a loss that still fell in the last of `epochs`. None is without both.
        It has no part in `partial_fit`, beside an `EarlyStopping` (`early_stopping=True`, or one of
        `callbacks`), which decides instead, and where a search says for how long the best is refitted.
    n_iter_no_change : int, default=10
        Epochs without such a fall that are tolerated.
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
    dtype : {"float32", "float64"}, default="float32"
        The float type of weights and arithmetic.
    random_state : int, RandomState instance or None, default=None
        Weights, order of the rows, held-out rows and dropout. The same int gives the same numbers.
    verbose : {"auto", 0, 1, 2}, default=0
        Keras' progress.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    model_ : keras.Model
        The trained network.
    history_ : dict of str to list of float
        The curves: `loss`, `val_loss` and the like, one value an epoch.
    best_epoch_ : int
        The position in `history_` of the best epoch, counted from 0: the one that early stopping restores.
    callbacks_ : list of keras.callbacks.Callback
        Those of the last fit, with what they collected: copies of the user's, and what `early_stopping` and
        `schedule` add. Pickles and copies of the estimator are without them.
    stopped_early_ : bool
        Whether training ended before `epochs`, as by `tol` or early stopping; not where the loss diverged.
    baseline_loss_ : float or None
        The loss of predicting the targets' mean, or the classes' shares, for all training rows; for
        `kerashp.diagnostics.diagnose`. None where it is not known, as for hinge losses, or for fits that a
        search trained together.
    n_features_in_ : int
        Width of the rows in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where X had string names.

    References
    ----------
    A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras & TensorFlow*, ch. 10 and 11.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from kerashp import KerasMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> KerasMLPClassifier(random_state=0).fit(X, y).score(X, y) > 0.95
    True
    """

    _l2_of_one_row = 1.0
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_KerasMLP._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        n_hidden: int = 1,
        n_neurons: Any = 100,
        learning_rate: Any = 5e-3,
        *,
        taper: float = 1.0,
        activation: Any = "relu",
        kernel_initializer: Any = "glorot_uniform",
        dropout: float = 0.0,
        l1: float = 0.0,
        l2: Any = "auto",
        activity_l1: float = 0.0,
        batch_normalization: bool = False,
        normalize: bool = True,
        optimizer: Any = "adam",
        momentum: float | None = None,
        beta_1: float | None = None,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        batch_size: Any = "auto",
        epochs: Any = "auto",
        tol: float | None = 1e-4,
        n_iter_no_change: int = 10,
        schedule: str = "constant",
        warmup_epochs: float = 0.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 10,
        min_delta: float = 0.0,
        restore_best_weights: bool = True,
        callbacks: Any = None,
        class_weight: Any = None,
        shuffle: bool = True,
        warm_start: bool = False,
        warm_start_from: Any = None,
        dtype: str = "float32",
        random_state: Any = None,
        verbose: Any = 0,
    ) -> None:
        super().__init__(
            n_hidden=n_hidden,
            n_neurons=n_neurons,
            learning_rate=learning_rate,
            taper=taper,
            activation=activation,
            kernel_initializer=kernel_initializer,
            dropout=dropout,
            l1=l1,
            l2=l2,
            activity_l1=activity_l1,
            batch_normalization=batch_normalization,
            normalize=normalize,
            optimizer=optimizer,
            momentum=momentum,
            beta_1=beta_1,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            batch_size=batch_size,
            epochs=epochs,
            tol=tol,
            n_iter_no_change=n_iter_no_change,
            schedule=schedule,
            warmup_epochs=warmup_epochs,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            patience=patience,
            min_delta=min_delta,
            restore_best_weights=restore_best_weights,
            callbacks=callbacks,
            shuffle=shuffle,
            warm_start=warm_start,
            warm_start_from=warm_start_from,
            dtype=dtype,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def _fit_arguments(self, n_samples: int) -> dict[str, Any]:
        return {**super()._fit_arguments(n_samples), "class_weight": self.class_weight}


class KerasMLPRegressor(KerasRegressorMixin, _KerasMLP):
    """A multilayer perceptron that predicts numbers, one output or many.

    The network is `kerashp.build_model`'s: Dense layers with what the parameters ask for, an output layer
    and a loss that follow from the target. The defaults learn from raw data. With them, batches are whole for
    up to 200 rows and the loss is a mean weighted by the sample weights, so that an integer weight equals
    repeated rows.

    Parameters
    ----------
    n_hidden : int, default=1
        Hidden layers, at least 0.
    n_neurons : int, sequence of int or "input", default=100
        Width of the hidden layers; one a layer; or the input's own width, the advised starting point.
    learning_rate : float, keras LearningRateSchedule or None, default=5e-3
        The optimizer's rate; None keeps the optimizer's own.
    taper : float in (0, 1], default=1.0
        Each hidden layer has `taper` times the width of the one before, never under 1.
    activation : str or callable, default="relu"
        Of the hidden layers.
    kernel_initializer : str or keras Initializer, default="glorot_uniform"
        "auto" is He for ReLU and its kin, LeCun for tanh and SELU, Glorot for the others.
    dropout : float in [0, 1), default=0.0
        The share of units dropped after each hidden layer.
    l1 : float, default=0.0
        Penalty on the kernels' absolute values.
    l2 : float or "auto", default="auto"
        Penalty on the kernels' squares. "auto" is 4 / n_samples, of the rows passed to `fit`, and with
        `partial_fit` of those passed so far, until the first call's rows come again. n_samples is the sum of
        the sample weights, so that integer weights count as repeated rows, or the number of rows with a
        weight where that is larger.
    activity_l1 : float, default=0.0
        Penalty on the hidden layers' outputs.
    batch_normalization : bool, default=False
        Whether a `BatchNormalization` stands before each hidden activation.
    normalize : bool, default=True
        Whether the first layer, a `keras.layers.Normalization`, standardises the inputs with the weighted
        means and variances of the training rows: without those held out to validate on, with the sample
        weights. A constant column is only centred. `model_` and what is saved take rows as they are. Later
        calls of `partial_fit`, and of `fit` with `warm_start`, keep the statistics of the first; with
        `warm_start_from` those of the source go along with the weights, and a source without any leaves
        the inputs as they are.
    normalize_target : bool, default=True
        Whether the network learns standardised targets: each output less its weighted mean, divided by its
        standard deviation, over the rows passed to `fit`, those held out among them. A constant output is
        divided by its size where that is below 1, and otherwise only centred. Losses, curves, `min_delta`,
        `baseline_loss_` and what callbacks see are then of the standardised targets; `predict`, `model_` and
        what is saved give the target's own units. Statistics are kept as those of `normalize`.
    optimizer : str or keras Optimizer, default="adam"
        A name, or an optimizer, which is copied; `learning_rate` replaces its rate, unless it is None.
    momentum, beta_1, weight_decay, clipnorm : float or None, default=None
        The optimizer's, where it takes them; None is its own default.
    batch_size : int or "auto", default="auto"
        Rows of a training step; "auto" is min(200, n_samples).
    epochs : int or "auto", default="auto"
        Passes over the training rows, the most where training may stop early. "auto" is 200, or as many more
        as 2,000 updates take: max(200, ceil(2000 / steps of an epoch)), of the rows that are trained on and
        the batch size of this call; for the schedule, `partial_fit` reckons with the rows of the call.
    tol : float or None, default=1e-4
        Training ends when the training loss has not fallen by `tol` below the least one before for more than
        `n_iter_no_change` epochs in a row, as in scikit-learn; the weights stay the last epoch's. A
        `ConvergenceWarning` tells of a loss that still fell in the last of `epochs`. None is without both.
        It has no part in `partial_fit`, beside an `EarlyStopping` (`early_stopping=True`, or one of
        `callbacks`), which decides instead, and where a search says for how long the best is refitted.
    n_iter_no_change : int, default=10
        Epochs without such a fall that are tolerated.
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
    callbacks : list of keras.callbacks.Callback, default=None
        Copied for each fit; `callbacks_` holds the copies. Their `model` is the network that trains, which
        `normalize_target` gives standardised targets; what kerashp's `ModelCheckpoint` saves is `model_`.
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new order.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the fit before.
    warm_start_from : fitted estimator of kerashp's, keras.Model or path of a .keras file, default=None
        What a new model begins with: the weights of all layers, of the output's where it has the same shape
        and classes. It is only read, and a clone has the same one. See `kerashp.models.transfer` to choose
        the layers, and to freeze them.
    dtype : {"float32", "float64"}, default="float32"
        The float type of weights and arithmetic.
    random_state : int, RandomState instance or None, default=None
        Weights, order of the rows, held-out rows and dropout. The same int gives the same numbers.
    verbose : {"auto", 0, 1, 2}, default=0
        Keras' progress.

    Attributes
    ----------
    model_ : keras.Model
        The trained network; with `normalize_target` a layer after it gives the target's own units.
    history_ : dict of str to list of float
        The curves: `loss`, `val_loss` and the like, one value an epoch.
    best_epoch_ : int
        The position in `history_` of the best epoch, counted from 0: the one that early stopping restores.
    callbacks_ : list of keras.callbacks.Callback
        Those of the last fit, with what they collected: copies of the user's, and what `early_stopping` and
        `schedule` add. Pickles and copies of the estimator are without them.
    stopped_early_ : bool
        Whether training ended before `epochs`, as by `tol` or early stopping; not where the loss diverged.
    baseline_loss_ : float or None
        The loss of predicting the targets' mean, or the classes' shares, for all training rows; for
        `kerashp.diagnostics.diagnose`. None where it is not known, as for hinge losses, or for fits that a
        search trained together.
    n_features_in_ : int
        Width of the rows in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where X had string names.

    References
    ----------
    A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras & TensorFlow*, ch. 10 and 11.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from kerashp import KerasMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> KerasMLPRegressor(random_state=0).fit(X, y).score(X, y) > 0.5
    True
    """

    _l2_of_one_row = 4.0
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_KerasMLP._parameter_constraints,
        "normalize_target": ["boolean"],
    }

    def __init__(
        self,
        n_hidden: int = 1,
        n_neurons: Any = 100,
        learning_rate: Any = 5e-3,
        *,
        taper: float = 1.0,
        activation: Any = "relu",
        kernel_initializer: Any = "glorot_uniform",
        dropout: float = 0.0,
        l1: float = 0.0,
        l2: Any = "auto",
        activity_l1: float = 0.0,
        batch_normalization: bool = False,
        normalize: bool = True,
        normalize_target: bool = True,
        optimizer: Any = "adam",
        momentum: float | None = None,
        beta_1: float | None = None,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        batch_size: Any = "auto",
        epochs: Any = "auto",
        tol: float | None = 1e-4,
        n_iter_no_change: int = 10,
        schedule: str = "constant",
        warmup_epochs: float = 0.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 10,
        min_delta: float = 0.0,
        restore_best_weights: bool = True,
        callbacks: Any = None,
        shuffle: bool = True,
        warm_start: bool = False,
        warm_start_from: Any = None,
        dtype: str = "float32",
        random_state: Any = None,
        verbose: Any = 0,
    ) -> None:
        super().__init__(
            n_hidden=n_hidden,
            n_neurons=n_neurons,
            learning_rate=learning_rate,
            taper=taper,
            activation=activation,
            kernel_initializer=kernel_initializer,
            dropout=dropout,
            l1=l1,
            l2=l2,
            activity_l1=activity_l1,
            batch_normalization=batch_normalization,
            normalize=normalize,
            optimizer=optimizer,
            momentum=momentum,
            beta_1=beta_1,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            batch_size=batch_size,
            epochs=epochs,
            tol=tol,
            n_iter_no_change=n_iter_no_change,
            schedule=schedule,
            warmup_epochs=warmup_epochs,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            patience=patience,
            min_delta=min_delta,
            restore_best_weights=restore_best_weights,
            callbacks=callbacks,
            shuffle=shuffle,
            warm_start=warm_start,
            warm_start_from=warm_start_from,
            dtype=dtype,
            random_state=random_state,
            verbose=verbose,
        )
        self.normalize_target = normalize_target

    @property
    def model_(self) -> keras.Model:
        """The network, with the layer that gives the target's own units where it learns standardised ones."""
        if "model_" not in vars(self):
            raise AttributeError(f"This {type(self).__name__} is not fitted: it has no model_ yet")
        encoder, network = self.target_encoder_, self._network
        if encoder.mean_ is None:
            return network
        known, model = vars(self).get("_whole", (None, None))
        if known is not network:
            model = in_units(network, encoder.mean_, encoder.deviation_)
            self._whole = network, model
        return model

    @model_.setter
    def model_(self, network: keras.Model) -> None:
        self.__dict__["model_"] = network

    def _adopt(self, model: keras.Model) -> None:
        parts = without_units(model)
        self.model_ = model if parts is None else parts[0]
        if parts is not None:
            self.target_encoder_.standardize(*parts[1:])

    def _measured(self, X: np.ndarray) -> tuple[keras.Model, int]:
        model, width = super()._measured(X)
        units = None if self.normalize_target else self._units_of_source(model)
        if units is not None:
            mean, deviation = units
            kernel, bias = model.layers[-1].get_weights()
            model.layers[-1].set_weights([kernel * deviation, bias * deviation + mean])
        return model, width

    def _units_of_source(self, network: keras.Model) -> tuple[np.ndarray, np.ndarray] | None:
        """See `units_from`; folds that share a network read a source that is a file once."""
        source = self.warm_start_from
        if source is None:
            return None
        return built_once(("units of source", id(network)), lambda: units_from(network, source))

    def _standardize(self, rows: Rows, passed: Rows) -> None:
        super()._standardize(rows, passed)
        if not self.normalize_target:
            return
        units = self._units_of_source(self._network)
        if units is None:
            # Of all rows: fits that hold out others then have equal targets, which a search keeps once.
            units = target_units(passed)
        self.target_encoder_.standardize(*units)

    def _check_values(self, rows: Rows) -> None:
        if self.target_encoder_.mean_ is not None:
            super()._check_values(rows._replace(y=self.target_encoder_.transform(rows.y)))
        elif not self.normalize_target:
            super()._check_values(rows)
