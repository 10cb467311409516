"""What a training's curves, gradients, weights and data say, and what to do next."""

from kerashp.diagnostics._gradients import GradientCheck, check_gradients
from kerashp.diagnostics._initialization import InitializationCheck, check_initialization

__all__ = ["GradientCheck", "InitializationCheck", "check_gradients", "check_initialization"]
