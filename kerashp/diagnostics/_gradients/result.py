"""The result of `check_gradients`, and the verdict on a difference."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerashp.diagnostics._foundations.result import Result, Table

RIGHT, LOOK, WRONG = 1e-7, 1e-5, 1e-3
_VERDICTS = ("right", "fine", "look", "wrong")  # from the best to the worst


def _difference(automatic: np.ndarray, numerical: np.ndarray) -> float:
    norms = float(np.linalg.norm(automatic) + np.linalg.norm(numerical))
    return float(np.linalg.norm(automatic - numerical)) / norms if norms else 0.0


def _verdict(difference: float) -> str:
    if difference <= RIGHT:
        return "right"
    if difference < LOOK:
        return "fine"
    return "look" if difference < WRONG else "wrong"  # NaN too


def stage_text(epochs: int) -> str:
    """Describe after how much training the gradients are checked."""
    if not epochs:
        return "at the model's weights"
    return "after 1 epoch" if epochs == 1 else f"after {epochs} epochs"


class _WithVerdict:
    """Base class of what has a verdict."""

    @property
    def verdict(self) -> str:
        """ "right", "fine", "look" or "wrong"; see `GradientCheck`."""
        raise NotImplementedError

    @property
    def is_bad(self) -> bool:
        """Whether the verdict is "look" or "wrong"."""
        return self.verdict in ("look", "wrong")


@dataclass(frozen=True, eq=False)
class Gradients(_WithVerdict):
    """The automatic and the numerical gradient of the loss with respect to the same numbers.

    Attributes
    ----------
    name : str
        The name of the weight within its layer.
    shape : tuple of int
        The shape of the weight.
    places : array of shape (n_checked,)
        The indices of the checked entries in the flattened weight.
    automatic, numerical : arrays of shape (n_checked,)
        The gradient that the backend computes, and that from differences of the loss.
    rounding : array of shape (n_checked,)
        The rounding error of `numerical` in float64.
    """

    name: str
    shape: tuple[int, ...]
    places: np.ndarray
    automatic: np.ndarray
    numerical: np.ndarray
    rounding: np.ndarray

    @property
    def difference(self) -> float:
        """||numerical - automatic|| / (||numerical|| + ||automatic||); 0 if both gradients are 0."""
        return _difference(self.automatic, self.numerical)

    @property
    def verdict(self) -> str:
        """The verdict on the difference; "right" if the difference is within the rounding error."""
        distance = np.linalg.norm(self.automatic - self.numerical)
        return "right" if distance <= np.linalg.norm(self.rounding) else _verdict(self.difference)


def combine(name: str, parts: Sequence[Gradients]) -> Gradients:
    """Concatenate several gradients."""
    columns = ("places", "automatic", "numerical", "rounding")
    arrays = [np.concatenate([getattr(part, column) for part in parts]) for column in columns]
    return Gradients(name, (sum(int(np.prod(part.shape)) for part in parts),), *arrays)


@dataclass(frozen=True, eq=False)
class LayerGradients(_WithVerdict):
    """The gradients of a layer's trainable weights."""

    name: str
    weights: tuple[Gradients, ...]

    @property
    def difference(self) -> float:
        """The difference over all checked weights of the layer."""
        return combine(self.name, self.weights).difference

    @property
    def verdict(self) -> str:
        """ "right", "fine", "look" or "wrong"; see `GradientCheck`."""
        return combine(self.name, self.weights).verdict

    def _cells(self) -> tuple[str, ...]:
        total = combine(self.name, self.weights)
        norms = [f"{np.linalg.norm(gradient):.3g}" for gradient in (total.automatic, total.numerical)]
        checked = f"{len(total.places)} of {total.shape[0]}"
        return (self.name, checked, *norms, f"{self.difference:.1e}", self.verdict)


@dataclass(frozen=True, eq=False)
class GradientCheck(Result):
    """The result of `check_gradients`.

    Attributes
    ----------
    difference : float
        ||numerical - automatic|| / (||numerical|| + ||automatic||), over all checked weights.
    layers : tuple of LayerGradients
        The gradients of each layer with trainable weights, in the model's order.
    faults : tuple of str
        The layers at fault if the verdict is "look" or "wrong": those, with or without weights, whose output
        has a right gradient and whose inputs or weights have a wrong one; "loss" if the gradient is wrong
        before it reaches a layer.
    loss : float
        The loss at the weights of the check.
    epochs : int
        For how many epochs the copy was trained before the check.
    before : GradientCheck or None
        The check before this training.

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp import build_model
    >>> from kerashp.diagnostics import check_gradients
    >>> X = np.random.default_rng(0).normal(size=(20, 8))
    >>> check = check_gradients(build_model(1, 4, activation="tanh"), X, X[:, 0])
    >>> check.verdict, [layer.name for layer in check.layers], check.faults
    ('right', ['hidden_1', 'output'], ())
    """

    difference: float
    layers: tuple[LayerGradients, ...]
    faults: tuple[str, ...]
    loss: float
    epochs: int = 0
    before: "GradientCheck | None" = None

    @property
    def verdict(self) -> str:
        """The worst verdict on a layer, before and after the training.

        It is "right" (a difference of at most 1e-7, or within the rounding error), "fine" (below 1e-5),
        "look" (from 1e-5) or "wrong" (from 1e-3).
        """
        verdicts = [layer.verdict for layer in self.layers]
        verdicts += [self.before.verdict] if self.before else []
        return max(verdicts, key=_VERDICTS.index)

    @property
    def worst(self) -> LayerGradients:
        """The layer with the worst verdict; among several, the one with the largest difference."""
        return max(
            self.layers,
            key=lambda layer: (_VERDICTS.index(layer.verdict), np.nan_to_num(layer.difference, nan=2)),
        )

    def _parts(self) -> Sequence[str | Table]:
        return [
            f"Gradients: {self.verdict}",
            *(self.before._evidence() if self.before else []),
            *self._evidence(),
        ]

    def _evidence(self) -> list[str | Table]:
        columns = ("layer", "weights checked", "|automatic|", "|numerical|", "difference", "verdict")
        parts: list[str | Table] = [
            f"{stage_text(self.epochs)}: difference {self.difference:.1e}, loss {self.loss:.6g} "
            f"(right: at most {RIGHT:g}; look: from {LOOK:g}; wrong: from {WRONG:g})",
            Table(columns, [layer._cells() for layer in self.layers]),
        ]
        if self.faults:
            parts.append(f"The gradient goes wrong in: {', '.join(self.faults)}")
        return parts
