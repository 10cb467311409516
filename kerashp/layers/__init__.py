"""Keras layers for tables, which `kerashp.build_model` puts in front of a network.

Importing this module registers them with Keras, as loading a `.keras` file that contains them needs.
"""

from kerashp import _loading  # noqa: F401  # before Keras
from kerashp.layers._categorical_columns import CategoricalColumns
from kerashp.layers._heads import (
    HeadAffine,
    HeadBinaryCrossentropy,
    HeadCategoricalCrossentropy,
    HeadMeanSquaredError,
    HeadOutputs,
    HeadRescaling,
    HeadScale,
    HeadSparseCategoricalCrossentropy,
)
from kerashp.layers._initializers import RandomSigns
from kerashp.layers._learned_scale import LearnedScale
from kerashp.layers._parametric_activation import ParametricActivation
from kerashp.layers._parametrization import FanInScaledInitializer, FanInScaling, LearnedBias
from kerashp.layers._periodic_embedding import PeriodicEmbedding
from kerashp.layers._piecewise_linear_encoding import PiecewiseLinearEncoding
from kerashp.layers._robust_scaling import RobustScaling

# The layers that `kerashp.training` knows, which treat each row by itself: those before all Dense layers, and
# those between them.
FRONT_LAYERS = (CategoricalColumns, LearnedScale, PeriodicEmbedding, PiecewiseLinearEncoding, RobustScaling)
HIDDEN_LAYERS = (FanInScaling, HeadAffine, HeadScale, LearnedBias, ParametricActivation)

__all__ = [
    "CategoricalColumns",
    "FanInScaledInitializer",
    "FanInScaling",
    "HeadAffine",
    "HeadBinaryCrossentropy",
    "HeadCategoricalCrossentropy",
    "HeadMeanSquaredError",
    "HeadOutputs",
    "HeadRescaling",
    "HeadScale",
    "HeadSparseCategoricalCrossentropy",
    "LearnedBias",
    "LearnedScale",
    "ParametricActivation",
    "PeriodicEmbedding",
    "PiecewiseLinearEncoding",
    "RandomSigns",
    "RobustScaling",
]
