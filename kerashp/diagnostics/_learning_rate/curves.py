"""Suggestions from curves of loss against learning rate: pure functions of arrays."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

MARGIN = 3.0  # ratio of the first rate that diverges to the highest one allowed (Bengio 2012)
BELOW_TURN = 10.0  # ratio of the rate at which the loss turns to the suggestion (Géron, ch. 11)
BETA = 0.9  # of the moving average


@dataclass(frozen=True)
class Reading:
    """The suggestion from a curve, with its reasons."""

    suggestion: float  # NaN if there is none
    diverges_from: float | None
    reasons: tuple[str, ...]


def smoothed(losses: np.ndarray, beta: float = BETA) -> np.ndarray:
    """The exponential moving average with the bias towards 0 corrected, as in Adam.

    >>> smoothed(np.array([1.0, 1.0, 2.0]), beta=0.5).round(3).tolist()
    [1.0, 1.0, 1.571]
    """
    sums = lfilter([1 - beta], [1, -beta], losses)
    return np.asarray(sums / (1 - beta ** np.arange(1, len(losses) + 1)))


def has_diverged(averages: np.ndarray) -> bool:
    """Whether the last smoothed loss is not finite, or above 4 times the lowest one.

    >>> has_diverged(np.array([1.0, 0.5, 1.9])), has_diverged(np.array([1.0, 0.5, 2.1]))
    (False, True)
    """
    last, lowest = averages[-1], np.nanmin(averages)
    return not np.isfinite(last) or bool(last > lowest + 3 * abs(lowest))


def read_population(rates: np.ndarray, losses: np.ndarray, untrained: float) -> Reading:
    """Suggest the rate of the lowest loss, up to a third of the lowest rate that diverges.

    `losses` are the final losses, infinite for trainings that diverged; `untrained` is the loss at rate 0.
    """
    best = int(np.argmin(losses))
    if not np.isfinite(losses[best]) or (losses[best] >= untrained and _explodes(losses, untrained)):
        return Reading(np.nan, float(rates[0]), (f"Every rate diverges: lower low={rates[0]:.3g}",))
    diverging = rates[best + 1 :][losses[best + 1 :] > untrained]
    first = float(diverging[0]) if len(diverging) else None
    if losses[best] >= untrained:
        return Reading(np.nan, first, (_not_learning(losses[best], untrained, rates),))
    chosen = best if first is None else _best_with_margin(rates, losses, first)
    reasons = [
        f"The lowest loss, {losses[best]:.4g}, is at {rates[best]:.3g}; untrained it is {untrained:.4g}",
        _divergence_reason(first, rates[-1]),
    ]
    if chosen != best:
        reasons.append(
            f"{rates[chosen]:.3g} is the rate of the lowest loss, {losses[chosen]:.4g}, among the rates up "
            f"to a third of {first:.3g}, as a margin to divergence"
        )
    reasons += _limit_reasons(chosen, rates)
    return Reading(float(rates[chosen]), first, tuple(reasons))


def read_range_test(rates: np.ndarray, averages: np.ndarray, high: float) -> Reading:
    """Suggest a tenth of the rate at which the smoothed loss is lowest."""
    first = float(rates[-1]) if has_diverged(averages) else None
    turn = int(np.nanargmin(averages))
    if turn == 0:
        return Reading(np.nan, first, (_never_falling(rates, first, high),))
    suggestion = float(rates[turn] / BELOW_TURN)
    reasons = [
        f"The smoothed loss falls from {averages[0]:.4g} to {averages[turn]:.4g} at {rates[turn]:.3g}",
        f"{suggestion:.3g} is a tenth of the rate of the lowest loss",
        _divergence_reason(first, high),
    ]
    if turn == len(rates) - 1:
        reasons.append(f"The loss still falls at the highest rate: raise high={high:.3g}")
    if suggestion < rates[0]:
        reasons.append(f"The suggestion is below the lowest rate tried: lower low={rates[0]:.3g}")
    return Reading(suggestion, first, tuple(reasons))


def _explodes(losses: np.ndarray, untrained: float) -> bool:
    """Whether the loss rises to more than 4 times its start even at the lowest rate."""
    return bool(losses[0] > untrained + 3 * abs(untrained))


def _best_with_margin(rates: np.ndarray, losses: np.ndarray, first: float) -> int:
    """The index of the lowest loss up to a third of `first`, or below `first` if no rate is as low."""
    n_allowed = int(np.sum(rates <= first / MARGIN)) or int(np.sum(rates < first))
    return int(np.argmin(losses[:n_allowed]))


def _divergence_reason(first: float | None, high: float) -> str:
    if first is None:
        return f"No rate up to {high:.3g} diverges"
    return f"Training diverges from {first:.3g} on"


def _limit_reasons(chosen: int, rates: np.ndarray) -> list[str]:
    if chosen == 0:
        return [f"The suggestion is the lowest rate tried: lower low={rates[0]:.3g}"]
    if chosen == len(rates) - 1:
        return [f"The suggestion is the highest rate tried: raise high={rates[-1]:.3g}"]
    return []


def _not_learning(loss: float, untrained: float, rates: np.ndarray) -> str:
    return (
        f"No rate from {rates[0]:.3g} to {rates[-1]:.3g} learns: the lowest loss is {loss:.4g}, and the loss "
        f"without training is {untrained:.4g}. Raise high or epochs, and check the gradients and the targets"
    )


def _never_falling(rates: np.ndarray, first: float | None, high: float) -> str:
    if first is not None:
        return f"The loss only rises, and training diverges at {first:.3g}: lower low={rates[0]:.3g}"
    return (
        f"The loss does not fall at any rate from {rates[0]:.3g} to {high:.3g}: raise high, and check the "
        "gradients and the targets"
    )
