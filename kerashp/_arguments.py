"""Checks of arguments: each returns the value as a Python type, or raises an error that explains it."""

import difflib
import functools
import inspect
import math
import numbers
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import keras
import numpy as np

# Metrics that Keras chooses by the shapes of targets and outputs.
_METRICS_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")
Function = TypeVar("Function", bound=Callable[..., Any])


def short_repr(value: Any) -> str:
    """`repr(value)`, or a description where that is long.

    >>> short_repr(0), short_repr(np.zeros((1000, 3)))
    ('0', 'an array of shape (1000, 3) and type float64')
    """
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and type {value.dtype}"
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}... ({type(value).__name__})"


def quoted(choices: Iterable[str]) -> str:
    """The choices as quoted strings, separated by commas.

    >>> quoted(["a", "b"])
    "'a', 'b'"
    """
    return ", ".join(repr(choice) for choice in choices)


def refuse_unknown(caller: str, names: Iterable[str], known: Sequence[str]) -> None:
    """Raise an error for names of arguments that `caller` does not have, with the most similar name.

    Raises
    ------
    TypeError
        If a name is unknown.

    Examples
    --------
    >>> refuse_unknown("fit", ["epoch"], ["X", "y", "epochs"])
    Traceback (most recent call last):
    TypeError: fit() got an unexpected keyword argument 'epoch': did you mean 'epochs'? It takes X, y, epochs
    """
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            suggestion = f"did you mean {close[0]!r}? " if close else ""
            raise TypeError(
                f"{caller}() got an unexpected keyword argument {name!r}: {suggestion}"
                f"It takes {', '.join(known)}"
            )


def known_arguments(function: Function) -> Function:
    """Decorate a function or method so that its error for an unknown argument suggests a known one."""
    names = list(inspect.signature(function).parameters)
    is_method = names[0] == "self"

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        owner = type(args[0]).__name__ if is_method else "kerashp"
        refuse_unknown(f"{owner}.{function.__name__}", kwargs, names[is_method:])
        return function(*args, **kwargs)

    return checked  # type: ignore[return-value]


