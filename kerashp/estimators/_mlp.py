"""Multilayer perceptrons with explicit parameters, the Keras counterparts of scikit-learn's."""

from numbers import Real
from typing import Any, ClassVar

import keras
import numpy as np

from kerashp._compat.sklearn import Interval, StrOptions
from kerashp.estimators._data.rows import Rows, drop_zero_weights
from kerashp.estimators._data.standardization import model_in_target_units, split_target_units, target_units
from kerashp.estimators._mixins import KerasClassifierMixin, KerasRegressorMixin
from kerashp.estimators._perceptron import KerasMLP
from kerashp.estimators._training.handover import build_once, has_one_hot_targets
from kerashp.estimators._training.pending import model_of
from kerashp.estimators._training.warm_start import convert_outputs, units_from


class KerasMLPClassifier(KerasClassifierMixin, KerasMLP):
    """A multilayer perceptron for binary, multiclass or multilabel classification.

    `kerashp.build_model` makes the network: Dense layers according to the parameters, and an output layer and
    a loss that follow from the target. The defaults are suited to raw data. With them, up to 200 rows are one
    batch, and the loss is weighted by the sample weights, so that an integer weight equals repeated rows.

    Parameters
    ----------
    n_hidden : int, default=1
        The number of hidden layers, at least 0.
    n_neurons : int, sequence of int or "input", default=100
        The width of the hidden layers; a sequence has one width for each layer. "input" is the width of the
        input, the recommended starting point.
    learning_rate : float, keras LearningRateSchedule or None, default=5e-3
        The optimizer's learning rate; None keeps the optimizer's own rate.
    taper : float in (0, 1], default=1.0
        Each hidden layer has `taper` times the width of the previous one, at least 1.
    activation : str or callable, default="relu"
        The activation of the hidden layers.
    kernel_initializer : str or keras Initializer, default="glorot_uniform"
        The initializer of the kernels. "auto" is He for ReLU and similar functions, LeCun for tanh and SELU,
        Glorot for all others.
    dropout : float in [0, 1), default=0.0
        The fraction of units that is dropped after each hidden layer.
    l1 : float, default=0.0
        The penalty on the absolute values of the kernels.
    l2 : float or "auto", default="auto"
        The penalty on the squares of the kernels. "auto" is 1 / n_samples for the rows passed to `fit`. With
        `partial_fit`, n_samples counts all rows passed so far, until the rows of the first call are repeated.
        Integer weights count as repeated rows: n_samples is the sum of the sample weights, or the number of
        rows with a positive weight if that is larger.
    activity_l1 : float, default=0.0
        The penalty on the absolute outputs of the hidden layers.
    batch_normalization : bool, default=False
        Whether a `BatchNormalization` layer comes before each hidden activation.
    parametrization : {"standard", "ntk"}, default="standard"
        "ntk" leaves the network as it is at first, and lets each kernel learn, with Adam, at 1 / sqrt(number
        of its inputs) times the learning rate, and biases at a tenth of it: see `kerashp.build_model`.
        Learning rates can then be larger; RealMLP has 0.04 for classes and 0.2 for regressions.
    parametric_activation : bool, default=False
        Whether each hidden neuron learns how much of the activation it applies, from all of it at first:
        x + alpha * (activation(x) - x), as in RealMLP (`kerashp.layers.ParametricActivation`).
    heads : int, default=1
        Above 1, the network has so many heads, whose mean it predicts: they share the kernels of the hidden
        layers, and differ in scales, biases and output layers, as in TabM, which has 32. Each learns by
        itself, so that `loss` in `history_` is the mean of the losses of the heads; `val_loss` is that of
        their mean. `batch_normalization` must be False, and `parametrization` "standard". See
        `kerashp.build_model` and `kerashp.presets.tabm`.
    normalize : bool, default=True
        Whether the first layer scales the inputs by statistics of the training rows, without the rows held
        out for validation, weighted by the sample weights but not by class weights. `model_` and saved
        models take rows that are not scaled. Later calls of `partial_fit`, and of `fit` with `warm_start`,
        keep the statistics of the first call. With `warm_start_from`, the statistics of the source are used
        along with its weights; if the source does not scale, this is refused for "robust", and with
        "standard" the inputs are not scaled.
    scaling : {"standard", "robust"}, default="standard"
        How `normalize` scales: "standard" by means and standard deviations (`keras.layers.Normalization`; a
        constant column is only centred), "robust" by medians and quartiles, and with a smooth limit of 3
        (`kerashp.layers.RobustScaling`; a constant column becomes 0), which suits columns with outliers.
    numeric_embedding : {"none", "periodic", "piecewise"}, default="none"
        What each column is replaced by: "periodic", itself and three learned periodic functions of it
        (`kerashp.layers.PeriodicEmbedding`); "piecewise", how far it has passed each of its quantile bins
        (`kerashp.layers.PiecewiseLinearEncoding`), whose edges are statistics as those of `normalize`.
        `normalize` and `scaling` have no effect with "piecewise", since bins suit any scale.
    embedding_sigma : float, default=0.1
        The standard deviation of the frequencies of a periodic embedding at first; useful values are from
        0.01 to 10. The larger it is, the less smooth are the functions.
    embedding_bins : int, default=48
        The number of bins of a piecewise-linear encoding.
    input_scale_rate : float or None, default=None
        Whether a learned scale of each feature comes before the first Dense layer
        (`kerashp.layers.LearnedScale`), which learns, with Adam, at this many times the learning rate;
        RealMLP has 6. None: there is none.
    categorical_features : "from_dtype", array-like of bool, int or str, or None, default="from_dtype"
        The columns that are categories: a mask, indices, or names of a data frame's columns. "from_dtype"
        takes the columns of a data frame that are categories by their type: category, object, string and
        boolean of pandas, Categorical, Enum, String and Boolean of polars; an array has none. None: no
        column. Up to 9 categories become one-hot columns; a column with more gets an embedding. Missing
        values are a category of their own if the rows of the fit have some, and categories that these rows
        do not have count as missing. Numbers may be missing, too: see `feature_encoder_`.
    embedding_dim : int, default=8
        The length of the vector that the network learns for each category of a column with more than 9.
    optimizer : str or keras Optimizer, default="adam"
        A name in `keras.optimizers`, or an optimizer, which is copied. `learning_rate` replaces its rate
        unless it is None.
    momentum, beta_1, beta_2, weight_decay, clipnorm : float or None, default=None
        Arguments of the optimizer, if it takes them; None keeps its defaults.
    label_smoothing : float in [0, 1), default=0.0
        The share s of each target that is spread evenly over all K classes: the target of the true class is
        1 - s + s / K, that of each other class s / K (K = 2 for binary and multilabel targets). The losses in
        `history_`, those of validation included, and `baseline_loss_` are of these targets. With more than
        two classes, `model_` then has Keras' `CategoricalCrossentropy`, whose targets are one-hot rows.
    batch_size : int or "auto", default="auto"
        The number of rows in a training step; "auto" is min(200, n_samples).
    equal_batches : bool, default=False
        Whether the batches are a little larger than `batch_size` where the last one would otherwise be
        short: as many as there are full ones, of about equal size (264 rows and a batch size of 256 make one
        batch). A step on a few rows is noisy, as its learning rate is that of all others.
    epochs : int or "auto", default="auto"
        The number of passes over the training rows; the maximum if training may stop early. "auto" is
        max(200, ceil(2000 / number of steps in an epoch)): 200 epochs or as many as give 2,000 updates, for
        the training rows and the batch size of this call. In `partial_fit`, it is the length of the schedule,
        for the rows of the call.
    tol : float or None, default=1e-4
        Training ends if the training loss has not decreased by `tol` below its minimum for more than
        `n_iter_no_change` epochs in a row, as in scikit-learn; the weights are those of the last epoch. A
        `ConvergenceWarning` is given if the loss still decreased at the end of `epochs`. None disables both.
        `tol` has no effect in `partial_fit`, with an `EarlyStopping` (`early_stopping=True` or in
        `callbacks`), and when a search fixes the number of epochs of the refit.
    n_iter_no_change : int, default=10
        The number of epochs without such a decrease that are tolerated.
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
    dropout_schedule, weight_decay_schedule : str, default="constant"
        How `dropout` and `weight_decay` change over `epochs`, step by step: by the names of `schedule`, as
        the learning rate would from a peak of these values.
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
    dtype : {"float32", "float64"}, default="float32"
        The float type of the weights and the computation.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the order of the rows, the held-out rows and dropout. An int gives the
        same results in each fit.
    verbose : {"auto", 0, 1, 2}, default=0
        Keras' progress output.

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
        Whether training ended before `epochs`, for example by `tol` or early stopping, unless the loss
        diverged.
    baseline_loss_ : float or None
        The loss of predicting the mean of the targets, or the proportions of the classes, for all training
        rows; `kerashp.diagnostics.diagnose` uses it. None if it is unknown, as for hinge losses and for fits
        that a search trained together.
    feature_encoder_ : object
        What was learned about the columns of X; `feature_encoder_.transform(X)` is the matrix that `model_`
        takes. Numbers come first, with the mean of the column in the rows of the fit in place of those that
        are missing; then an indicator of missing numbers for each column in which the fit had some; then the
        codes of categories, which the network turns into one-hot columns and embeddings.
    n_features_in_ : int
        The number of columns of X in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the columns, if X has string names.

    References
    ----------
    A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras & TensorFlow*, ch. 10 and 11.

    C. Szegedy et al., *Rethinking the Inception Architecture for Computer Vision*, CVPR 2016, section 7
    (label smoothing).

    Y. Gorishniy, A. Kotelnikov and A. Babenko, *TabM: Advancing Tabular Deep Learning with
    Parameter-Efficient Ensembling*, ICLR 2025 (`heads`).

    D. Holzmüller, L. Grinsztajn and I. Steinwart, *Better by Default: Strong Pre-Tuned MLPs and Boosted Trees
    on Tabular Data*, NeurIPS 2024 ("coslog4", and "flat_cosine" for dropout and weight decay; one-hot columns
    for up to 9 categories, embeddings of length 8 above).

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
        **KerasMLP._parameter_constraints,
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
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
        parametrization: str = "standard",
        parametric_activation: bool = False,
        heads: int = 1,
        normalize: bool = True,
        scaling: str = "standard",
        numeric_embedding: str = "none",
        embedding_sigma: float = 0.1,
        embedding_bins: int = 48,
        input_scale_rate: float | None = None,
        categorical_features: Any = "from_dtype",
        embedding_dim: int = 8,
        optimizer: Any = "adam",
        momentum: float | None = None,
        beta_1: float | None = None,
        beta_2: float | None = None,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        label_smoothing: float = 0.0,
        batch_size: Any = "auto",
        equal_batches: bool = False,
        epochs: Any = "auto",
        tol: float | None = 1e-4,
        n_iter_no_change: int = 10,
        schedule: str = "constant",
        warmup_epochs: float = 0.0,
        dropout_schedule: str = "constant",
        weight_decay_schedule: str = "constant",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int | None = 10,
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
            parametrization=parametrization,
            parametric_activation=parametric_activation,
            heads=heads,
            normalize=normalize,
            scaling=scaling,
            numeric_embedding=numeric_embedding,
            embedding_sigma=embedding_sigma,
            embedding_bins=embedding_bins,
            input_scale_rate=input_scale_rate,
            categorical_features=categorical_features,
            embedding_dim=embedding_dim,
            optimizer=optimizer,
            momentum=momentum,
            beta_1=beta_1,
            beta_2=beta_2,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            batch_size=batch_size,
            equal_batches=equal_batches,
            epochs=epochs,
            tol=tol,
            n_iter_no_change=n_iter_no_change,
            schedule=schedule,
            warmup_epochs=warmup_epochs,
            dropout_schedule=dropout_schedule,
            weight_decay_schedule=weight_decay_schedule,
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
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight

    def _loss_arguments(self) -> dict[str, Any]:
        return {"label_smoothing": self.label_smoothing, "one_hot": has_one_hot_targets()}

    def _fit_arguments(self, n_samples: int) -> dict[str, Any]:
        return {**super()._fit_arguments(n_samples), "class_weight": self.class_weight}


class KerasMLPRegressor(KerasRegressorMixin, KerasMLP):
    """A multilayer perceptron for regression with one output or several.

    `kerashp.build_model` makes the network: Dense layers according to the parameters, and an output layer and
    a loss that follow from the target. The defaults are suited to raw data. With them, up to 200 rows are one
    batch, and the loss is weighted by the sample weights, so that an integer weight equals repeated rows.

    Parameters
    ----------
    n_hidden : int, default=1
        The number of hidden layers, at least 0.
    n_neurons : int, sequence of int or "input", default=100
        The width of the hidden layers; a sequence has one width for each layer. "input" is the width of the
        input, the recommended starting point.
    learning_rate : float, keras LearningRateSchedule or None, default=5e-3
        The optimizer's learning rate; None keeps the optimizer's own rate.
    taper : float in (0, 1], default=1.0
        Each hidden layer has `taper` times the width of the previous one, at least 1.
    activation : str or callable, default="relu"
        The activation of the hidden layers.
    kernel_initializer : str or keras Initializer, default="glorot_uniform"
        The initializer of the kernels. "auto" is He for ReLU and similar functions, LeCun for tanh and SELU,
        Glorot for all others.
    dropout : float in [0, 1), default=0.0
        The fraction of units that is dropped after each hidden layer.
    l1 : float, default=0.0
        The penalty on the absolute values of the kernels.
    l2 : float or "auto", default="auto"
        The penalty on the squares of the kernels. "auto" is 4 / n_samples for the rows passed to `fit`. With
        `partial_fit`, n_samples counts all rows passed so far, until the rows of the first call are repeated.
        Integer weights count as repeated rows: n_samples is the sum of the sample weights, or the number of
        rows with a positive weight if that is larger.
    activity_l1 : float, default=0.0
        The penalty on the absolute outputs of the hidden layers.
    batch_normalization : bool, default=False
        Whether a `BatchNormalization` layer comes before each hidden activation.
    parametrization : {"standard", "ntk"}, default="standard"
        "ntk" leaves the network as it is at first, and lets each kernel learn, with Adam, at 1 / sqrt(number
        of its inputs) times the learning rate, and biases at a tenth of it: see `kerashp.build_model`.
        Learning rates can then be larger; RealMLP has 0.04 for classes and 0.2 for regressions.
    parametric_activation : bool, default=False
        Whether each hidden neuron learns how much of the activation it applies, from all of it at first:
        x + alpha * (activation(x) - x), as in RealMLP (`kerashp.layers.ParametricActivation`).
    heads : int, default=1
        Above 1, the network has so many heads, whose mean it predicts: they share the kernels of the hidden
        layers, and differ in scales, biases and output layers, as in TabM, which has 32. Each learns by
        itself, so that `loss` in `history_` is the mean of the losses of the heads; `val_loss` is that of
        their mean. `batch_normalization` must be False, and `parametrization` "standard". See
        `kerashp.build_model` and `kerashp.presets.tabm`.
    normalize : bool, default=True
        Whether the first layer scales the inputs by statistics of the training rows, without the rows held
        out for validation, weighted by the sample weights. `model_` and saved
        models take rows that are not scaled. Later calls of `partial_fit`, and of `fit` with `warm_start`,
        keep the statistics of the first call. With `warm_start_from`, the statistics of the source are used
        along with its weights; if the source does not scale, this is refused for "robust", and with
        "standard" the inputs are not scaled.
    scaling : {"standard", "robust"}, default="standard"
        How `normalize` scales: "standard" by means and standard deviations (`keras.layers.Normalization`; a
        constant column is only centred), "robust" by medians and quartiles, and with a smooth limit of 3
        (`kerashp.layers.RobustScaling`; a constant column becomes 0), which suits columns with outliers.
    numeric_embedding : {"none", "periodic", "piecewise"}, default="none"
        What each column is replaced by: "periodic", itself and three learned periodic functions of it
        (`kerashp.layers.PeriodicEmbedding`); "piecewise", how far it has passed each of its quantile bins
        (`kerashp.layers.PiecewiseLinearEncoding`), whose edges are statistics as those of `normalize`.
        `normalize` and `scaling` have no effect with "piecewise", since bins suit any scale.
    embedding_sigma : float, default=0.1
        The standard deviation of the frequencies of a periodic embedding at first; useful values are from
        0.01 to 10. The larger it is, the less smooth are the functions.
    embedding_bins : int, default=48
        The number of bins of a piecewise-linear encoding.
    input_scale_rate : float or None, default=None
        Whether a learned scale of each feature comes before the first Dense layer
        (`kerashp.layers.LearnedScale`), which learns, with Adam, at this many times the learning rate;
        RealMLP has 6. None: there is none.
    normalize_target : bool, default=True
        Whether the network learns standardised targets: each output minus its weighted mean, divided by its
        standard deviation, both over all rows passed to `fit`, including those held out. A constant output is
        centred, and divided by its absolute value if that is below 1. Losses, curves, `min_delta`,
        `baseline_loss_` and the logs of callbacks then refer to the standardised targets; `predict`, `model_`
        and saved models return the units of the target. Later calls keep the statistics as for `normalize`.
    clip_predictions : bool, default=False
        Whether `predict` clips predictions to the range of the targets passed to `fit`, of each output and
        without rows of weight 0; with `partial_fit`, of those of all calls so far. Scores and ensembles of a
        search are of clipped predictions, too. `model_` does not clip, nor do the losses in `history_`.
    categorical_features : "from_dtype", array-like of bool, int or str, or None, default="from_dtype"
        The columns that are categories: a mask, indices, or names of a data frame's columns. "from_dtype"
        takes the columns of a data frame that are categories by their type: category, object, string and
        boolean of pandas, Categorical, Enum, String and Boolean of polars; an array has none. None: no
        column. Up to 9 categories become one-hot columns; a column with more gets an embedding. Missing
        values are a category of their own if the rows of the fit have some, and categories that these rows
        do not have count as missing. Numbers may be missing, too: see `feature_encoder_`.
    embedding_dim : int, default=8
        The length of the vector that the network learns for each category of a column with more than 9.
    optimizer : str or keras Optimizer, default="adam"
        A name in `keras.optimizers`, or an optimizer, which is copied. `learning_rate` replaces its rate
        unless it is None.
    momentum, beta_1, beta_2, weight_decay, clipnorm : float or None, default=None
        Arguments of the optimizer, if it takes them; None keeps its defaults.
    batch_size : int or "auto", default="auto"
        The number of rows in a training step; "auto" is min(200, n_samples).
    equal_batches : bool, default=False
        Whether the batches are a little larger than `batch_size` where the last one would otherwise be
        short: as many as there are full ones, of about equal size (264 rows and a batch size of 256 make one
        batch). A step on a few rows is noisy, as its learning rate is that of all others.
    epochs : int or "auto", default="auto"
        The number of passes over the training rows; the maximum if training may stop early. "auto" is
        max(200, ceil(2000 / number of steps in an epoch)): 200 epochs or as many as give 2,000 updates, for
        the training rows and the batch size of this call. In `partial_fit`, it is the length of the schedule,
        for the rows of the call.
    tol : float or None, default=1e-4
        Training ends if the training loss has not decreased by `tol` below its minimum for more than
        `n_iter_no_change` epochs in a row, as in scikit-learn; the weights are those of the last epoch. A
        `ConvergenceWarning` is given if the loss still decreased at the end of `epochs`. None disables both.
        `tol` has no effect in `partial_fit`, with an `EarlyStopping` (`early_stopping=True` or in
        `callbacks`), and when a search fixes the number of epochs of the refit.
    n_iter_no_change : int, default=10
        The number of epochs without such a decrease that are tolerated.
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
    dropout_schedule, weight_decay_schedule : str, default="constant"
        How `dropout` and `weight_decay` change over `epochs`, step by step: by the names of `schedule`, as
        the learning rate would from a peak of these values.
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
    callbacks : list of keras.callbacks.Callback, default=None
        Callbacks, which are copied for each fit; `callbacks_` has the copies. Their `model` is the network
        that trains, which has standardised targets with `normalize_target`; kerashp's `ModelCheckpoint` saves
        `model_`.
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new order.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the previous fit.
    warm_start_from : fitted estimator of kerashp, keras.Model or path of a .keras file, default=None
        The source of a new model's initial weights. The weights of all layers are copied, those of the output
        layer only if its shape and the classes are the same. The source is only read, and clones share it.
        See `kerashp.models.transfer` to choose the layers and to freeze them.
    dtype : {"float32", "float64"}, default="float32"
        The float type of the weights and the computation.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the order of the rows, the held-out rows and dropout. An int gives the
        same results in each fit.
    verbose : {"auto", 0, 1, 2}, default=0
        Keras' progress output.

    Attributes
    ----------
    model_ : keras.Model
        The trained model; with `normalize_target`, its last layer converts predictions to the units of the
        target.
    history_ : dict of str to list of float
        The curves (`loss`, `val_loss`, metrics), with one value for each epoch.
    best_epoch_ : int
        The index in `history_` of the best epoch, which early stopping restores.
    callbacks_ : list of keras.callbacks.Callback
        The callbacks of the last fit with the state that they collected: copies of those passed, and those
        that `early_stopping` and `schedule` add. Pickles and copies of the estimator do not have them.
    stopped_early_ : bool
        Whether training ended before `epochs`, for example by `tol` or early stopping, unless the loss
        diverged.
    baseline_loss_ : float or None
        The loss of predicting the mean of the targets, or the proportions of the classes, for all training
        rows; `kerashp.diagnostics.diagnose` uses it. None if it is unknown, as for hinge losses and for fits
        that a search trained together.
    feature_encoder_ : object
        What was learned about the columns of X; `feature_encoder_.transform(X)` is the matrix that `model_`
        takes. Numbers come first, with the mean of the column in the rows of the fit in place of those that
        are missing; then an indicator of missing numbers for each column in which the fit had some; then the
        codes of categories, which the network turns into one-hot columns and embeddings.
    n_features_in_ : int
        The number of columns of X in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the columns, if X has string names.

    References
    ----------
    A. Géron, *Hands-On Machine Learning with Scikit-Learn, Keras & TensorFlow*, ch. 10 and 11.

    Y. Gorishniy, A. Kotelnikov and A. Babenko, *TabM: Advancing Tabular Deep Learning with
    Parameter-Efficient Ensembling*, ICLR 2025 (`heads`).

    D. Holzmüller, L. Grinsztajn and I. Steinwart, *Better by Default: Strong Pre-Tuned MLPs and Boosted Trees
    on Tabular Data*, NeurIPS 2024 ("coslog4", "flat_cosine" for dropout and weight decay, and clipped
    predictions; one-hot columns for up to 9 categories, embeddings of length 8 above).

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
        **KerasMLP._parameter_constraints,
        "normalize_target": ["boolean"],
        "clip_predictions": ["boolean"],
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
        parametrization: str = "standard",
        parametric_activation: bool = False,
        heads: int = 1,
        normalize: bool = True,
        scaling: str = "standard",
        numeric_embedding: str = "none",
        embedding_sigma: float = 0.1,
        embedding_bins: int = 48,
        input_scale_rate: float | None = None,
        normalize_target: bool = True,
        clip_predictions: bool = False,
        categorical_features: Any = "from_dtype",
        embedding_dim: int = 8,
        optimizer: Any = "adam",
        momentum: float | None = None,
        beta_1: float | None = None,
        beta_2: float | None = None,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        batch_size: Any = "auto",
        equal_batches: bool = False,
        epochs: Any = "auto",
        tol: float | None = 1e-4,
        n_iter_no_change: int = 10,
        schedule: str = "constant",
        warmup_epochs: float = 0.0,
        dropout_schedule: str = "constant",
        weight_decay_schedule: str = "constant",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int | None = 10,
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
            parametrization=parametrization,
            parametric_activation=parametric_activation,
            heads=heads,
            normalize=normalize,
            scaling=scaling,
            numeric_embedding=numeric_embedding,
            embedding_sigma=embedding_sigma,
            embedding_bins=embedding_bins,
            input_scale_rate=input_scale_rate,
            categorical_features=categorical_features,
            embedding_dim=embedding_dim,
            optimizer=optimizer,
            momentum=momentum,
            beta_1=beta_1,
            beta_2=beta_2,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            batch_size=batch_size,
            equal_batches=equal_batches,
            epochs=epochs,
            tol=tol,
            n_iter_no_change=n_iter_no_change,
            schedule=schedule,
            warmup_epochs=warmup_epochs,
            dropout_schedule=dropout_schedule,
            weight_decay_schedule=weight_decay_schedule,
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
        self.clip_predictions = clip_predictions

    @property
    def model_(self) -> keras.Model:
        """The trained model, whose predictions are in the units of the target."""
        if "model_" not in vars(self):
            raise AttributeError(f"This {type(self).__name__} is not fitted: it has no model_ yet")
        encoder, network = self.target_encoder_, self._network
        if encoder.mean_ is None:
            return network
        cached_network, model = vars(self).get("_whole_model", (None, None))
        if cached_network is not network:
            model = model_in_target_units(network, encoder.mean_, encoder.deviation_)
            self._whole_model = network, model
        return model

    @model_.setter
    def model_(self, network: Any) -> None:
        self.__dict__["model_"] = network

    def _start(self, rows: Rows, classes: np.ndarray | None) -> None:
        super()._start(rows, classes)
        self.target_encoder_.clip(self.clip_predictions, drop_zero_weights(rows).y)

    def _continue_fit(self, rows: Rows, *, partial: bool) -> None:
        super()._continue_fit(rows, partial=partial)
        self.target_encoder_.clip(self.clip_predictions, drop_zero_weights(rows).y, extend=partial)

    def _adopt(self, model: keras.Model) -> None:
        self.target_encoder_.clips_ = self.clip_predictions
        parts = split_target_units(model)
        self.model_ = model if parts is None else parts[0]
        if parts is not None:
            self.target_encoder_.standardize(*parts[1:])

    def _new_model_and_width(self, X: np.ndarray, seed: int) -> tuple[Any, int]:
        model, width = super()._new_model_and_width(X, seed)
        units = None if self.normalize_target else self._units_of_source(model)
        if units is not None:
            convert_outputs(model, *units)
        return model, width

    def _units_of_source(self, network: Any) -> tuple[np.ndarray, np.ndarray] | None:
        """Call `units_from`, only once for folds that share a network, since the source may be a file."""
        source = self.warm_start_from
        if source is None:
            return None
        network = model_of(network)
        return build_once(("units of source", id(network)), lambda: units_from(network, source))

    def _standardize(self, rows: Rows, all_rows: Rows) -> None:
        super()._standardize(rows, all_rows)
        if not self.normalize_target:
            return
        units = self._units_of_source(vars(self)["model_"])
        if units is None:
            # With all rows, fits that hold out different rows have equal targets, which a search stores once.
            units = target_units(all_rows)
        self.target_encoder_.standardize(*units)

    def _check_values(self, rows: Rows) -> None:
        if self.target_encoder_.mean_ is not None:
            super()._check_values(rows._replace(y=self.target_encoder_.transform(rows.y)))
        elif not self.normalize_target:
            super()._check_values(rows)
