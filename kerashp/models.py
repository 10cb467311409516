"""A factory of Keras models whose arguments are the hyperparameters to tune."""

import inspect
import math
from dataclasses import dataclass
from typing import Any

from kerashp import _loading  # noqa: F401  # before Keras

# isort: split
import keras
import numpy as np

from kerashp._arguments import (
    Arguments,
    activation_function,
    checked_output_width,
    hidden_widths,
    initializer_or_auto,
    known_arguments,
    metrics_to_compile,
    optimizer_options,
)
from kerashp._memory import Footprint
from kerashp._optimizers import compiled_optimizer, optimizer_slots
from kerashp._transfer import transfer, unfreeze
from kerashp.layers._categorical_columns import ColumnSizes
from kerashp.layers._heads import LOSS_OF_HEADS
from kerashp.layers._hidden_layers import PARAMETRIZATIONS, LayerFactory, check_heads, layer_dtype
from kerashp.layers._initializers import by_head
from kerashp.layers._inputs import InputDesign

__all__ = ["build_model", "loss_for", "transfer", "unfreeze"]

_CHECK = Arguments("build_model")

# From the task to the activation of the output layer and the loss.
_TASKS = {
    "regression": ("linear", keras.losses.MeanSquaredError),
    "binary": ("sigmoid", keras.losses.BinaryCrossentropy),
    "multiclass": ("softmax", keras.losses.SparseCategoricalCrossentropy),
    "multilabel": ("sigmoid", keras.losses.BinaryCrossentropy),
}

_WEIGHT_AND_GRADIENT = 2  # numbers for each weight, besides the optimizer's state


def loss_for(task: str, label_smoothing: float = 0.0) -> Any:
    r"""The loss with which `build_model` compiles a model for a task.

    With sample weights $w_i$ it is $\sum_i w_i \ell_i / \sum_i w_i$, so that an integer weight equals a
    repeated row. Without weights it is the mean, Keras' default.

    With label smoothing $s$ the target $y$ of a class or label becomes $(1 - s) y + s / K$, where $K$ is the
    number of classes, 2 for "binary" and "multilabel".

    Parameters
    ----------
    task : {"regression", "binary", "multiclass", "multilabel"}
        Mean squared error for "regression", binary cross-entropy for "binary" and "multilabel", sparse
        categorical cross-entropy for "multiclass", whose targets are integers.
    label_smoothing : float in [0, 1), default=0.0
        The share of each target that is spread evenly over all classes. Keras' sparse cross-entropy has no
        label smoothing: above 0, "multiclass" gets categorical cross-entropy, whose targets are one-hot rows.

    Returns
    -------
    keras.losses.Loss
        A new loss in Keras' current float type.

    Raises
    ------
    TypeError
        If `task` is not a string, or `label_smoothing` is not a number.
    ValueError
        If `task` is none of these, `label_smoothing` is out of range, or not 0 for "regression".

    References
    ----------
    C. Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016, section 7.

    Examples
    --------
    >>> loss_for("multiclass").name
    'sparse_categorical_crossentropy'
    >>> loss_for("multiclass", label_smoothing=0.1).name
    'categorical_crossentropy'
    """
    check = Arguments("loss_for")
    task = check.choice("task", task, _TASKS)
    return _loss(task, _label_smoothing(check, label_smoothing, task))


def _label_smoothing(check: Arguments, label_smoothing: Any, task: str) -> float:
    share = check.fraction("label_smoothing", label_smoothing)
    if share and task == "regression":
        raise check.wrong_value("label_smoothing", "0 for task='regression', which has no labels", share)
    return share


def _loss(task: str, label_smoothing: float, *, one_hot: bool = False, heads: int = 1) -> Any:
    """A new loss; `one_hot` makes the targets of a multiclass task one-hot even without label smoothing."""
    _, loss = _TASKS[task]
    if task == "multiclass" and (label_smoothing or one_hot):
        loss = keras.losses.CategoricalCrossentropy
    options = {"label_smoothing": label_smoothing} if label_smoothing else {}
    loss = LOSS_OF_HEADS[loss] if heads > 1 else loss
    return loss(reduction="mean_with_sample_weight", **options)


