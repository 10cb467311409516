"""A factory of Keras models whose arguments are the hyperparameters that one tunes."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kerashp._arguments import (
    Arguments,
    activation_function,
    hidden_widths,
    initializer_or_auto,
    known_arguments,
    metrics_to_compile,
    optimizer_options,
    output_width,
    shown,
    spelled,
    unshared,
)
from kerashp._memory import Footprint
from kerashp._transfer import transfer, unfreeze

__all__ = ["build_model", "loss_for", "transfer", "unfreeze"]

_CHECK = Arguments("build_model")

# Task: (the output layer's activation, the loss).
_TASKS = {
    "regression": ("linear", keras.losses.MeanSquaredError),
    "binary": ("sigmoid", keras.losses.BinaryCrossentropy),
    "multiclass": ("softmax", keras.losses.SparseCategoricalCrossentropy),
    "multilabel": ("sigmoid", keras.losses.BinaryCrossentropy),
}

# In lower case and without underscores, so that a function (`leaky_relu`) and a layer (`LeakyReLU`) meet.
_LIKE_RELU = "relu relu6 leakyrelu prelu elu celu gelu silu hardsilu mish softplus squareplus sparseplus"
_LIKE_TANH = "tanh hardtanh softsign selu"

_WEIGHT_AND_GRADIENT = 2  # numbers for each weight, besides the optimizer's

# The optimizers' base, and those that wrap others: only the user can make these.
_NOT_BY_NAME = ("optimizer", "lossscaleoptimizer", "multioptimizer")


def loss_for(task: str) -> Any:
    r"""The loss that `build_model` compiles a model of this task with.

    With sample weights $w_i$ it is $\sum_i w_i \ell_i / \sum_i w_i$, so that an integer weight equals a
    repeated row; without, it is the mean, Keras' default.

    Args:
        task: "regression" (mean squared error), "binary" or "multilabel" (binary cross-entropy), or
            "multiclass" (sparse categorical cross-entropy: the targets are integers).

    Returns:
        A new `keras.losses.Loss` in Keras' current float type.

    Raises:
        TypeError: `task` is not a string.
        ValueError: `task` is none of these.

    Example:
        >>> loss_for("multiclass").name
        'sparse_categorical_crossentropy'
    """
    _, loss = _TASKS[Arguments("loss_for").choice("task", task, _TASKS)]
    return loss(reduction="mean_with_sample_weight")


def suited_initializer(activation: Callable) -> Any:
    """The initializer that keeps the scale of a signal that passes this activation."""
    name = getattr(activation, "__name__", type(activation).__name__).replace("_", "").lower()
    if name in _LIKE_RELU.split():
        return keras.initializers.HeNormal()
    if name in _LIKE_TANH.split():
        return keras.initializers.LecunNormal()
    return keras.initializers.GlorotUniform()


def _initializer_for_layer(initializer: Any, activation: Callable, index: int) -> Any:
    """A fresh initializer; one with a seed of its own gets another seed in each layer after the first."""
    if initializer is None:
        return suited_initializer(activation)
    if not isinstance(initializer, keras.initializers.Initializer):
        return initializer
    config = initializer.get_config()
    if isinstance(config.get("seed"), int):
        config["seed"] = _spawned_seed(config["seed"], index)
    elif config.get("seed") is not None:
        config["seed"] = initializer.seed  # a SeedGenerator moves on with each layer; its copy would not
    return _copied_initializer(initializer, config)


def _spawned_seed(seed: int, index: int) -> int:
    # Not seed + index: models with the seeds 0, 1, 2 would share layers.
    return int(np.random.SeedSequence([abs(seed), index]).generate_state(1)[0] >> 1) if index else seed


def _copied_initializer(initializer: Any, config: dict[str, Any]) -> Any:
    try:
        return type(initializer).from_config(config)
    except (TypeError, ValueError) as error:
        expected = "an initializer whose get_config() gives all arguments, since each layer gets a copy"
        raise ValueError(
            f"{_CHECK.wrong_value('kernel_initializer', expected, initializer)}: {error}"
        ) from error


def _layer_dtype() -> Any:
    """Keras' global policy, or its current float type where the policy is a plain one.

    Keras sets the global policy when the first layer is made, and a later `set_floatx` does not move it.
    """
    policy = keras.config.dtype_policy()
    return keras.config.floatx() if policy.name in ("float32", "float64") else policy


@dataclass(frozen=True)
class _Layers:
    """Makes the layers of one model."""

    activation: Callable
    initializer: Any
    dropout: float
    l1: float
    l2: float
    activity_l1: float
    batch_normalization: bool
    dtype: Any

    def entry(self, shape: tuple[int, ...], normalize: Any) -> list[Any]:
        layers = [keras.Input(shape, name="input")]
        if normalize is not None:
            layers.append(_normalization(normalize, shape))
        if len(shape) > 1:
            layers.append(keras.layers.Flatten(name="flatten", dtype=self.dtype))
        return layers

    def hidden(self, width: int, index: int) -> list[Any]:
        block = self._normalized(width, index) if self.batch_normalization else self._plain(width, index)
        if self.dropout:
            block.append(keras.layers.Dropout(self.dropout, name=f"dropout_{index + 1}", dtype=self.dtype))
        return block

    def output(self, width: int, activation: str, index: int) -> Any:
        function = keras.activations.get(activation)
        return self._dense(width, index, function, name="output", activation=function)

    def _plain(self, width: int, index: int) -> list[Any]:
        active = self._active(width)
        return [self._dense(width, index, active["activation"], name=f"hidden_{index + 1}", **active)]

    def _normalized(self, width: int, index: int) -> list[Any]:
        name = f"hidden_{index + 1}"
        return [
            self._dense(width, index, self.activation, name=name, use_bias=False),
            keras.layers.BatchNormalization(name=f"batch_normalization_{index + 1}", dtype=self.dtype),
            keras.layers.Activation(**self._active(width), name=f"activation_{index + 1}", dtype=self.dtype),
        ]

    def _active(self, width: int) -> dict[str, Any]:
        # Not keras' L1, which rounds its factor to float32.
        regularizer = keras.regularizers.L1L2(l1=self.activity_l1) if self.activity_l1 else None
        return {
            "activation": unshared(self.activation, width, self.dtype),
            "activity_regularizer": regularizer,
        }

    def _dense(self, width: int, index: int, feeds: Callable, **options: Any) -> Any:
        regularizer = keras.regularizers.L1L2(l1=self.l1, l2=self.l2) if self.l1 or self.l2 else None
        return keras.layers.Dense(
            width,
            kernel_initializer=_initializer_for_layer(self.initializer, feeds, index),
            kernel_regularizer=regularizer,
            dtype=self.dtype,
            **options,
        )


def _normalization(normalize: Any, shape: tuple[int, ...]) -> Any:
    floatx = keras.config.floatx()
    rows = _CHECK.rows("normalize", normalize, shape, floatx)
    layer = keras.layers.Normalization(axis=-1, name="normalization", dtype=floatx)
    layer.build((None, *shape))  # adapt would put the number of rows into the config
    with np.errstate(over="ignore", invalid="ignore"):
        layer.adapt(rows)
    _keep_constants(layer, rows)
    if not all(np.isfinite(weight).all() for weight in layer.get_weights()):
        expected = f"rows whose variance fits into {floatx} (divide the largest features by a constant)"
        raise _CHECK.wrong_value("normalize", expected, rows)
    return layer


def _keep_constants(layer: Any, rows: np.ndarray) -> None:
    """Gives constant features a variance of 1; by Keras' epsilon a later departure would grow 1e7-fold."""
    axes = tuple(range(rows.ndim - 1))
    low, high = rows.min(axis=axes), rows.max(axis=axes)
    mean, variance, count = layer.get_weights()
    layer.set_weights([np.where(low == high, low, mean), np.where(low == high, 1, variance), count])
    layer.finalize_state()  # the layer computes with copies of its weights


