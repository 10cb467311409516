"""How a Keras model is trained: by `fit`, an epoch or more in one compiled call."""

from kerashp.training._fit import FallbackWarning, fit
from kerashp.training._isolation import isolated, without_retracing_warnings
from kerashp.training._programs import clear_cache

__all__ = ["FallbackWarning", "clear_cache", "fit", "isolated", "without_retracing_warnings"]
