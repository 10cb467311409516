"""The result of `check_initialization`."""

from collections.abc import Sequence
from dataclasses import dataclass

from kerashp.diagnostics._foundations.result import Result, Table
from kerashp.diagnostics._initialization.scales import COLUMNS, LayerScale


@dataclass(frozen=True)
class InitializationFinding:
    """A fault of a model before training.

    Attributes
    ----------
    kind : str
        "exploding", "vanishing", "dead units", "saturation" or "inputs not scaled".
    layers : tuple of str
        The layers with the fault; empty if the fault is in the inputs.
    text : str
        The evidence, and what to do.
    """

    kind: str
    layers: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class InitializationCheck(Result):
    """The result of `check_initialization`.

    Attributes
    ----------
    layers : tuple of LayerScale
        The layers with kernels and the activation layers, in the order in which the model calls them.
    findings : tuple of InitializationFinding
        The faults, the most important first; empty if there are none.
    input_scale : float or None
        Root mean square of the inputs of the first layer with a kernel.
    activation_growth, gradient_growth : float or None
        The factor by which the root mean square of hidden outputs, and the norm of the gradients with respect
        to them in backward direction, changes from layer to layer: the geometric mean over the layers that
        are comparable with the one before. None if there are none.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp import build_model
    >>> from kerashp.diagnostics import check_initialization
    >>> X = np.random.default_rng(0).normal(size=(200, 8))
    >>> check = check_initialization(build_model(2, 100), 1000 * X)
    >>> check.verdict, [layer.name for layer in check.layers]
    ('inputs not scaled', ['hidden_1', 'hidden_2', 'output'])
    """

    layers: tuple[LayerScale, ...]
    findings: tuple[InitializationFinding, ...]
    input_scale: float | None
    activation_growth: float | None
    gradient_growth: float | None

    @property
    def verdict(self) -> str:
        """The kind of the first finding, or "healthy"."""
        return self.findings[0].kind if self.findings else "healthy"

    def _parts(self) -> Sequence[str | Table]:
        growths = [("activations", self.activation_growth), ("gradients", self.gradient_growth)]
        factors = [f"{name}: {growth:.3g} times per layer" for name, growth in growths if growth is not None]
        parts: list[str | Table] = [f"Initialization: {self.verdict}"]
        parts += [f"- {finding.text}" for finding in self.findings]
        parts += ["; ".join(factors)] if factors else []
        return [*parts, Table(COLUMNS, [layer.cells() for layer in self.layers])]
