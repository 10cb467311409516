"""How a Keras model is trained: by `fit`, an epoch or more in one compiled call."""

from kerashp.training._fit import FallbackWarning, fit
from kerashp.training._isolation import isolated, without_retracing_warnings
from kerashp.training._member import Member, Trained
from kerashp.training._population import Population
from kerashp.training._programs import clear_cache
from kerashp.training._template import graph_shape

__all__ = [
    "FallbackWarning",
    "Member",
    "Population",
    "Trained",
    "clear_cache",
    "fit",
    "graph_shape",
    "isolated",
    "without_retracing_warnings",
]
