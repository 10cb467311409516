"""What learning curves say, with the numbers, and what to do next."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from kerashp._arguments import Arguments
from kerashp.diagnostics._foundations.result import Result, Table
from kerashp.diagnostics._learning_curves.findings import AILMENTS, Finding
from kerashp.diagnostics._learning_curves.rules import Curves, findings
from kerashp.diagnostics._learning_curves.settings import left_to_do
from kerashp.diagnostics._learning_curves.sources import (
    baseline_of,
    curves_of,
    derived_baseline,
    draws_noise,
    source_of,
)

_CHECK = Arguments("diagnose")
_NO_VALIDATION = (
    "There is no validation loss of enough epochs: whether it overfits cannot be told. Pass validation_data "
    "or validation_split."
)
_NO_BASELINE = (
    "The losses are measured by the first epoch's, so that a network that learnt most in it looks as if it "
    "underfitted, and one whose first loss is mostly penalties as if it did not. Pass y, the training "
    "targets, or baseline, the loss of the best prediction that is the same for all rows."
)
_NOISY = (
    "Dropout, or other noise in training, makes the training loss go up and down: whether the learning rate "
    "is too high cannot be told without a validation loss of enough epochs."
)
_CLASSES = "The baseline is that of guessing among equally frequent classes; pass theirs where they are not."


@dataclass(frozen=True)
class Diagnosis(Result):
    """What `diagnose` returns.

    Attributes
    ----------
    findings : tuple of Finding
        All that was found; what has to be mended first comes first.
    n_epochs : int
        Of the longest curve.
    n_curves : int
        How many trainings were looked at: the splits of a search's best candidate, or 1.
    baseline : float or None
        What the losses were measured by; None where it was the first epoch's loss.
    notes : tuple of str
        What the curves cannot tell.
    """

    findings: tuple[Finding, ...]
    n_epochs: int
    n_curves: int
    baseline: float | None
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """The ailment of the first finding."""
        return self.findings[0].ailment

    def _parts(self) -> Sequence[str | Table]:
        of = "" if self.n_curves == 1 else f" of {self.n_curves} splits"
        said = [part for one in self.findings for part in one._parts()]
        rows = [(one.ailment, *cells) for one in self.findings for cells in one.measured()]
        evidence = Table(("finding", "evidence", "value", "threshold"), rows)
        return [f"Verdict after {self.n_epochs} epochs{of}: {self.verdict}", *said, *self.notes, evidence]


def diagnose(source: Any, *, y: Any = None, baseline: float | None = None) -> Diagnosis:
    r"""What learning curves say of a training, with the numbers, and what to do next.

    All levels are medians of windows, divided by a scale $s$, the loss of a trivial prediction. With the
    training loss $L$, the validation loss $V$, and their levels at the end, it finds, in this order:

    - "divergence": a loss that is not finite, that was above $10^6 s$ and did not stay where it began, or
      ends above 3 times its start;
    - "overfitting", where $V$ falls no more: $(V - L) / s \ge 0.4$; or $V$ at least 50% above its lowest and
      $(V - L) / s \ge 0.1$; or $(V - L) / s \ge 0.25$ with $V$ at least 10% above its lowest, or, where $s$
      is known, with $(V - L) / (s - L) \ge 0.5$: half of what was learned does not hold for other rows. What
      $L$ itself rose by is taken from the rise of $V$;
    - "fluctuation": $L$ goes up and down by at least 0.6% of $s$ and 1.5% of itself from epoch to epoch. Of a
      model that is known to draw noise in training, as dropout does, it is $V$, by 2% of $s$ and 8% of
      itself;
    - "too slow": $L$ fell by 2% of $s$ or more over the last quarter of the epochs, or in a smooth and nearly
      straight line; it began by falling by less than 35% of itself in one epoch, and a quarter of $s$ is left
      or 30% of the fall in the second half;
    - "still improving": it fell by as much, but began well;
    - "underfitting": a plateau at $L / s \ge 0.45$ (of $V / s$, if lower, where there is dropout). From 0.95
      on nothing was learned, and other things are to be done;
    - "healthy": none of these.

    Parameters
    ----------
    source : keras History, dict, estimator or search
        A dict has a list of one number an epoch by name, "loss" and perhaps "val_loss". An estimator is one
        of kerashp's, fitted, alone, at the end of pipelines or in a `TransformedTargetRegressor`. Of a search
        of kerashp the curves of the best candidate are taken, on all splits: what is found on more than
        half of them. Of another search, those of its refitted best estimator.
    y : array of shape (n_samples,) or (n_samples, n_outputs), default=None
        For a `History`: the training targets, as they were passed to fit, from which the baseline follows.
    baseline : float, default=None
        The loss of the best prediction that is the same for all rows, in the units of the curves:
        `np.var(y)` for squared errors, `scipy.stats.entropy(np.bincount(y))` for cross-entropy. If None, it
        is what the estimator kept of its fit, or follows from `y`; failing these, it is log(n_classes) where
        the model is known and trained by cross-entropy; otherwise the first epoch's loss stands in for it,
        and a note says what that may hide.

    Returns
    -------
    Diagnosis
        With `verdict`, `findings`, and `notes` on what the curves cannot tell.

    Raises
    ------
    TypeError
        If the source is none of these, or a curve does not hold numbers.
    ValueError
        If there is no loss, there are fewer than 8 epochs and the loss is finite, the first loss is not
        positive where there is no baseline, the baseline is not positive, or a search has no curves; if both
        `y` and `baseline` are passed, or `y` for a source without a model.
    sklearn.exceptions.NotFittedError
        If the estimator or the search is not fitted.

    Notes
    -----
    Actions leave out what is so already, as far as source, model and pipeline tell: scaled inputs, an
    optimizer with momentum, early stopping and the like.

    Findings are ranked by what has to be mended first, not by severity: no plateau can be judged while the
    loss fluctuates. The thresholds were set on half of the runs of `benchmarks/diagnosis.py`, which prints
    how often verdicts agree with the ailment on the other half: for more than nine in ten where the baseline
    is known, for about two in three where the first epoch's loss stands in for it, above all since
    strong penalties and a rate that is too low then look like a good fall from a high start.

    Curves cannot tell a network that is too small from targets that are noise: both end at a plateau. A
    network that leaves less than 45% of the baseline is not said to underfit, though a better one might leave
    less. Penalties of the weights are part of the losses, as Keras reports them.

    References
    ----------
    A. Géron, Hands-On Machine Learning, ch. 10, 11.
    Google, Testing and Debugging in Machine Learning, "Interpreting Loss Curves".

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.diagnostics import diagnose
    >>> epochs = np.arange(40)
    >>> fitted = {"loss": np.exp(-epochs / 5), "val_loss": np.exp(-epochs / 5) + epochs / 40}
    >>> diagnosis = diagnose(fitted, baseline=1.0)
    >>> diagnosis.verdict
    'overfitting'
    >>> finding = diagnosis.findings[0]
    >>> round(finding.evidence["gap"], 2), round(finding.severity, 1)
    (0.94, 3.8)
    >>> print("\n".join(finding.actions))
    regularise: early stopping, dropout, L2, fewer or narrower layers
    check that both sets have the same statistical properties (compare_distributions)
    train on more rows, or on augmented ones
    """
    if baseline is not None:
        baseline = _CHECK.positive("baseline", baseline)
    own = source_of(source)
    if y is not None:
        if baseline is not None:
            raise ValueError("diagnose: y and baseline say the same; pass one of them")
        baseline = baseline_of(own, y)
    known = own.baseline if baseline is None else baseline
    derived = derived_baseline(own.model) if known is None else None
    scale = derived if known is None else known
    noisy = draws_noise(own.model)
    curves = [curves_of(history, scale, noisy) for history in own.histories]
    settings = own.settings
    found = tuple(
        replace(one, actions=left_to_do(one.actions, settings))
        for one in _most([findings(one) for one in curves])
    )
    n_epochs = max(len(one.loss) for one in curves)
    return Diagnosis(found, n_epochs, len(curves), scale, _notes(curves, scale, derived))


def _notes(curves: Sequence[Curves], scale: float | None, derived: float | None) -> tuple[str, ...]:
    missing = any(one.val_loss is None for one in curves)
    no_baseline, classes, noisy = scale is None, derived is not None, missing and curves[0].noisy
    notes = {_NO_VALIDATION: missing, _NOISY: noisy, _NO_BASELINE: no_baseline, _CLASSES: classes}
    return tuple(note for note, holds in notes.items() if holds)


def _most(by_split: Sequence[tuple[Finding, ...]]) -> tuple[Finding, ...]:
    """What is found on more than half of the splits; failing that, the most frequent verdict."""
    counts = Counter(one.ailment for found in by_split for one in found)
    kept = [ailment for ailment in AILMENTS if 2 * counts[ailment] > len(by_split)]
    if not kept:
        verdicts = Counter(found[0].ailment for found in by_split)
        kept = [max((ailment for ailment in AILMENTS), key=lambda ailment: verdicts[ailment])]
    return tuple(_typical(ailment, by_split) for ailment in kept)


def _typical(ailment: str, by_split: Sequence[tuple[Finding, ...]]) -> Finding:
    """The finding on the split in the middle, by severity."""
    own = sorted(
        (one for found in by_split for one in found if one.ailment == ailment), key=lambda one: one.severity
    )
    middle = own[len(own) // 2]
    if len(by_split) == 1:
        return middle
    return replace(middle, text=f"{middle.text} (On {len(own)} of {len(by_split)} splits; a typical one's.)")