@dataclass(frozen=True)
class NetworkDesign:
    """The checked arguments of `build_model`."""

    factory: LayerFactory
    inputs: InputDesign
    widths: list[int]  # of the hidden layers
    width_argument: Any
    n_outputs: int
    task: str
    optimizer: Any
    optimizer_options: dict[str, Any]
    label_smoothing: float
    one_hot: bool  # whether the targets of a multiclass task are one-hot even without label smoothing
    metrics: list[Any] | None

    @classmethod
    def of(
        cls,
        *,
        n_hidden: int,
        n_neurons: Any,
        learning_rate: Any,
        input_shape: Any,
        n_outputs: int,
        task: str,
        taper: float,
        activation: Any,
        kernel_initializer: Any,
        dropout: float,
        l1: float,
        l2: float,
        activity_l1: float,
        batch_normalization: bool,
        parametrization: str,
        parametric_activation: bool = False,
        heads: int = 1,
        normalize: Any,
        scaling: str,
        numeric_embedding: str,
        embedding_sigma: float,
        embedding_bins: int,
        input_scale_rate: float | None,
        optimizer: Any,
        momentum: float | None,
        beta_1: float | None,
        beta_2: float | None,
        weight_decay: float | None,
        clipnorm: float | None,
        label_smoothing: float = 0.0,
        one_hot: bool = False,
        metrics: Any = None,
        columns: ColumnSizes | None = None,
    ) -> "NetworkDesign":
        """Check the arguments of `build_model`; `columns` says what the columns of encoded rows are."""
        task = _CHECK.choice("task", task, _TASKS)
        shape = _CHECK.shape("input_shape", input_shape)
        n_inputs = math.prod(shape) if columns is None else columns.width
        widths = hidden_widths(_CHECK, n_hidden, n_neurons, taper, n_inputs)
        n_outputs = checked_output_width(_CHECK, task, n_outputs)
        options = optimizer_options(
            _CHECK,
            learning_rate=learning_rate,
            momentum=momentum,
            beta_1=beta_1,
            beta_2=beta_2,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
        )
        factory = LayerFactory(
            activation=activation_function(_CHECK, activation),
            initializer=initializer_or_auto(_CHECK, kernel_initializer),
            dropout=_CHECK.fraction("dropout", dropout),
            l1=_CHECK.not_negative("l1", l1),
            l2=_CHECK.not_negative("l2", l2),
            activity_l1=_CHECK.not_negative("activity_l1", activity_l1),
            batch_normalization=_CHECK.flag("batch_normalization", batch_normalization),
            parametrization=_CHECK.choice("parametrization", parametrization, PARAMETRIZATIONS),
            parametric_activation=_CHECK.flag("parametric_activation", parametric_activation),
            heads=_CHECK.integer("heads", heads, at_least=1),
            embeds=numeric_embedding != "none",
            dtype=layer_dtype(),
        )
        check_heads(factory)
        inputs = InputDesign.of(
            shape,
            normalize=normalize,
            scaling=scaling,
            numeric_embedding=numeric_embedding,
            embedding_sigma=embedding_sigma,
            embedding_bins=embedding_bins,
            input_scale_rate=input_scale_rate,
            columns=columns,
        )
        compiled_metrics = metrics_to_compile(_CHECK, metrics, task)
        return cls(
            factory,
            inputs,
            widths,
            n_neurons,
            n_outputs,
            task,
            optimizer,
            options,
            _label_smoothing(_CHECK, label_smoothing, task),
            one_hot,
            compiled_metrics,
        )

    @property
    def units(self) -> tuple[int, ...]:
        """The widths of the layer of categories, if there is one, and the units of all Dense layers."""
        return (*self.inputs.widths, *self.widths, self.n_outputs)

    def initializers(self) -> list[tuple[Any, Any]]:
        """For each Dense layer its kernel's initializer, and the seeds of the Dropout after it or None.

        They are drawn in the order in which `build` draws them, for activations that are functions, after
        `head_initializers`.
        """
        hidden = [
            (
                self.factory.kernel_initializer(self.factory.activation, index),
                keras.random.SeedGenerator() if self.factory.dropout else None,
            )
            for index in range(len(self.widths))
        ]
        output_activation = keras.activations.get(_TASKS[self.task][0])
        output = self.factory.kernel_initializer(output_activation, len(self.widths))
        return [*hidden, (by_head(output) if self.factory.heads > 1 else output, None)]

    def head_initializers(self) -> dict[str, list[tuple[Any, tuple[int, int]]]]:
        """The initializers of random scales of heads, with the shapes of the scales, by the layer's name."""
        heads = self.factory.heads
        if heads == 1:
            return {}
        return {"head_scale_1": [(self.factory.head_initializer(0), (heads, self.inputs.width))]}

    def build(self) -> keras.Sequential:
        """The compiled model."""
        optimizer = compiled_optimizer(self.optimizer, self.optimizer_options)
        footprint = Footprint(
            self.inputs.width,
            self.n_outputs,
            itemsize=np.dtype(keras.config.floatx()).itemsize,
            copies=lambda: _WEIGHT_AND_GRADIENT + optimizer_slots(optimizer),
            n_embedded=self.inputs.n_embedded_weights,
            n_heads=self.factory.heads,
        )
        footprint.check(_CHECK, self.width_argument, self.widths)
        widths, n_hidden = enumerate(self.widths), len(self.widths)
        hidden = [layer for index, width in widths for layer in self.factory.hidden_layers(width, index)]
        outputs = self.factory.output_layers(self.n_outputs, _TASKS[self.task][0], n_hidden)
        inputs = self.inputs.layers(self.factory.dtype)
        model = keras.Sequential([*inputs, *hidden, *outputs], name="mlp")
        loss = _loss(self.task, self.label_smoothing, one_hot=self.one_hot, heads=self.factory.heads)
        model.compile(optimizer=optimizer, loss=loss, metrics=self.metrics)
        return model