def _known_optimizers() -> dict[str, Any]:
    exported = {
        name.lower(): value for name, value in vars(keras.optimizers).items() if inspect.isclass(value)
    }
    return {
        name: value
        for name, value in sorted(exported.items())
        if issubclass(value, keras.optimizers.Optimizer) and name not in _NOT_BY_NAME
    }


def _compiled_with(optimizer: Any, options: dict[str, Any]) -> Any:
    """A new optimizer with these options."""
    optimizer_class, config = _class_and_config(optimizer)
    for name, value in options.items():
        _check_takes(optimizer_class, name, value)
    try:
        return optimizer_class.from_config({**config, **options})
    except (TypeError, ValueError) as error:
        refused = f"optimizer {optimizer_class.__name__} cannot be made with {shown(options)}"
        raise ValueError(f"build_model: {refused}: {error} Leave None what it refuses.") from error


def _class_and_config(optimizer: Any) -> tuple[Any, dict[str, Any]]:
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return type(optimizer), optimizer.get_config()
    known = _known_optimizers()
    if not isinstance(optimizer, str):
        expected = f"a keras.optimizers.Optimizer instance or one of {spelled(known)}"
        raise _CHECK.wrong_type("optimizer", expected, optimizer)
    name = optimizer.lower()
    if name not in known:
        raise _CHECK.wrong_value("optimizer", f"an instance or one of {spelled(known)}", optimizer)
    return known[name], {"name": name}  # Keras' own name has a counter, so that no two configs are equal


