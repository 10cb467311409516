"""Published defaults of networks for tables, as parameters of the perceptrons."""

from kerashp.presets._realmlp import realmlp
from kerashp.presets._tabm import tabm

__all__ = ["realmlp", "tabm"]
