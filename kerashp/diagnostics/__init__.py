"""What a training's curves, gradients, weights and data say, and what to do next."""

from kerashp.models import transfer, unfreeze

__all__ = ["transfer", "unfreeze"]
