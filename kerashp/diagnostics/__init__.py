"""What a training's curves, gradients, weights and data say, and what to do next."""

from kerashp.diagnostics._gradients import GradientCheck, check_gradients

__all__ = ["GradientCheck", "check_gradients"]
