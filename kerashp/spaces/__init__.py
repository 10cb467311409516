"""Where to look for hyperparameters: distributions, a first space, `zoom`, and keras-tuner's spaces.

A parameter's "own scale" is the one on which its distribution is uniform.
"""

from scipy.stats import loguniform

from kerashp.spaces._distributions import int_loguniform, one_minus_loguniform
from kerashp.spaces._hyperparameters import (
    from_hyperparameters,
    params_from_hyperparameters,
    to_hyperparameters,
)
from kerashp.spaces._recommended import recommended_space
from kerashp.spaces._zoom import zoom

__all__ = [
    "from_hyperparameters",
    "int_loguniform",
    "loguniform",
    "one_minus_loguniform",
    "params_from_hyperparameters",
    "recommended_space",
    "to_hyperparameters",
    "zoom",
]