def optimizer_slots(optimizer: Any) -> int:
    """How many numbers an optimizer holds for each weight: Adam two, plain SGD none.

    >>> optimizer_slots("adam"), optimizer_slots(keras.optimizers.SGD())
    (2, 0)
    """
    optimizer_class, config = _class_and_config(optimizer)
    own = optimizer_class.from_config(config)
    n_before = len(own.variables)
    own.build([keras.Variable(np.zeros((2, 2)))])
    return sum(variable.shape == (2, 2) for variable in own.variables[n_before:])


def _check_takes(optimizer_class: Any, name: str, value: Any) -> None:
    if _takes(optimizer_class, name):
        return
    takers = spelled(known for known, known_class in _known_optimizers().items() if _takes(known_class, name))
    raise ValueError(
        f"build_model: optimizer {optimizer_class.__name__} takes no {name}; got {name}={shown(value)}: "
        f"leave it None or use one of {takers}"
    )


def _takes(optimizer_class: Any, argument: str) -> bool:
    """Whether the constructor takes the argument: itself or, where it passes `**kwargs` on, its base's."""
    for base in optimizer_class.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters
        if argument in parameters:
            return True
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            return False
    return False


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
    normalize: Any = None,
    optimizer: Any = "sgd",
    momentum: float | None = None,
    beta_1: float | None = None,
    weight_decay: float | None = None,
    clipnorm: float | None = None,
    metrics: Any = None,
) -> Any:
    r"""A multilayer perceptron, compiled and built, from the hyperparameters that one tunes.

    The layers are, each only where it is asked for:
    Input, Normalization, Flatten, `n_hidden` times (Dense, BatchNormalization, Activation, Dropout), Dense.
    All of them, the loss and the optimizer are Keras' own: the model saves and loads without kerashp.

    What it trains on, with $W$ the kernels of all Dense layers, $a$ the outputs of the hidden activations and
    $B$ the rows of the batch, is

    $$\frac{\sum_i w_i \ell(y_i, \hat y_i)}{\sum_i w_i} + l_1 \sum |W| + l_2 \sum W^2
    + \frac{\mathrm{activity\_l1}}{B} \sum |a|.$$

    NumPy scalars are as good as Python's. Keras' current float type (`keras.config.floatx()`) is used
    throughout, even where it was set after Keras' first layer; a mixed precision policy is kept.

    Args:
        n_hidden: number of hidden layers, >= 0; 1 by default.
        n_neurons: width of the hidden layers: an int >= 1 (30 by default); "input", the width of the
            flattened input; or a sequence of ints, one a layer, which sets the depth (`n_hidden` is then its
            length or left at 1, and `taper` 1).
        learning_rate: number > 0 (0.003 by default), a Keras `LearningRateSchedule` (whose unit is the step,
            one batch), or None, the optimizer's own. It replaces that of an `optimizer` instance: pass None
            to keep the instance's.
        input_shape: shape of one sample, without the batch axis: an int or a sequence of ints, `(8,)` by
            default. Samples of more than one axis are flattened.
        n_outputs: width of the output, 1 by default: targets (regression), classes (multiclass, >= 2) or
            labels (multilabel); 1 for binary.
        task: sets the output's activation and the loss (see `loss_for`): "regression" (linear, mean squared
            error; the default), "binary" (sigmoid, binary cross-entropy), "multiclass" (softmax, sparse
            categorical cross-entropy) or "multilabel" (sigmoid, binary cross-entropy).
        taper: in (0, 1], 1 by default. Layer i + 1 has max(1, round(taper * width of layer i)) neurons
            (halves go to the even number).
        activation: of the hidden layers: a name in `keras.activations` ("relu" by default), or a function
            that keeps the shape. A function of your own must be registered with Keras
            (`keras.saving.register_keras_serializable`) for the model to load.
        kernel_initializer: "auto" (the default) goes by each layer's own activation and width n: He normal,
            variance 2/n_in, for ReLU and its kin; LeCun normal, 1/n_in, for tanh, selu and their kin; Glorot
            uniform, 2/(n_in + n_out), for all else, the output layer among it. Any other name or initializer
            of Keras is used in all layers, each with a copy and, if it has a seed, a seed of its own.
        dropout: rate in [0, 1) of a Dropout after each hidden layer; 0 by default.
        l1, l2: >= 0, penalties on the kernel of every Dense; 0 by default.
        activity_l1: >= 0, penalty on the outputs of the hidden layers, for each row (before Keras 3.14, for a
            batch); 0 by default.
        batch_normalization: whether a BatchNormalization stands between each hidden Dense, then without a
            bias, and its activation; False by default.
        normalize: None (the default), or the training rows, of shape `(n, *input_shape)`: the inputs become
            (x - mean) / std, with one mean and std of these rows for each index of the last axis. A constant
            feature is only centred. Where std < 1e-7, Keras divides by 1e-7.
        optimizer: a name in `keras.optimizers`, in any case ("sgd" by default), or an instance, which is
            copied and not changed.
        momentum: in [0, 1), for the optimizers that take it; None (the default), here and below, leaves the
            optimizer's own.
        beta_1: in [0, 1), for the optimizers that take it.
        weight_decay: >= 0; each step takes learning_rate * weight_decay of every weight, biases too, off it.
        clipnorm: > 0; the gradient of each weight array is scaled down to this norm.
        metrics: what is measured in training and evaluation besides the loss, as in `keras.Model.compile`: a
            list of names ("accuracy"), functions or `keras.metrics.Metric` objects; None by default. For the
            task "multilabel", "accuracy" is the share of all labels that are right.

    Returns:
        A `keras.Sequential`, with an input of shape `(batch, *input_shape)` and an output of shape
        `(batch, n_outputs)`. Two calls with equal arguments give equal configs.

    Raises:
        TypeError: an argument is of the wrong type (a bool is not a number).
        ValueError: an argument is of the right type, but not a value that can be used; or the optimizer does
            not take an argument that was given; or the network would not fit in the memory that is available.

    Example:
        >>> model = build_model(2, 100, 1e-2, (28, 28), n_outputs=10, task="multiclass", taper=0.5)
        >>> [layer.name for layer in model.layers]
        ['flatten', 'hidden_1', 'hidden_2', 'output']
        >>> [tuple(layer.output.shape) for layer in model.layers]
        [(None, 784), (None, 100), (None, 50), (None, 10)]

    Source:
        The first four arguments: A. Géron, Hands-On Machine Learning, ch. 10. Initializers: LeCun et al.,
        Efficient BackProp (1998); Glorot and Bengio (2010); He et al. (2015); Klambauer et al. (2017, selu).
    """
    task = _CHECK.choice("task", task, _TASKS)
    shape = _CHECK.shape("input_shape", input_shape)
    widths = hidden_widths(_CHECK, n_hidden, n_neurons, taper, math.prod(shape))
    n_outputs = output_width(_CHECK, task, n_outputs)
    options = optimizer_options(
        _CHECK,
        learning_rate=learning_rate,
        momentum=momentum,
        beta_1=beta_1,
        weight_decay=weight_decay,
        clipnorm=clipnorm,
    )
    make = _Layers(
        activation=activation_function(_CHECK, activation),
        initializer=initializer_or_auto(_CHECK, kernel_initializer),
        dropout=_CHECK.fraction("dropout", dropout),
        l1=_CHECK.not_negative("l1", l1),
        l2=_CHECK.not_negative("l2", l2),
        activity_l1=_CHECK.not_negative("activity_l1", activity_l1),
        batch_normalization=_CHECK.flag("batch_normalization", batch_normalization),
        dtype=_layer_dtype(),
    )
    compiled_with, measured = _compiled_with(optimizer, options), metrics_to_compile(_CHECK, metrics, task)
    footprint = Footprint(
        math.prod(shape),
        n_outputs,
        itemsize=np.dtype(keras.config.floatx()).itemsize,
        copies=lambda: _WEIGHT_AND_GRADIENT + optimizer_slots(compiled_with),
    )
    footprint.check(_CHECK, n_neurons, widths)
    hidden = [layer for index, width in enumerate(widths) for layer in make.hidden(width, index)]
    output = make.output(n_outputs, _TASKS[task][0], len(widths))
    model = keras.Sequential([*make.entry(shape, normalize), *hidden, output], name="mlp")
    model.compile(optimizer=compiled_with, loss=loss_for(task), metrics=measured)
    return model
