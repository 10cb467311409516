"""Search spaces: distributions, ready-made spaces, `zoom`, and conversion to and from keras-tuner.

The natural scale of a parameter is the scale on which its distribution is uniform.
"""

from scipy.stats import loguniform

from kerashp.spaces._distributions import int_loguniform, one_minus_loguniform
from kerashp.spaces._from_hyperparameters import from_hyperparameters, params_from_hyperparameters
from kerashp.spaces._published import realmlp_space, tabm_space
from kerashp.spaces._recommended import recommended_space
from kerashp.spaces._to_hyperparameters import to_hyperparameters
from kerashp.spaces._zoom import zoom

__all__ = [
    "from_hyperparameters",
    "int_loguniform",
    "loguniform",
    "one_minus_loguniform",
    "params_from_hyperparameters",
    "realmlp_space",
    "recommended_space",
    "tabm_space",
    "to_hyperparameters",
    "zoom",
]
