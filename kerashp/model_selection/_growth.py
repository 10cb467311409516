"""Networks of growing size, each of them kept if it is better than the one kept before."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

_MOST_LETTERS = 200  # of an error, in a reason


@dataclass(frozen=True)
class GrowthStep:
    """One network that `grow_capacity` tried.

    Attributes
    ----------
    n_hidden : int or None
        The number of its hidden layers; None where the depth does not grow.
    n_neurons : int or None
        The width of its hidden layers; None where the width does not grow.
    mean_test_score, std_test_score : float
        The mean and the standard deviation of `test_scores`.
    mean_train_score : float
        On the training rows: far above the test score means overfitting, as low as it means underfitting.
    seconds : float
        How long it took, compiling included.
    test_scores : tuple of float
        By split and seed.
    kept : bool
        Whether it was better than the network kept before.

    Examples
    --------
    >>> from kerashp.model_selection import GrowthStep
    >>> step = GrowthStep(1, 30, 0.9, 0.01, 0.95, 1.5, (0.89, 0.91), kept=True)
    >>> step.n_neurons, step.mean_test_score
    (30, 0.9)
    """

    n_hidden: int | None
    n_neurons: int | None
    mean_test_score: float
    std_test_score: float
    mean_train_score: float
    seconds: float
    test_scores: tuple[float, ...]
    kept: bool


@dataclass(frozen=True)
class Scores:
    """The scores of one network."""

    test: np.ndarray  # by split and seed
    train: np.ndarray


@dataclass(frozen=True)
class ParameterNames:
    """The names of the estimator's parameters for depth and width, None if it does not grow, and seed."""

    depth: str | None
    width: str | None
    seed: str

    def params(self, n_hidden: int | None, n_neurons: int | None) -> dict[str, int]:
        """The parameters of a network of this size."""
        sizes = {self.depth: n_hidden, self.width: n_neurons}
        return {name: size for name, size in sizes.items() if name is not None and size is not None}


class GrowthSearch:
    """Tries networks, the smallest first, and keeps those that are better than all smaller ones."""

    def __init__(
        self,
        scores: Callable[[dict[str, int]], Scores],
        names: ParameterNames,
        patience: int,
        tol: float | None,
    ):
        self.curve: list[GrowthStep] = []
        self.reasons: list[str] = []
        self._scores = scores
        self._names = names
        self._patience = patience
        self._tol = tol

    @property
    def best(self) -> GrowthStep:
        return [step for step in self.curve if step.kept][-1]

    def grow(self, sizes: Sequence[tuple[int | None, int | None]], limit: str) -> None:
        """Try networks of these sizes until `patience` of them in a row are no better."""
        n_no_better = 0
        for n_hidden, n_neurons in sizes:
            kept = self._try(n_hidden, n_neurons if n_hidden != 0 else None)
            n_no_better = 0 if kept else n_no_better + 1
            if n_no_better == self._patience:
                return
        if limit and sizes and not n_no_better and len(self.curve) > 1:
            self.reasons.append(f"The score was still improving at {limit}: raise it")

    def _try(self, n_hidden: int | None, n_neurons: int | None) -> bool:
        began = time.perf_counter()
        params = self._names.params(n_hidden, n_neurons)
        scores = self._scores_or_nan(params)
        kept = not self.curve or self._is_better(params, scores)
        step = GrowthStep(
            n_hidden=n_hidden,
            n_neurons=n_neurons,
            mean_test_score=float(np.mean(scores.test)),
            std_test_score=float(np.std(scores.test)),
            mean_train_score=float(np.mean(scores.train)),
            seconds=time.perf_counter() - began,
            test_scores=tuple(scores.test.tolist()),
            kept=kept,
        )
        self.curve.append(step)
        return kept

    def _scores_or_nan(self, params: dict[str, int]) -> Scores:
        try:
            return self._scores(params)
        except ValueError as error:  # all fits failed: a deep network may diverge
            if not self.curve:
                raise
            self.reasons.append(
                f"{_assignments(params)} fails: {' '.join(str(error).split())[:_MOST_LETTERS]}"
            )
            missing = np.full(len(self.best.test_scores), np.nan)
            return Scores(missing, missing)

    def _is_better(self, params: dict[str, int], scores: Scores) -> bool:
        best = self.best
        if not np.isfinite(scores.test).all():
            return False
        if not np.isfinite(best.test_scores).all():
            return True
        gain, needed = improvement(scores.test, np.array(best.test_scores), self._tol)
        verdict = "better" if gain > needed else "no better"
        measure = "one standard error" if self._tol is None else "tol"
        self.reasons.append(
            f"{_assignments(params)} is {verdict}: the mean score changes from {best.mean_test_score:.4g} by "
            f"{gain:+.3g}; {measure} is {needed:.3g}"
        )
        return gain > needed


def doubled(width: int, max_width: int) -> list[int]:
    """The width doubled repeatedly, up to `max_width`.

    >>> doubled(30, 128)
    [60, 120]
    """
    return [width * 2**times for times in range(1, max_width.bit_length()) if width * 2**times <= max_width]


def improvement(scores: np.ndarray, earlier: np.ndarray, tol: float | None) -> tuple[float, float]:
    """The gain of scores over others of the same splits and seeds, and the gain that counts as better.

    >>> gain, needed = improvement(np.array([0.5, 0.7, 0.6]), np.array([0.4, 0.5, 0.6]), tol=None)
    >>> round(gain, 3), round(needed, 3)
    (0.1, 0.058)
    """
    differences = scores - earlier
    if tol is None:
        tol = float(np.std(differences, ddof=1) / np.sqrt(len(scores))) if len(scores) > 1 else 0.0
    return float(np.mean(differences)), tol


def _assignments(params: dict[str, int]) -> str:
    return ", ".join(f"{name}={value}" for name, value in params.items())
