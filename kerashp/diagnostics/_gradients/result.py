"""What `check_gradients` returns, and how a difference is judged."""

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


def when(epochs: int) -> str:
    """After how much training the gradients are looked at, in words."""
    if not epochs:
        return "at the model's weights"
    return "after 1 epoch" if epochs == 1 else f"after {epochs} epochs"


class _Judged:
    """What has a verdict."""

    @property
    def verdict(self) -> str:
        """ "right", "fine", "look" or "wrong"; see `GradientCheck`."""
        raise NotImplementedError

    @property
    def is_bad(self) -> bool:
        """Whether the verdict asks to do something."""
        return self.verdict in ("look", "wrong")


@dataclass(frozen=True, eq=False)
class Gradients(_Judged):
    """Two gradients of the loss with respect to the same numbers.

    Attributes
    ----------
    name : str
        The weight's, as its layer names it.
    shape : tuple of int
        The weight's.
    places : array of shape (n_checked,)
        Where the numbers checked are in the flattened weight.
    automatic, numerical : arrays of shape (n_checked,)
        What the backend says, and what the loss itself says.
    rounding : array of shape (n_checked,)
        What float64 leaves open of `numerical`.
    """

    name: str
    shape: tuple[int, ...]
    places: np.ndarray
    automatic: np.ndarray
    numerical: np.ndarray
    rounding: np.ndarray

    @property
    def difference(self) -> float:
        """||numerical - automatic|| / (||numerical|| + ||automatic||); 0 where both are 0."""
        return _difference(self.automatic, self.numerical)

    @property
    def verdict(self) -> str:
        """By the difference; "right" where the two are as close as rounding allows to tell."""
        apart = np.linalg.norm(self.automatic - self.numerical)
        return "right" if apart <= np.linalg.norm(self.rounding) else _verdict(self.difference)


def together(name: str, parts: Sequence[Gradients]) -> Gradients:
    """Several gradients as one."""
    columns = ("places", "automatic", "numerical", "rounding")
    arrays = [np.concatenate([getattr(part, column) for part in parts]) for column in columns]
    return Gradients(name, (sum(int(np.prod(part.shape)) for part in parts),), *arrays)


@dataclass(frozen=True, eq=False)
class LayerGradients(_Judged):
    """The gradients of a layer's trainable weights."""

    name: str
    weights: tuple[Gradients, ...]

    @property
    def difference(self) -> float:
        """Over all of the layer's weights that were checked."""
        return together(self.name, self.weights).difference

    @property
    def verdict(self) -> str:
        """ "right", "fine", "look" or "wrong"; see `GradientCheck`."""
        return together(self.name, self.weights).verdict

    def _cells(self) -> tuple[str, ...]:
        every = together(self.name, self.weights)
        norms = [f"{np.linalg.norm(each):.3g}" for each in (every.automatic, every.numerical)]
        checked = f"{len(every.places)} of {every.shape[0]}"
        return (self.name, checked, *norms, f"{self.difference:.1e}", self.verdict)


@dataclass(frozen=True, eq=False)
class GradientCheck(Result):
    """What `check_gradients` found.

    Attributes
    ----------
    difference : float
        ||numerical - automatic|| / (||numerical|| + ||automatic||), over all weights that were checked.
    layers : tuple of LayerGradients
        The same by layer, in the model's order, and in them by weight, with the gradients themselves.
    faults : tuple of str
        Where the verdict is "look" or "wrong": the layers that get a right gradient and give a wrong one,
        with or without weights of their own; "loss" where the last layers get a wrong one already.
    loss : float
        Where the gradients were taken.
    epochs : int
        How many the copy was trained before.
    before : GradientCheck or None
        The check before that training.
    """

    difference: float
    layers: tuple[LayerGradients, ...]
    faults: tuple[str, ...]
    loss: float
    epochs: int = 0
    before: "GradientCheck | None" = None

    @property
    def verdict(self) -> str:
        """The worst of the layers', before the training and after it: "right" (a difference of at most 1e-7,
        or one within rounding), "fine", "look" (from 1e-5) or "wrong" (from 1e-3)."""
        verdicts = [layer.verdict for layer in self.layers]
        verdicts += [self.before.verdict] if self.before else []
        return max(verdicts, key=_VERDICTS.index)

    @property
    def worst(self) -> LayerGradients:
        """The layer with the worst verdict and, among those, the largest difference."""
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
            f"{when(self.epochs)}: difference {self.difference:.1e}, loss {self.loss:.6g} "
            f"(right: at most {RIGHT:g}; look: from {LOOK:g}; wrong: from {WRONG:g})",
            Table(columns, [layer._cells() for layer in self.layers]),
        ]
        if self.faults:
            parts.append(f"The gradient goes wrong in: {', '.join(self.faults)}")
        return parts