def is_sequence(value: Any) -> bool:
    """Whether `value` is a list, a tuple, a range or an array with axes, but no string."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _as_float(value: numbers.Real) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


@dataclass(frozen=True)
class Arguments:
    """Checks the arguments of the function `caller`, which the errors name.

    A value of the wrong type raises a `TypeError`, an unusable value of the right type a `ValueError`. NumPy
    scalars count as Python numbers; a bool does not count as a number.

    Examples
    --------
    >>> Arguments("build_model").integer("n_hidden", -1, at_least=0)
    Traceback (most recent call last):
    ValueError: build_model: n_hidden must be an integer >= 0; got -1
    """

    caller: str

    def wrong_value(self, name: str, expected: str, value: Any) -> ValueError:
        """The error to raise for a value of the right type."""
        return ValueError(f"{self.caller}: {name} must be {expected}; got {short_repr(value)}")

    def wrong_type(self, name: str, expected: str, value: Any) -> TypeError:
        """The error to raise for a value of the wrong type."""
        received = f"{short_repr(value)} (of type {type(value).__name__})"
        return TypeError(f"{self.caller}: {name} must be {expected}; got {received}")

    def integer(self, name: str, value: Any, *, at_least: int, expected: str | None = None) -> int:
        """An int >= `at_least`; `expected` describes other values that the caller accepts."""
        expected = expected or f"an integer >= {at_least}"
        if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
            raise self.wrong_type(name, expected, value)
        if value < at_least:
            raise self.wrong_value(name, expected, value)
        return int(value)

    def number(self, name: str, value: Any, expected: str, allowed: Callable[[float], bool]) -> float:
        """A finite float for which `allowed` is true; `expected` describes it in the error."""
        if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
            raise self.wrong_type(name, expected, value)
        number = _as_float(value)
        if not (math.isfinite(number) and allowed(number)):
            raise self.wrong_value(name, expected, value)
        return number

    def not_negative(self, name: str, value: Any) -> float:
        """A finite float >= 0."""
        return self.number(name, value, "a number >= 0", lambda number: number >= 0)

    def positive(self, name: str, value: Any) -> float:
        """A finite float > 0."""
        return self.number(name, value, "a number > 0", lambda number: number > 0)

    def fraction(self, name: str, value: Any) -> float:
        """A float in [0, 1)."""
        return self.number(name, value, "a number in [0, 1)", lambda number: 0 <= number < 1)

    def flag(self, name: str, value: Any) -> bool:
        """True or False."""
        if not isinstance(value, bool | np.bool_):
            raise self.wrong_type(name, "True or False", value)
        return bool(value)

    def choice(self, name: str, value: Any, choices: Iterable[str]) -> str:
        """One of the strings in `choices`."""
        choices = list(choices)
        expected = f"one of {quoted(choices)}"
        if not isinstance(value, str):
            raise self.wrong_type(name, expected, value)
        if value not in choices:
            raise self.wrong_value(name, expected, value)
        return str(value)

    def shape(self, name: str, value: Any) -> tuple[int, ...]:
        """The shape of a sample, from an int or a sequence of ints, all >= 1."""
        expected = (
            "a positive integer or a non-empty tuple of them (a sample's shape, without the batch axis)"
        )
        if not is_sequence(value):
            return (self.integer(name, value, at_least=1, expected=expected),)
        if len(value) == 0:
            raise self.wrong_value(name, expected, value)
        return tuple(self.integer(f"{name}[{i}]", axis, at_least=1) for i, axis in enumerate(value))

    def rows(self, name: str, value: Any, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """A float64 array of shape `(n, *shape)`, n >= 1, rounded to `dtype` and finite in it."""
        axes = ", ".join(["n", *map(str, shape)])
        expected = f"an array of numbers, of shape ({axes}) with n >= 1"
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise self.wrong_type(name, expected, value)
        if array.ndim == 0 or len(array) == 0 or array.shape[1:] != shape:
            raise self.wrong_value(name, expected, array)
        with np.errstate(over="ignore"):
            array = array.astype(dtype).astype("float64")
        self._check_finite(name, array, dtype)
        return array

    def _check_finite(self, name: str, array: np.ndarray, dtype: str) -> None:
        n_infinite = array.size - int(np.isfinite(array).sum())
        if n_infinite:
            expected = f"finite as {dtype} (impute or drop missing values)"
            received = f"{n_infinite} NaN or infinite values of {array.size}"
            raise ValueError(f"{self.caller}: {name} must be {expected}; got {received}")


def hidden_widths(check: Arguments, n_hidden: Any, n_neurons: Any, taper: Any, input_width: int) -> list[int]:
    """The width of each hidden layer.

    Examples
    --------
    >>> hidden_widths(Arguments("build_model"), 3, 100, 0.5, 8)
    [100, 50, 25]
    """
    depth = check.integer("n_hidden", n_hidden, at_least=0)
    ratio = check.number("taper", taper, "a number in (0, 1]", lambda number: 0 < number <= 1)
    if is_sequence(n_neurons):
        return _listed_widths(check, depth, n_neurons, ratio)
    return _tapered_widths(_first_hidden_width(check, n_neurons, input_width), ratio, depth)


def _listed_widths(check: Arguments, depth: int, n_neurons: Any, taper: float) -> list[int]:
    length = len(n_neurons)
    if length == 0:
        raise check.wrong_value(
            "n_neurons", "one width for each layer (pass n_hidden=0 for no hidden layer)", n_neurons
        )
    if depth not in (1, length):
        raise check.wrong_value("n_hidden", f"left at 1 or {length}, the length of n_neurons", depth)
    if taper != 1:
        raise check.wrong_value("taper", "1 where n_neurons is a sequence of widths", taper)
    return [check.integer(f"n_neurons[{i}]", width, at_least=1) for i, width in enumerate(n_neurons)]


def _first_hidden_width(check: Arguments, n_neurons: Any, input_width: int) -> int:
    expected = "a positive integer, a sequence of them or 'input'"
    if not isinstance(n_neurons, str):
        return check.integer("n_neurons", n_neurons, at_least=1, expected=expected)
    if n_neurons != "input":
        raise check.wrong_value("n_neurons", expected, n_neurons)
    return input_width


def _tapered_widths(width: int, taper: float, depth: int) -> list[int]:
    widths = [width] * depth
    for i in range(1, depth):
        widths[i] = max(1, round(taper * widths[i - 1]))
    return widths


def checked_output_width(check: Arguments, task: str, n_outputs: Any) -> int:
    """The width of the output layer, `n_outputs` where the task allows it."""
    width = check.integer("n_outputs", n_outputs, at_least=1)
    if task == "binary" and width != 1:
        raise check.wrong_value(
            "n_outputs", "1 for task='binary' (task='multiclass' has one output for each class)", width
        )
    if task == "multiclass" and width < 2:
        raise check.wrong_value("n_outputs", "the number of classes, >= 2, for task='multiclass'", width)
    return width


def activation_function(check: Arguments, activation: Any) -> Callable:
    """Keras' activation of that name, or the callable itself; it must keep a tensor's shape."""
    if isinstance(activation, str):
        choices = _known_activations()
        function = keras.activations.get(check.choice("activation", activation, choices))
    elif callable(activation) and not inspect.isclass(activation):
        function = activation
    else:
        raise check.wrong_type("activation", "a name that Keras knows or a function of a tensor", activation)
    _check_keeps_shape(check, function)
    return function


def _known_activations() -> list[str]:
    exported = {name for name, value in vars(keras.activations).items() if callable(value) and name[0] != "_"}
    # glu halves the width, and threshold needs arguments.
    return sorted(exported - {"get", "serialize", "deserialize", "glu", "threshold"})


def _check_keeps_shape(check: Arguments, activation: Callable) -> None:
    expected = "a function of one tensor that keeps its shape"
    try:
        shape = tuple(layer_copy(activation, 4, keras.config.floatx())(keras.ops.zeros((2, 4))).shape)
    except Exception as error:
        raise ValueError(f"{check.wrong_value('activation', expected, activation)}: {error}") from error
    if shape != (2, 4):
        raise check.wrong_value("activation", expected, activation)


def layer_copy(activation: Callable, width: int, dtype: Any) -> Callable:
    """A built copy of a layer that is used as an activation, since it may have weights; a function itself."""
    if not isinstance(activation, keras.Layer):
        return activation
    copy = type(activation).from_config({**activation.get_config(), "dtype": dtype})
    copy.build((None, width))  # a Dense layer does not build it before its first call
    return copy


def initializer_or_auto(check: Arguments, kernel_initializer: Any) -> Any:
    """None for "auto", otherwise Keras' initializer of that name or the initializer itself."""
    if isinstance(kernel_initializer, str):
        return None if kernel_initializer == "auto" else _named_initializer(check, str(kernel_initializer))
    is_other_class = inspect.isclass(kernel_initializer) and not issubclass(
        kernel_initializer, keras.initializers.Initializer
    )
    if is_other_class or not callable(kernel_initializer):
        expected = "'auto', a name that Keras knows or a Keras initializer"
        raise check.wrong_type("kernel_initializer", expected, kernel_initializer)
    return keras.initializers.get(kernel_initializer)


