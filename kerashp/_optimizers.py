"""New optimizers of Keras' from a name or an instance, and further arguments."""

import inspect
from typing import Any

import keras
import numpy as np

from kerashp._arguments import Arguments, quoted, short_repr

_CHECK = Arguments("build_model")

# The base class, and optimizers that wrap others: users pass these as instances.
_NOT_BY_NAME = ("optimizer", "lossscaleoptimizer", "multioptimizer")


def known_optimizers() -> dict[str, Any]:
    """Keras' optimizer classes by name, in lower case."""
    exported = {
        name.lower(): value for name, value in vars(keras.optimizers).items() if inspect.isclass(value)
    }
    return {
        name: value
        for name, value in sorted(exported.items())
        if issubclass(value, keras.optimizers.Optimizer) and name not in _NOT_BY_NAME
    }


def compiled_optimizer(optimizer: Any, options: dict[str, Any]) -> Any:
    """A new optimizer with these arguments."""
    optimizer_class, config = _class_and_config(optimizer)
    for name, value in options.items():
        _check_argument(optimizer_class, name, value)
    try:
        return optimizer_class.from_config({**config, **options})
    except (TypeError, ValueError) as error:
        problem = f"optimizer {optimizer_class.__name__} cannot be made with {short_repr(options)}"
        raise ValueError(f"build_model: {problem}: {error} Leave refused arguments at None.") from error


def _class_and_config(optimizer: Any) -> tuple[Any, dict[str, Any]]:
    if isinstance(optimizer, keras.optimizers.Optimizer):
        return type(optimizer), optimizer.get_config()
    classes = known_optimizers()
    if not isinstance(optimizer, str):
        expected = f"a keras.optimizers.Optimizer instance or one of {quoted(classes)}"
        raise _CHECK.wrong_type("optimizer", expected, optimizer)
    name = optimizer.lower()
    if name not in classes:
        raise _CHECK.wrong_value("optimizer", f"an instance or one of {quoted(classes)}", optimizer)
    return classes[name], {"name": name}  # Keras' own name has a counter, so that no two configs are equal


def optimizer_slots(optimizer: Any) -> int:
    """How many numbers an optimizer stores for each weight: Adam two, SGD without momentum none.

    Examples
    --------
    >>> optimizer_slots("adam"), optimizer_slots(keras.optimizers.SGD())
    (2, 0)
    """
    optimizer_class, config = _class_and_config(optimizer)
    new = optimizer_class.from_config(config)
    n_common = len(new.variables)
    new.build([keras.Variable(np.zeros((2, 2)))])
    return sum(variable.shape == (2, 2) for variable in new.variables[n_common:])


def _check_argument(optimizer_class: Any, name: str, value: Any) -> None:
    if _takes(optimizer_class, name):
        return
    alternatives = quoted(
        known for known, known_class in known_optimizers().items() if _takes(known_class, name)
    )
    raise ValueError(
        f"build_model: optimizer {optimizer_class.__name__} takes no {name}; got {name}={short_repr(value)}: "
        f"leave it None or use one of {alternatives}"
    )


def _takes(optimizer_class: Any, argument: str) -> bool:
    """Whether the constructor takes the argument, itself or by passing `**kwargs` to that of its base."""
    for base in optimizer_class.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters
        if argument in parameters:
            return True
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            return False
    return False
