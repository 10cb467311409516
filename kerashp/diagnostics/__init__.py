"""What a training's curves, gradients, weights and data say, and what to do next."""

from kerashp.diagnostics._capacity import Growth, GrowthStep, grow_capacity
from kerashp.diagnostics._learning_rate import LearningRates, find_learning_rate
from kerashp.models import transfer, unfreeze

__all__ = [
    "Growth",
    "GrowthStep",
    "LearningRates",
    "find_learning_rate",
    "grow_capacity",
    "transfer",
    "unfreeze",
]
