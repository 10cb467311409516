"""Greedy selection of an ensemble's members, with replacement."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np


class Selection(NamedTuple):
    """The picks in their order, and the score of the mean of predictions after each of them."""

    picks: list[int]
    scores: list[float]


def greedy_selection(
    predictions: Sequence[np.ndarray], score: Callable[[np.ndarray], float], n_picks: int
) -> Selection:
    r"""Pick repeatedly the candidate that improves the mean of all picks most, up to the best mean.

    $$i_k = \arg\max_i\ \mathrm{score}\left(\frac{1}{k}\left(p_i + \sum_{j<k} p_{i_j}\right)\right)$$

    The first pick is the best candidate alone. A candidate may be picked again; of equal ones the first is
    picked.

    Parameters
    ----------
    predictions : list of array of shape (n_samples, ...)
        By candidate.
    score : callable
        The score of a mean of predictions; higher is better, and one that is not finite is the lowest.
    n_picks : int
        The largest number of picks.

    Returns
    -------
    Selection
        No picks if no score is finite.

    References
    ----------
    R. Caruana, A. Niculescu-Mizil, G. Crew and A. Ksikes, Ensemble selection from libraries of models, ICML
    2004, section 2.

    Examples
    --------
    >>> y = np.array([1.0, 2.0])
    >>> low, high = y - 1, y + 2
    >>> greedy_selection([high, low], lambda mean: 1 - abs(mean - y).mean(), 6)
    Selection(picks=[1, 0, 1], scores=[0.0, 0.5, 1.0])
    """
    total = np.zeros(np.shape(predictions[0]))
    picks: list[int] = []
    scores: list[float] = []
    for size in range(1, n_picks + 1):
        options = [_finite_or_lowest(score((total + prediction) / size)) for prediction in predictions]
        picks.append(int(np.argmax(options)))
        scores.append(options[picks[-1]])
        total += predictions[picks[-1]]
    n_best = int(np.argmax(scores)) + 1 if max(scores) > -np.inf else 0
    return Selection(picks[:n_best], scores[:n_best])


def _finite_or_lowest(score: float) -> float:
    return float(score) if np.isfinite(score) else -np.inf
