"""Keras layers for tables, which `kerashp.build_model` puts in front of a network.

Importing this module registers them with Keras, as loading a `.keras` file that contains them needs.
"""

from kerashp import _loading  # noqa: F401  # before Keras
from kerashp.layers._robust_scaling import RobustScaling

# The layers that `kerashp.training` knows: they treat each row by itself, and come before all Dense layers.
FRONT_LAYERS = (RobustScaling,)

__all__ = ["RobustScaling"]
