"""What a training's curves, gradients, weights and data say, and what to do next."""

__all__: list[str] = []
