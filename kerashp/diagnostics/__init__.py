"""What a training's curves, gradients, weights and data say, and what to do next."""

from kerashp.diagnostics._learning_rate import LearningRates, find_learning_rate

__all__ = ["LearningRates", "find_learning_rate"]
