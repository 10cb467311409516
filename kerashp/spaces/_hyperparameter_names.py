"""The names of a space's parameters in keras-tuner."""

import re

SELECTOR = "kerashp/space"  # the hyperparameter that chooses one of several spaces
ONE_MINUS = "1 - "
POSITION = "position of "
RESERVED = (ONE_MINUS, POSITION, "kerashp/", "tuner/")
_SCOPE = re.compile(r"kerashp/\d+/")


def bare_name(name: str) -> str:
    """A hyperparameter's name without the prefix that distinguishes several spaces."""
    return _SCOPE.sub("", name, count=1) if _SCOPE.match(name) else name


def parameter_name(name: str) -> str:
    """The name of the parameter that a hyperparameter belongs to."""
    return bare_name(name).removeprefix(ONE_MINUS).removeprefix(POSITION)
