"""What learning curves show: one small rule for each ailment.

The rules know no units. Every loss is divided by a scale: the loss of a trivial predictor where it is known,
otherwise the first epoch's. Levels are medians of windows, so that single bad epochs decide nothing.

The thresholds lie between the runs with and without the ailment of `benchmarks/diagnosis.py`, those of its
half that was not kept out, and leave room on both sides where there is some.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kerashp.diagnostics._learning_curves.findings import NOTHING_LEARNED, Finding, finding

MIN_EPOCHS = 8  # of which a quarter can be told from the rest

EXPLODED = 1e6  # scales that the loss came down from: it has lost all that it had learned
RISEN = 3.0  # times its start, or the scale, that the loss ends at
GAP = 0.4  # of the scale, between validation and training: a good training leaves a quarter at the most
RISE = 0.5  # of its best, that the validation loss ends above it ...
SOME_GAP = 0.1  # ... where the gap is of this at least, since a fall to nearly nothing makes any rise large
CLEAR_GAP = 0.25  # from which on less of a rise is enough ...
SOME_RISE = 0.1
LOST = 0.5  # ... or that half of what was learned holds for the training rows alone
ZIGZAG = 0.006  # of the scale, up and down again from epoch to epoch
RELATIVE_ZIGZAG = 0.015  # of the loss itself, since an untrained network's loss is noisy as well
VAL_ZIGZAG = 0.02  # of a validation loss, which does so by itself where rows are few
VAL_RELATIVE_ZIGZAG = 0.08
FALLING = 0.02  # of the scale, that the loss fell by over the last quarter: what falls less is a plateau
FIRST_STEP = 0.35  # of the loss, by which a good rate's falls from the first epoch to the second
LEFT = 0.25  # of the scale, from which on a loss that falls slowly has a long way to go
LINEAR = 0.3  # of the whole fall, in the second half: half is a straight line, a fifth a plateau's at most
UNEXPLAINED = 0.45  # of the scale, at a plateau: the features, or what regularises, leave nearly half
NOTHING = 0.95  # of the scale, at a plateau, from which on nothing was learned
RIGHT = 0.9  # of the rows classified rightly, from which on a high loss says nothing


@dataclass(frozen=True)
class Curves:
    """The losses of one training.

    Attributes
    ----------
    loss : array of shape (n_epochs,)
    scale : float
        What losses are divided by.
    val_loss : array of shape (n_validations,), default=None
    right : float, default=0.0
        The share of training rows that were classified rightly in the end, where that is known.
    known : bool, default=False
        Whether the scale is the loss of a trivial prediction; otherwise it is the first epoch's.
    noisy : bool, default=False
        Whether the model draws noise in training, as dropout does, so that the training loss is noisy too.
    """

    loss: np.ndarray
    scale: float
    val_loss: np.ndarray | None = None
    right: float = 0.0
    known: bool = False
    noisy: bool = False

    @property
    def scale_is(self) -> str:
        """What the scale is, in texts."""
        return "the baseline" if self.known else "the first epoch's loss"

    @property
    def steady(self) -> np.ndarray:
        """The training loss, or the validation loss where noise is drawn in training alone."""
        return self.val_loss if self.noisy and self.val_loss is not None else self.loss

    def levels(self) -> dict[str, float]:
        """Where the losses ended, in their own units."""
        levels = {"training_loss": end(self.loss)}
        if self.val_loss is not None:
            levels["validation_loss"] = end(self.val_loss)
        return {**levels, "scale": self.scale}

    def left(self) -> float:
        """The training loss at the end, or what it is without its noise if that is less, as a share."""
        return min(end(self.loss), end(self.steady)) / self.scale

    def fall(self) -> float:
        """What the training loss fell by over the last quarter, or half if that is less, as a share."""
        return min(fall(self.loss), fall_of_half(self.loss)) / self.scale

    def first_step(self) -> float:
        """What the training loss fell by from the first epoch to the second, as a share of the first."""
        return float((self.loss[0] - self.loss[1]) / abs(self.loss[0] or np.inf))

    def late(self) -> float:
        """The share of the whole fall that is in the second half."""
        return late(self.steady)

    def at_plateau(self) -> bool:
        """Whether the training loss falls no more. A smooth, straight line falls, however slowly."""
        straight = zigzag(self.steady) == 0 and self.late() >= LINEAR
        return self.fall() < FALLING and not straight

    def is_falling(self) -> bool:
        """Whether training for longer would lower both losses."""
        return not self.at_plateau() and (self.val_loss is None or fall(self.val_loss) > 0)

    def is_slow(self) -> bool:
        """Whether the first step was small, and most of the way is left or the curve nearly straight."""
        small = self.first_step() < FIRST_STEP
        return bool(small and (self.left() >= LEFT or self.late() >= LINEAR))


def _window(curve: np.ndarray) -> int:
    return max(2, len(curve) // 10)


def end(curve: np.ndarray) -> float:
    """The median of the last tenth."""
    return float(np.median(curve[-_window(curve) :]))


def lowest(curve: np.ndarray) -> float:
    """The lowest median of any tenth."""
    windows = np.lib.stride_tricks.sliding_window_view(curve, _window(curve))
    return float(np.median(windows, axis=1).min())


def fall(curve: np.ndarray) -> float:
    """From the tenth before the last quarter to the last tenth."""
    quarter = len(curve) // 4
    return float(np.median(curve[-quarter - _window(curve) : -quarter])) - end(curve)


def fall_of_half(curve: np.ndarray) -> float:
    """From the middle to the last tenth."""
    middle = len(curve) // 2
    return float(np.median(curve[middle - 1 : middle + 2])) - end(curve)


def late(curve: np.ndarray) -> float:
    """The share of the whole fall that is in the second half."""
    whole = float(curve[0]) - end(curve)
    return fall_of_half(curve) / whole if whole > 0 else 0.0


def zigzag(curve: np.ndarray) -> float:
    r"""How far the second half goes up and down from epoch to epoch.

    With the steps $d_t$ from one epoch to the next it is the upper quartile over $t$ of
    $\min(|d_t|, |d_{t+1}|)$ where $d_t d_{t+1} < 0$, and 0 elsewhere: 0 for a curve that only falls, and
    for one with a few jumps.
    """
    steps = np.diff(curve[len(curve) // 2 :])
    turns = steps[1:] * steps[:-1] < 0
    sizes = np.minimum(np.abs(steps[1:]), np.abs(steps[:-1]))
    return float(np.quantile(np.where(turns, sizes, 0.0), 0.75))


def divergence(curves: Curves) -> Finding | None:
    """A loss that is not finite, was absurd, or ends far above its start."""
    return _not_finite(curves) or _risen(curves)


def _not_finite(curves: Curves) -> Finding | None:
    for name, curve in (("training", curves.loss), ("validation", curves.val_loss)):
        bad = np.flatnonzero(~np.isfinite(curve)) if curve is not None else np.zeros(0)
        if len(bad):
            evidence = {"first_bad_epoch": bad[0] + 1, "bad_epochs": len(bad)}
            text = f"The {name} loss was not finite from epoch {bad[0] + 1} on, in {len(bad)} epochs."
            return finding("divergence", np.inf, evidence, text)
    return None


def _risen(curves: Curves) -> Finding | None:
    first, last = curves.loss[0], end(curves.loss)
    # A loss that was high and stays there has not exploded: its targets are not scaled.
    peak = curves.loss.max() / max(curves.scale, min(first, last))
    rise = last / max(curves.scale, first)
    severity = max(peak / EXPLODED, rise / RISEN)
    if severity < 1:
        return None
    evidence = {"peak": peak, "peak_threshold": EXPLODED, "rise": rise, "rise_threshold": RISEN}
    text = (
        f"The training loss was once {peak:.3g} times {curves.scale_is}, or what it began and ended with (at "
        f"most {EXPLODED:.0e} is taken for sound), and ended at {rise:.3g} times what it began with (at most "
        f"{RISEN:g})."
    )
    return finding("divergence", severity, curves.levels() | evidence, text)


def overfitting(curves: Curves) -> Finding | None:
    """A validation loss that falls no more, far above the training loss or its own best, or of no use."""
    if curves.val_loss is None or fall(curves.val_loss) >= FALLING * curves.scale:
        return None
    train, valid = end(curves.loss), end(curves.val_loss)
    gap, rise, lost = (valid - train) / curves.scale, _own_rise(curves.loss, curves.val_loss), _lost(curves)
    enough, apart = (RISE, SOME_GAP) if gap < CLEAR_GAP else (SOME_RISE, CLEAR_GAP)
    severity = max(gap / GAP, min(rise / enough, gap / apart), min(lost / LOST, gap / CLEAR_GAP))
    if severity < 1:
        return None
    evidence = {
        "gap": gap,
        "gap_threshold": GAP,
        "rise": rise,
        "rise_threshold": enough,
        "gap_where_risen": gap,
        "gap_where_risen_threshold": apart,
        "lost": lost,
        "lost_threshold": LOST,
        "gap_where_lost": gap,
        "gap_where_lost_threshold": CLEAR_GAP,
    }
    share = f", and {lost:.0%} of what was learned is lost on it (from {LOST:.0%} on)" if lost > 0 else ""
    text = (
        f"The validation loss ended at {valid:.3g}, {gap:.0%} of {curves.scale_is} above the training "
        f"loss of {train:.3g} (overfitting from {GAP:.0%} on), {rise:.0%} above its own best (from "
        f"{enough:.0%} on at this gap){share}."
    )
    return finding("overfitting", severity, curves.levels() | evidence, text)


def _own_rise(loss: np.ndarray, val_loss: np.ndarray) -> float:
    """What the validation loss ended above its best by, as a share, less what the training loss did."""
    best = lowest(val_loss)
    rise = (end(val_loss) - best) - (end(loss) - lowest(loss))
    return rise / abs(best) if best else 0.0


def _lost(curves: Curves) -> float:
    """The share of what was learned, by the loss of a trivial prediction, that the validation lacks."""
    train = end(curves.loss)
    if not curves.known or curves.val_loss is None or train >= curves.scale:
        return 0.0
    return (end(curves.val_loss) - train) / (curves.scale - train)


def fluctuation(curves: Curves) -> Finding | None:
    """A training loss that goes up and down, or a validation loss where dropout makes the other do so."""
    if curves.noisy and curves.val_loss is None:
        return None
    name = "validation" if curves.noisy else "training"
    most, most_of_loss = (VAL_ZIGZAG, VAL_RELATIVE_ZIGZAG) if curves.noisy else (ZIGZAG, RELATIVE_ZIGZAG)
    size = zigzag(curves.steady)
    of_scale, of_loss = size / curves.scale, size / abs(end(curves.steady) or np.inf)
    severity = min(of_scale / most, of_loss / most_of_loss)
    if severity < 1:
        return None
    evidence = {
        "zigzag": of_scale,
        "zigzag_threshold": most,
        "relative_zigzag": of_loss,
        "relative_zigzag_threshold": most_of_loss,
    }
    text = (
        f"The {name} loss goes up and down by {of_scale:.1%} of {curves.scale_is} from epoch to epoch "
        f"(fluctuation from {most:.1%} on), by {of_loss:.1%} of where it ended (from {most_of_loss:.1%} on)."
    )
    return finding("fluctuation", severity, curves.levels() | evidence, text)


def too_slow(curves: Curves) -> Finding | None:
    """A fall that goes on at the end, and was slow from the start."""
    return _still_falling(curves, "too slow") if curves.is_falling() and curves.is_slow() else None


def still_improving(curves: Curves) -> Finding | None:
    """A fall that goes on at the end, and began well."""
    return _still_falling(curves, "still improving") if curves.is_falling() and not curves.is_slow() else None


def _still_falling(curves: Curves, ailment: str) -> Finding:
    first, pace, share = curves.first_step(), curves.fall(), curves.late()
    evidence = {
        "fall_of_last_quarter": pace,
        "fall_of_last_quarter_threshold": FALLING,
        "first_step": first,
        "first_step_threshold": FIRST_STEP,
        "left": curves.left(),
        "left_threshold": LEFT,
        "late": share,
        "late_threshold": LINEAR,
    }
    text = (
        f"The training loss still fell by {pace:.1%} of {curves.scale_is} over the last quarter of the "
        f"epochs (below {FALLING:.0%} it is at a plateau, unless its line is straight), after {first:.0%} of "
        f"itself from the first to the second (a good rate's from {FIRST_STEP:.0%} on); {share:.0%} of the "
        f"fall is in the second half, and {curves.left():.0%} of {curves.scale_is} is left."
    )
    return finding(ailment, max(pace / FALLING, share / LINEAR), curves.levels() | evidence, text)


def underfitting(curves: Curves) -> Finding | None:
    """A plateau at a high loss; not where most rows are classified rightly."""
    left, pace = curves.left(), curves.fall()
    if left < UNEXPLAINED or not curves.at_plateau() or curves.right >= RIGHT:
        return None
    evidence = {
        "left": left,
        "left_threshold": UNEXPLAINED,
        "fall_of_last_quarter": pace,
        "fall_of_last_quarter_threshold": FALLING,
    }
    text = (
        f"The training loss is at a plateau (it fell by {pace:.1%} of {curves.scale_is} over the last "
        f"quarter of the epochs), and {left:.0%} is left (underfitting from {UNEXPLAINED:.0%} on)."
    )
    if left >= NOTHING:
        text = (
            f"{text} The network has learned nothing (from {NOTHING:.0%} on), in this time and at this rate."
        )
    advice = NOTHING_LEARNED if left >= NOTHING else None
    return finding("underfitting", left / UNEXPLAINED, curves.levels() | evidence, text, advice)


def healthy(curves: Curves) -> Finding:
    """What is said where there is nothing else to say."""
    left, pace = curves.left(), curves.fall()
    gap = "" if curves.val_loss is None else f", the validation loss at {end(curves.val_loss):.3g}"
    level = f"{end(curves.loss):.3g}, {left:.0%} of {curves.scale_is}"
    text = f"The training loss ended at {level}{gap}, and no rule finds anything in them."
    return finding("healthy", 0.0, curves.levels() | {"left": left, "fall_of_last_quarter": pace}, text)


_SOUND: tuple[Callable[[Curves], Finding | None], ...] = (
    overfitting,
    fluctuation,
    too_slow,
    still_improving,
    underfitting,
)


def findings(curves: Curves) -> tuple[Finding, ...]:
    """All that the rules find, in the order of `AILMENTS`; curves that diverged say nothing else."""
    diverged = divergence(curves)
    if diverged is not None:
        return (diverged,)
    found = tuple(one for rule in _SOUND if (one := rule(curves)) is not None)
    return found or (healthy(curves),)