def _named_initializer(check: Arguments, name: str) -> Any:
    try:
        return keras.initializers.get(name)
    except (TypeError, ValueError) as error:
        expected = "'auto' or the name of an initializer of Keras, such as 'he_normal' or 'glorot_uniform'"
        raise check.wrong_value("kernel_initializer", expected, name) from error


def optimizer_options(check: Arguments, **arguments: Any) -> dict[str, Any]:
    """The optimizer's arguments that are not None.

    Examples
    --------
    >>> optimizer_options(Arguments("build_model"), learning_rate=1, momentum=0.9, clipnorm=None)
    {'learning_rate': 1.0, 'momentum': 0.9}
    """
    checks = {
        "learning_rate": _learning_rate,
        "momentum": Arguments.fraction,
        "beta_1": Arguments.fraction,
        "beta_2": Arguments.fraction,
        "weight_decay": Arguments.not_negative,
        "clipnorm": Arguments.positive,
    }
    return {name: checks[name](check, name, value) for name, value in arguments.items() if value is not None}


def _learning_rate(check: Arguments, name: str, value: Any) -> Any:
    if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        return value
    expected = "a positive finite number, a Keras LearningRateSchedule or None (the optimizer's default)"
    return check.number(name, value, expected, lambda number: number > 0)


def metrics_to_compile(check: Arguments, metrics: Any, task: str) -> list[Any] | None:
    """The metrics of a model for a task, in the form that `keras.Model.compile` takes."""
    expected = "None or a list of names in keras.metrics, functions and keras.metrics.Metric objects"
    if metrics is None:
        return None
    if not isinstance(metrics, list | tuple):
        raise check.wrong_type("metrics", expected, metrics)
    for metric in metrics:
        if not isinstance(metric, str) and not callable(metric):
            raise check.wrong_type("metrics", expected, metrics)
        if isinstance(metric, str) and not _is_known_metric(metric):
            raise check.wrong_value("metrics", expected, metrics)
    return [_multilabel_metric(metric) if task == "multilabel" else metric for metric in metrics]


def _is_known_metric(name: str) -> bool:
    try:
        return name in _METRICS_BY_SHAPE or keras.metrics.get(name) is not None
    except ValueError:
        return False


def _multilabel_metric(metric: Any) -> Any:
    """The metric of separate labels; Keras would treat several outputs as exclusive classes."""
    if metric in ("accuracy", "acc"):
        return keras.metrics.BinaryAccuracy(name=metric)
    return keras.metrics.BinaryCrossentropy(name=metric) if metric in ("crossentropy", "ce") else metric