@known_arguments
def build_model(
    n_hidden: int = 1,
    n_neurons: Any = 30,
    learning_rate: Any = 3e-3,
    input_shape: Any = (8,),
    *,
    n_outputs: int = 1,
    task: str = "regression",
    taper: float = 1.0,
    activation: Any = "relu",
    kernel_initializer: Any = "auto",
    dropout: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    activity_l1: float = 0.0,
    batch_normalization: bool = False,
    parametrization: str = "standard",
    parametric_activation: bool = False,
    heads: int = 1,
    normalize: Any = None,
    scaling: str = "standard",
    numeric_embedding: str = "none",
    embedding_sigma: float = 0.1,
    embedding_bins: int = 48,
    input_scale_rate: float | None = None,
    optimizer: Any = "sgd",
    momentum: float | None = None,
    beta_1: float | None = None,
    beta_2: float | None = None,
    weight_decay: float | None = None,
    clipnorm: float | None = None,
    label_smoothing: float = 0.0,
    metrics: Any = None,
) -> Any:
    r"""Build and compile a multilayer perceptron from its hyperparameters.

    The layers are, each only if it is requested: Input, Normalization or RobustScaling, Flatten,
    PeriodicEmbedding or PiecewiseLinearEncoding, LearnedScale, `n_hidden` times (Dense, BatchNormalization,
    Activation, Dropout), Dense. With `heads`, there are scales around each hidden Dense.
    They, the loss and the optimizer are Keras' own, so the model can be saved and loaded without kerashp, but
    for those of `kerashp.layers`: import that module before you load a model that contains one.

    With $W$ the kernels of all Dense layers, $a$ the outputs of the hidden activations and $B$ the number of
    rows in the batch, the training loss is

    $$\frac{\sum_i w_i \ell(y_i, \hat y_i)}{\sum_i w_i} + l_1 \sum |W| + l_2 \sum W^2
    + \frac{\mathrm{activity\_l1}}{B} \sum |a|.$$

    NumPy scalars are accepted like Python numbers. All layers use Keras' current float type
    (`keras.config.floatx()`), even if it was set after Keras' first layer; a mixed precision policy is kept.

    Parameters
    ----------
    n_hidden : int, default=1
        The number of hidden layers, at least 0.
    n_neurons : int, sequence of int or "input", default=30
        The width of the hidden layers; "input" is the width of the flattened input. A sequence has one width
        for each layer and sets the depth: `n_hidden` is then its length or 1, and `taper` is 1.
    learning_rate : float, keras LearningRateSchedule or None, default=3e-3
        The optimizer's learning rate, above 0. A schedule counts in steps, one for each batch. The rate
        replaces that of an `optimizer` instance; None keeps the optimizer's own rate.
    input_shape : int or sequence of int, default=(8,)
        The shape of a sample, without the batch axis. Samples with more than one axis are flattened.
    n_outputs : int, default=1
        The width of the output: the number of targets (regression), of classes (multiclass, at least 2) or of
        labels (multilabel); 1 for binary.
    task : {"regression", "binary", "multiclass", "multilabel"}, default="regression"
        Sets the activation of the output layer and the loss (see `loss_for`): linear and mean squared error;
        sigmoid and binary cross-entropy; softmax and sparse categorical cross-entropy; sigmoid and binary
        cross-entropy.
    taper : float in (0, 1], default=1.0
        Layer i + 1 has max(1, round(taper * width of layer i)) neurons; round takes halves to even numbers.
    activation : str or callable, default="relu"
        The activation of the hidden layers: a name in `keras.activations`, such as "mish" or "selu", or a
        function that keeps the shape of its tensor. Register your own function with Keras
        (`keras.saving.register_keras_serializable`), so that the model can be loaded.
    kernel_initializer : str or keras Initializer, default="auto"
        "auto" chooses by the activation and the width n of each layer: He normal, variance 2/n_in, for ReLU
        and similar functions; LeCun normal, 1/n_in, for tanh, SELU and similar functions; Glorot uniform,
        2/(n_in + n_out), for all others and the output layer. Any other initializer of Keras is used in all
        layers, each with its own copy and, if it has a seed, its own seed.
    dropout : float in [0, 1), default=0.0
        The rate of a Dropout layer after each hidden layer, also with SELU: Klambauer et al. propose
        AlphaDropout, which keeps mean and variance of the outputs, but RealMLP (Holzmüller et al.) combines
        SELU and dropout, and so activations can be compared at one kind of dropout.
    l1 : float, default=0.0
        The penalty on the absolute values of the kernels of all Dense layers.
    l2 : float, default=0.0
        The penalty on the squares of the kernels of all Dense layers.
    activity_l1 : float, default=0.0
        The penalty on the outputs of the hidden layers, for each row (before Keras 3.14, for each batch).
    batch_normalization : bool, default=False
        Whether a BatchNormalization layer comes before each hidden activation; the Dense layer then has no
        bias.
    parametrization : {"standard", "ntk"}, default="standard"
        "ntk" leaves the network as it is at first, and changes how fast it learns (Jacot et al., 2018): the
        kernels are sqrt(n_in) times those of `kernel_initializer`, and a `kerashp.layers.FanInScaling` before
        each Dense layer divides its inputs by sqrt(n_in). With Adam, a kernel thus learns at 1 / sqrt(n_in)
        times the learning rate, which can be larger: RealMLP has 0.04 for classes and 0.2 for regressions.
        The biases, each a `kerashp.layers.LearnedBias`, learn at a tenth of the rate. `l1`
        and `l2` are penalties on the larger kernels.
    parametric_activation : bool, default=False
        Whether each hidden neuron learns how much of the activation it applies: its output is
        x + alpha * (activation(x) - x), and alpha begins at 1 and learns, with Adam, at a tenth of the
        learning rate. See `kerashp.layers.ParametricActivation` (RealMLP).
    heads : int, default=1
        Above 1, the network has so many heads, and predicts their mean (TabM, Gorishniy et al., 2025): they
        share the kernels of the hidden layers, and each has scales of the inputs and outputs of these
        kernels, biases, and an output layer. See `kerashp.layers.HeadScale`, `HeadAffine` and `HeadOutputs`.
        The first scales are random, so that the heads differ. The training loss is the mean of the losses of
        the heads, which learn each by itself; that of validation, and metrics, are of the mean prediction.
        Penalties are means over the heads, too. TabM has 32 heads. `batch_normalization` must be False, and
        `parametrization` "standard".
    normalize : array-like of shape (n, *input_shape) or None, default=None
        The training rows, by whose statistics the first layer scales the inputs; None: there is no such
        layer.
    scaling : {"standard", "robust"}, default="standard"
        How `normalize` scales. With "standard", the inputs become (x - mean) / std, with the mean and the
        standard deviation of the rows for each index of the last axis. A constant feature is only centred. If
        std < 1e-7, Keras divides by 1e-7. "robust" takes the median and the quartiles instead, and clips
        smoothly at 3: see `kerashp.layers.RobustScaling` (Holzmüller et al., 2024).
    numeric_embedding : {"none", "periodic", "piecewise"}, default="none"
        What each input is replaced by (Gorishniy et al., 2022). "periodic": itself and three learned periodic
        functions of it, see `kerashp.layers.PeriodicEmbedding`; it is meant for scaled inputs. "piecewise":
        how far it has passed each quantile bin of the rows of `normalize`, which are not scaled then, see
        `kerashp.layers.PiecewiseLinearEncoding`.
    embedding_sigma : float, default=0.1
        The standard deviation of the frequencies of a periodic embedding at first; useful values are from
        0.01 to 10. The larger it is, the less smooth are the functions.
    embedding_bins : int, default=48
        The number of bins of a piecewise-linear encoding.
    input_scale_rate : float or None, default=None
        Whether a learned scale of each feature comes before the first Dense layer: see
        `kerashp.layers.LearnedScale`. It learns, with Adam, at this many times the learning rate; RealMLP has
        6. None: there is none.
    optimizer : str or keras Optimizer, default="sgd"
        A name in `keras.optimizers` (upper or lower case), or an instance, which is copied and not changed.
    momentum : float in [0, 1) or None, default=None
        The optimizer's momentum, if it takes one. None, here and below, keeps the optimizer's default.
    beta_1 : float in [0, 1) or None, default=None
        The optimizer's `beta_1`, if it takes one.
    beta_2 : float in [0, 1) or None, default=None
        The optimizer's `beta_2`, if it takes one.
    weight_decay : float or None, default=None
        Each step subtracts learning_rate * weight_decay times each weight, including biases.
    clipnorm : float or None, default=None
        The largest norm, above 0, of the gradient of each weight array.
    label_smoothing : float in [0, 1), default=0.0
        The share of each target that is spread evenly over all classes; see `loss_for`. Above 0, the targets
        of the task "multiclass" are one-hot rows instead of integers.
    metrics : list or None, default=None
        Metrics as in `keras.Model.compile`: names ("accuracy"), functions or `keras.metrics.Metric` objects.
        For the task "multilabel", "accuracy" is the share of all labels that are predicted correctly.

    Returns
    -------
    keras.Sequential
        A compiled model with inputs of shape `(batch, *input_shape)` and outputs of shape
        `(batch, n_outputs)`. Two calls with equal arguments give equal configs.

    Raises
    ------
    TypeError
        If an argument has the wrong type (a bool is not a number).
    ValueError
        If a value cannot be used, the optimizer does not take an argument, or the network does not fit in the
        available memory.

    References
    ----------
    The first four arguments: A. Géron, Hands-On Machine Learning, ch. 10. Initializers: LeCun et al.,
    Efficient BackProp (1998); Glorot and Bengio (2010); He et al. (2015); Klambauer et al. (2017, selu).

    Heads: Y. Gorishniy, A. Kotelnikov and A. Babenko, TabM: Advancing Tabular Deep Learning with
    Parameter-Efficient Ensembling, ICLR 2025.

    Label smoothing: C. Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016.
    Mish: D. Misra, Mish: A Self Regularized Non-Monotonic Activation Function, BMVC 2020. For values of
    `beta_2`, `label_smoothing` and the activations on tables: D. Holzmüller, L. Grinsztajn and I. Steinwart,
    Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data, NeurIPS 2024.

    Examples
    --------
    >>> model = build_model(2, 100, 1e-2, (28, 28), n_outputs=10, task="multiclass", taper=0.5)
    >>> [layer.name for layer in model.layers]
    ['flatten', 'hidden_1', 'hidden_2', 'output']
    >>> [tuple(layer.output.shape) for layer in model.layers]
    [(None, 784), (None, 100), (None, 50), (None, 10)]
    """
    return NetworkDesign.of(**locals()).build()  # the arguments: there is no other name yet


def designed(**arguments: Any) -> NetworkDesign:
    """What `build_model` builds for these arguments."""
    parameters = inspect.signature(build_model).parameters
    return NetworkDesign.of(**{name: arguments.get(name, p.default) for name, p in parameters.items()})
