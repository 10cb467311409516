"""Published defaults of networks for tables, as parameters of the perceptrons."""

from kerashp.presets._realmlp import realmlp

__all__ = ["realmlp"]
