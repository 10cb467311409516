"""The rules that find ailments in learning curves, one for each.

The rules are independent of units: every loss is divided by a scale, the loss of a trivial prediction if it
is known, otherwise that of the first epoch. Levels are medians of windows, to be robust against single
epochs.

The thresholds separate the runs with an ailment from those without it in the first half of the runs of
`benchmarks/diagnosis.py`, with a margin on both sides if possible; the second half tests them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kerashp.diagnostics._learning_curves.findings import NOTHING_LEARNED, Finding, make_finding

MIN_EPOCHS = 8  # fewer are too few for levels of quarters

PEAK = 1e6  # of the loss in scales: a training that comes down from there has lost what it had learned
FINAL_RISE = 3.0  # ratio of the final loss to the first one, or to the scale
GAP = 0.4  # between validation and training loss, in scales; a good training has a gap of up to a quarter
RISE = 0.5  # of the validation loss above its minimum, as a share of it ...
SMALL_GAP = 0.1  # ... with at least this gap, since any rise is large relative to a minimum near 0
CLEAR_GAP = 0.25  # a gap with which a smaller rise is enough ...
SMALL_RISE = 0.1
LOST_SHARE = 0.5  # ... or this share of what was learned holds for the training rows only
ZIGZAG = 0.006  # from epoch to epoch, in scales
RELATIVE_ZIGZAG = 0.015  # relative to the loss, since the loss of an untrained network is noisy as well
VAL_ZIGZAG = 0.02  # of a validation loss, which fluctuates by itself if there are few rows
VAL_RELATIVE_ZIGZAG = 0.08
FALL = 0.02  # over the last quarter of the epochs, in scales; a smaller fall is a plateau
FIRST_STEP = 0.35  # fall from the first epoch to the second at a good learning rate, as a share of the loss
REMAINDER = 0.25  # of the loss, in scales, from which on a slow fall is far from its end
LATE_SHARE = 0.3  # of the fall in the second half: a straight line has a half, a plateau at most a fifth
PLATEAU = 0.45  # of the scale, from which on a plateau is underfitting
UNTRAINED_PLATEAU = 0.95  # of the scale, from which on nothing was learned
ACCURACY = 0.9  # from which on a high loss is no sign of underfitting


@dataclass(frozen=True)
class Curves:
    """The losses of one training.

    Attributes
    ----------
    loss : array of shape (n_epochs,)
        The training loss.
    scale : float
        The unit of all losses.
    val_loss : array of shape (n_validations,), default=None
        The validation loss.
    accuracy : float, default=0.0
        The final training accuracy if it is known.
    has_baseline : bool, default=False
        Whether the scale is the loss of a trivial prediction; otherwise it is the loss of the first epoch.
    noisy : bool, default=False
        Whether the model draws noise in training, as dropout does, which makes the training loss noisy.
    least : float, default=0.0
        The loss of perfect predictions, which is above 0 with label smoothing.
    """

    loss: np.ndarray
    scale: float
    val_loss: np.ndarray | None = None
    accuracy: float = 0.0
    has_baseline: bool = False
    noisy: bool = False
    least: float = 0.0

    @property
    def scale_name(self) -> str:
        """The name of the scale in texts."""
        return "the baseline" if self.has_baseline else "the first epoch's loss"

    @property
    def steady_loss(self) -> np.ndarray:
        """The training loss, or the validation loss if there is one and only the training loss is noisy."""
        return self.val_loss if self.noisy and self.val_loss is not None else self.loss

    def levels(self) -> dict[str, float]:
        """The final losses and the scale, in the units of the loss."""
        levels = {"training_loss": end(self.loss)}
        if self.val_loss is not None:
            levels["validation_loss"] = end(self.val_loss)
        return {**levels, "scale": self.scale}

    def remainder(self) -> float:
        """The final training loss, or the final steady loss if that is lower, in scales.

        With label smoothing, it is the part of the loss and of the scale that training can remove.
        """
        least = self.least if self.least < self.scale else 0.0
        return (min(end(self.loss), end(self.steady_loss)) - least) / (self.scale - least)

    def fall(self) -> float:
        """The fall of the training loss over the last quarter, or half if that is less, in scales."""
        return min(fall(self.loss), fall_of_half(self.loss)) / self.scale

    def first_step(self) -> float:
        """The fall of the training loss from the first epoch to the second, as a share of the first."""
        return float((self.loss[0] - self.loss[1]) / abs(self.loss[0] or np.inf))

    def late_share(self) -> float:
        """The share of the whole fall that occurs in the second half."""
        return late_share(self.steady_loss)

    def at_plateau(self) -> bool:
        """Whether the training loss has stopped falling; a smooth, straight line has not, however slow."""
        is_straight = zigzag(self.steady_loss) == 0 and self.late_share() >= LATE_SHARE
        return self.fall() < FALL and not is_straight

    def is_falling(self) -> bool:
        """Whether both losses would fall further with more epochs."""
        return not self.at_plateau() and (self.val_loss is None or fall(self.val_loss) > 0)

    def is_slow(self) -> bool:
        """Whether the first step was small, and the loss is far from its end or the curve nearly straight."""
        is_small = self.first_step() < FIRST_STEP
        return bool(is_small and (self.remainder() >= REMAINDER or self.late_share() >= LATE_SHARE))


def _window_size(curve: np.ndarray) -> int:
    return max(2, len(curve) // 10)


def end(curve: np.ndarray) -> float:
    """The final level: the median of the last tenth."""
    return float(np.median(curve[-_window_size(curve) :]))


def lowest(curve: np.ndarray) -> float:
    """The lowest level: the lowest median of any tenth."""
    windows = np.lib.stride_tricks.sliding_window_view(curve, _window_size(curve))
    return float(np.median(windows, axis=1).min())


def fall(curve: np.ndarray) -> float:
    """The fall of the level from the tenth before the last quarter to the last tenth."""
    quarter = len(curve) // 4
    return float(np.median(curve[-quarter - _window_size(curve) : -quarter])) - end(curve)


def fall_of_half(curve: np.ndarray) -> float:
    """The fall of the level from the middle to the last tenth."""
    middle = len(curve) // 2
    return float(np.median(curve[middle - 1 : middle + 2])) - end(curve)


def late_share(curve: np.ndarray) -> float:
    """The share of the whole fall that occurs in the second half."""
    whole = float(curve[0]) - end(curve)
    return fall_of_half(curve) / whole if whole > 0 else 0.0


def zigzag(curve: np.ndarray) -> float:
    r"""The oscillation of the second half from epoch to epoch.

    With the steps $d_t$ from one epoch to the next it is the upper quartile over $t$ of
    $\min(|d_t|, |d_{t+1}|)$ where $d_t d_{t+1} < 0$, and of 0 elsewhere. It is 0 for a curve that only
    falls, and for one with a few jumps.
    """
    steps = np.diff(curve[len(curve) // 2 :])
    turns = steps[1:] * steps[:-1] < 0
    sizes = np.minimum(np.abs(steps[1:]), np.abs(steps[:-1]))
    return float(np.quantile(np.where(turns, sizes, 0.0), 0.75))


def divergence(curves: Curves) -> Finding | None:
    """A loss that is not finite, was extremely high, or ends far above its start."""
    return _nonfinite_loss(curves) or _exploded_loss(curves)


def _nonfinite_loss(curves: Curves) -> Finding | None:
    for name, curve in (("training", curves.loss), ("validation", curves.val_loss)):
        epochs = np.flatnonzero(~np.isfinite(curve)) if curve is not None else np.zeros(0)
        if len(epochs):
            evidence = {"first_bad_epoch": epochs[0] + 1, "bad_epochs": len(epochs)}
            text = (
                f"The {name} loss was not finite in {len(epochs)} epochs, the first of which is epoch "
                f"{epochs[0] + 1}."
            )
            return make_finding("divergence", np.inf, evidence, text)
    return None


def _exploded_loss(curves: Curves) -> Finding | None:
    first, last = curves.loss[0], end(curves.loss)
    # A loss that is high from the first to the last epoch has not exploded: the targets are not scaled.
    peak = curves.loss.max() / max(curves.scale, min(first, last))
    rise = last / max(curves.scale, first)
    severity = max(peak / PEAK, rise / FINAL_RISE)
    if severity < 1:
        return None
    evidence = {"peak": peak, "peak_threshold": PEAK, "rise": rise, "rise_threshold": FINAL_RISE}
    text = (
        f"The training loss reached {peak:.3g} times {curves.scale_name}, or the lower of its first and its "
        f"final level if that is higher (divergence from {PEAK:.0e} on), and ended at {rise:.3g} times its "
        f"first level, or {curves.scale_name} if that is higher (divergence from {FINAL_RISE:g} on)."
    )
    return make_finding("divergence", severity, curves.levels() | evidence, text)


def overfitting(curves: Curves) -> Finding | None:
    """A validation loss that has stopped falling, far above the training loss or its own minimum."""
    if curves.val_loss is None or fall(curves.val_loss) >= FALL * curves.scale:
        return None
    train, valid = end(curves.loss), end(curves.val_loss)
    gap, lost = (valid - train) / curves.scale, _lost_share(curves)
    rise = _excess_rise(curves.loss, curves.val_loss)
    min_rise, min_gap = (RISE, SMALL_GAP) if gap < CLEAR_GAP else (SMALL_RISE, CLEAR_GAP)
    severity = max(gap / GAP, min(rise / min_rise, gap / min_gap), min(lost / LOST_SHARE, gap / CLEAR_GAP))
    if severity < 1:
        return None
    evidence = {
        "gap": gap,
        "gap_threshold": GAP,
        "rise": rise,
        "rise_threshold": min_rise,
        "gap_where_risen": gap,
        "gap_where_risen_threshold": min_gap,
        "lost": lost,
        "lost_threshold": LOST_SHARE,
        "gap_where_lost": gap,
        "gap_where_lost_threshold": CLEAR_GAP,
    }
    text = (
        f"The validation loss ended at {valid:.3g}. This is {gap:.0%} of {curves.scale_name} above the "
        f"training loss of {train:.3g} (overfitting from {GAP:.0%} on), and, less the rise of the training "
        f"loss, {rise:.0%} above its own minimum (overfitting from {min_rise:.0%} on with this gap)."
    )
    if lost > 0:
        text = (
            f"{text} Of what was learned, {lost:.0%} does not hold for the validation rows (overfitting from "
            f"{LOST_SHARE:.0%} on)."
        )
    return make_finding("overfitting", severity, curves.levels() | evidence, text)


def _excess_rise(loss: np.ndarray, val_loss: np.ndarray) -> float:
    """The rise of the validation loss above its minimum less that of the training loss, as a share."""
    minimum = lowest(val_loss)
    rise = (end(val_loss) - minimum) - (end(loss) - lowest(loss))
    return rise / abs(minimum) if minimum else 0.0


def _lost_share(curves: Curves) -> float:
    """The share of the improvement on a trivial prediction that the validation rows lack."""
    train = end(curves.loss)
    if not curves.has_baseline or curves.val_loss is None or train >= curves.scale:
        return 0.0
    return (end(curves.val_loss) - train) / (curves.scale - train)


def fluctuation(curves: Curves) -> Finding | None:
    """A loss that oscillates: the training loss, or the validation loss of a model with dropout."""
    if curves.noisy and curves.val_loss is None:
        return None
    name = "validation" if curves.noisy else "training"
    thresholds = (VAL_ZIGZAG, VAL_RELATIVE_ZIGZAG) if curves.noisy else (ZIGZAG, RELATIVE_ZIGZAG)
    size = zigzag(curves.steady_loss)
    of_scale, of_loss = size / curves.scale, size / abs(end(curves.steady_loss) or np.inf)
    severity = min(of_scale / thresholds[0], of_loss / thresholds[1])
    if severity < 1:
        return None
    evidence = {
        "zigzag": of_scale,
        "zigzag_threshold": thresholds[0],
        "relative_zigzag": of_loss,
        "relative_zigzag_threshold": thresholds[1],
    }
    text = (
        f"The {name} loss oscillates from epoch to epoch by {of_scale:.1%} of {curves.scale_name} "
        f"(fluctuation from {thresholds[0]:.1%} on), which is {of_loss:.1%} of its final level (fluctuation "
        f"from {thresholds[1]:.1%} on)."
    )
    return make_finding("fluctuation", severity, curves.levels() | evidence, text)


def too_slow(curves: Curves) -> Finding | None:
    """A loss that still falls at the end, and fell slowly from the start."""
    return _still_falling(curves, "too slow") if curves.is_falling() and curves.is_slow() else None


def still_improving(curves: Curves) -> Finding | None:
    """A loss that still falls at the end, and fell fast at the start."""
    return _still_falling(curves, "still improving") if curves.is_falling() and not curves.is_slow() else None


def _still_falling(curves: Curves, ailment: str) -> Finding:
    first, last_fall, share = curves.first_step(), curves.fall(), curves.late_share()
    evidence = {
        "fall_of_last_quarter": last_fall,
        "fall_of_last_quarter_threshold": FALL,
        "first_step": first,
        "first_step_threshold": FIRST_STEP,
        "left": curves.remainder(),
        "left_threshold": REMAINDER,
        "late": share,
        "late_threshold": LATE_SHARE,
    }
    text = (
        f"The training loss still fell by {last_fall:.1%} of {curves.scale_name} over the last quarter of "
        f"the epochs (a fall below {FALL:.0%} is a plateau, unless the curve is straight). From the first "
        f"epoch to the second it fell by {first:.0%} (by {FIRST_STEP:.0%} or more at a good learning rate); "
        f"{share:.0%} of the fall is in the second half of the epochs, and {curves.remainder():.0%} of "
        f"{curves.scale_name} remains."
    )
    return make_finding(ailment, max(last_fall / FALL, share / LATE_SHARE), curves.levels() | evidence, text)


def underfitting(curves: Curves) -> Finding | None:
    """A plateau at a high loss, unless the accuracy is high."""
    remainder, last_fall = curves.remainder(), curves.fall()
    if remainder < PLATEAU or not curves.at_plateau() or curves.accuracy >= ACCURACY:
        return None
    evidence = {
        "left": remainder,
        "left_threshold": PLATEAU,
        "fall_of_last_quarter": last_fall,
        "fall_of_last_quarter_threshold": FALL,
    }
    text = (
        f"The training loss is at a plateau (it fell by {last_fall:.1%} of {curves.scale_name} over the last "
        f"quarter of the epochs), and {remainder:.0%} of {curves.scale_name} remains (underfitting from "
        f"{PLATEAU:.0%} on)."
    )
    advice = None
    if remainder >= UNTRAINED_PLATEAU:
        text = (
            f"{text} The network has learned nothing in these epochs and at this learning rate (from "
            f"{UNTRAINED_PLATEAU:.0%} on)."
        )
        advice = NOTHING_LEARNED
    return make_finding("underfitting", remainder / PLATEAU, curves.levels() | evidence, text, advice)


def healthy(curves: Curves) -> Finding:
    """The finding for curves in which the other rules find nothing."""
    remainder = curves.remainder()
    text = f"The training loss ended at {end(curves.loss):.3g}, {remainder:.0%} of {curves.scale_name}"
    if curves.val_loss is not None:
        text += f", and the validation loss at {end(curves.val_loss):.3g}"
    evidence = curves.levels() | {"left": remainder, "fall_of_last_quarter": curves.fall()}
    return make_finding("healthy", 0.0, evidence, f"{text}; the curves show no fault.")


_FINITE_RULES: tuple[Callable[[Curves], Finding | None], ...] = (
    overfitting,
    fluctuation,
    too_slow,
    still_improving,
    underfitting,
)


def findings(curves: Curves) -> tuple[Finding, ...]:
    """All findings in the order of `AILMENTS`; curves that diverged have no other finding."""
    diverged = divergence(curves)
    if diverged is not None:
        return (diverged,)
    faults = tuple(finding for rule in _FINITE_RULES if (finding := rule(curves)) is not None)
    return faults or (healthy(curves),)
