"""`diagnose`: findings in learning curves, with the evidence and advice."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from kerashp._arguments import Arguments
from kerashp.diagnostics._foundations.result import Result, Table
from kerashp.diagnostics._learning_curves.findings import AILMENTS, Finding
from kerashp.diagnostics._learning_curves.rules import Curves, findings
from kerashp.diagnostics._learning_curves.settings import applicable_actions
from kerashp.diagnostics._learning_curves.sources import (
    baseline_of,
    curves_of,
    derived_baseline,
    draws_noise,
    source_of,
)
from kerashp.estimators._data.losses import least_loss

_CHECK = Arguments("diagnose")
_NO_VALIDATION = (
    "There is no validation loss of enough epochs, so overfitting cannot be detected. Pass validation_data "
    "or validation_split to fit."
)
_NO_BASELINE = (
    "The losses are judged relative to the loss of the first epoch, because the baseline is not known. A "
    "network that learned most in the first epoch may therefore appear to underfit, and one whose first loss "
    "consists mainly of penalties may not. Pass y, the training targets, or baseline, the loss of the best "
    "constant prediction."
)
_NOISY = (
    "Dropout or other noise in training makes the training loss fluctuate, so a learning rate that is too "
    "high cannot be detected without a validation loss of enough epochs."
)
_CLASSES = "The baseline is that of equally frequent classes; pass baseline if their frequencies differ."


@dataclass(frozen=True)
class Diagnosis(Result):
    """The result of `diagnose`.

    Attributes
    ----------
    findings : tuple of Finding
        The findings; the one to be addressed first comes first.
    n_epochs : int
        The number of epochs of the longest curve.
    n_curves : int
        The number of trainings: the splits of a search's best candidate, or 1.
    baseline : float or None
        The unit in which losses are judged; None if that is the loss of the first epoch.
    notes : tuple of str
        What cannot be detected in the curves, and why.

    Examples
    --------
    >>> from kerashp.diagnostics import diagnose
    >>> diagnosis = diagnose({"loss": [0.9 + 0.1 / epoch for epoch in range(1, 21)]}, baseline=1.0)
    >>> diagnosis.verdict, diagnosis.n_epochs, len(diagnosis.notes)
    ('underfitting', 20, 1)
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
        splits = "" if self.n_curves == 1 else f" of {self.n_curves} splits"
        texts = [part for finding in self.findings for part in finding._parts()]
        rows = [(finding.ailment, *cells) for finding in self.findings for cells in finding.evidence_rows()]
        evidence = Table(("finding", "evidence", "value", "threshold"), rows)
        return [
            f"Verdict after {self.n_epochs} epochs{splits}: {self.verdict}",
            *texts,
            *self.notes,
            evidence,
        ]


def diagnose(source: Any, *, y: Any = None, baseline: float | None = None) -> Diagnosis:
    r"""Diagnose a training by its learning curves.

    All levels are medians of windows, divided by a scale $s$, the loss of a trivial prediction. $L$ is the
    final training loss and $V$ the final validation loss. The findings are, in this order:

    - "divergence": a loss is not finite, was above $10^6 s$ unless it began and ended there, or ends above 3
      times its start;
    - "overfitting": $V$ has stopped falling, and $(V - L) / s \ge 0.4$; or $V$ is at least 50% above its
      minimum and $(V - L) / s \ge 0.1$; or $(V - L) / s \ge 0.25$ and $V$ is at least 10% above its minimum
      or, if $s$ is known, $(V - L) / (s - L) \ge 0.5$: half of what was learned does not hold for other rows.
      A rise of $L$ is subtracted from the rise of $V$;
    - "fluctuation": $L$ oscillates from epoch to epoch by at least 0.6% of $s$ and 1.5% of itself. If the
      model is known to draw noise in training, as dropout does, $V$ is considered instead, with 2% of $s$ and
      8% of itself;
    - "too slow": $L$ fell by at least 2% of $s$ over the last quarter of the epochs, or in a smooth and
      nearly straight line; it fell by less than 35% of itself from the first epoch to the second; and a
      quarter of $s$ remains, or 30% of the fall is in the second half;
    - "still improving": $L$ still falls, but is not too slow;
    - "underfitting": a plateau at $L / s \ge 0.45$ (or $V / s$, if lower and the model has dropout). From
      0.95 on nothing was learned, and the advice differs;
    - "healthy": none of these.

    Parameters
    ----------
    source : keras History, dict, estimator or search
        A dict maps "loss", and optionally "val_loss", to a list of one number per epoch. An estimator is a
        fitted one of kerashp, alone, as the last step of pipelines or in a `TransformedTargetRegressor`; pass
        it rather than its `history_`, because only the estimator knows its baseline. For a search of kerashp
        the curves of the best candidate on all splits are used, and the findings are those on more than half
        of the splits; for another search, the curves of its refitted best estimator.
    y : array of shape (n_samples,) or (n_samples, n_outputs), default=None
        For a `History`: the training targets as they were passed to `Model.fit`, to compute the baseline.
        For a network that was trained on standardised targets, these are the standardised ones.
    baseline : float, default=None
        The loss of the best constant prediction, in the units of the curves: `np.var(y)` for squared errors,
        `scipy.stats.entropy(np.bincount(y))` for cross-entropy. `KerasMLPRegressor(normalize_target=True)`
        trains on standardised targets: the baseline for its `history_` is 1 for squared errors, whatever the
        units of `y`. If None, the baseline is the one that the estimator stored in `fit`, or is computed from
        `y`; without these it is log(n_classes) for a known model with cross-entropy; otherwise the loss of
        the first epoch is used in its place, and a note says what that may hide.

    Returns
    -------
    Diagnosis
        The result with `verdict`, `findings` and `notes`; it prints with the evidence as a table.

    Raises
    ------
    TypeError
        If the source is of another type, or a curve contains other values than numbers.
    ValueError
        If there is no loss, or fewer than 8 epochs of a finite loss; if the baseline is not positive, or
        there is none and the first loss is not positive; if a search has no curves; if both `y` and
        `baseline` are passed, or `y` for a source other than a `History` with a model.
    sklearn.exceptions.NotFittedError
        If the estimator or the search is not fitted.

    Notes
    -----
    The actions omit what the source, the model and the pipeline show to be done already: scaled inputs, an
    optimizer with momentum, early stopping and so on.

    The order of findings is that in which they have to be addressed, not that of severity: a plateau cannot
    be judged while the loss fluctuates. The thresholds were chosen on half of the runs of
    `benchmarks/diagnosis.py`, which prints how often the verdict agrees with the ailment on the other half:
    for more than nine in ten runs if the baseline is known, and for about two in three if the loss of the
    first epoch is used in its place, mainly because strong penalties and a learning rate that is too low then
    look like a good fall from a high start.

    Curves cannot distinguish a network that is too small from targets that are noise: both end at a plateau.
    A network that ends below 45% of the baseline is not said to underfit, though another one might end lower.
    Penalties of the weights are part of the losses, as Keras reports them.

    References
    ----------
    A. Géron, Hands-On Machine Learning, ch. 10, 11.
    Google, Testing and Debugging in Machine Learning, "Interpreting Loss Curves".

    Examples
    --------
    >>> import numpy as np
    >>> from kerashp.diagnostics import diagnose
    >>> epochs = np.arange(40)
    >>> curves = {"loss": np.exp(-epochs / 5), "val_loss": np.exp(-epochs / 5) + epochs / 40}
    >>> diagnosis = diagnose(curves, baseline=1.0)
    >>> diagnosis.verdict
    'overfitting'
    >>> finding = diagnosis.findings[0]
    >>> round(finding.evidence["gap"], 2), round(finding.severity, 1)
    (0.94, 3.8)
    >>> print("\n".join(finding.actions))
    regularise: early stopping, dropout, L2, fewer or narrower layers
    check that both sets have the same distribution (compare_distributions)
    train on more rows, or on augmented rows
    """
    if baseline is not None:
        baseline = _CHECK.positive("baseline", baseline)
    training = source_of(source)
    if y is not None:
        if baseline is not None:
            raise ValueError("diagnose: y and baseline exclude each other; pass only one of them")
        baseline = baseline_of(training, y)
    known_baseline = training.baseline if baseline is None else baseline
    derived = derived_baseline(training.model) if known_baseline is None else None
    scale = derived if known_baseline is None else known_baseline
    noisy = draws_noise(training.model)
    least = least_loss(training.model)
    splits = [curves_of(history, scale, noisy, least) for history in training.histories]
    settings = training.settings
    frequent = tuple(
        replace(finding, actions=applicable_actions(finding.actions, settings))
        for finding in _majority([findings(curves) for curves in splits])
    )
    n_epochs = max(len(curves.loss) for curves in splits)
    return Diagnosis(frequent, n_epochs, len(splits), scale, _notes(splits, scale, derived))


def _notes(splits: Sequence[Curves], scale: float | None, derived: float | None) -> tuple[str, ...]:
    no_validation = any(curves.val_loss is None for curves in splits)
    notes = {
        _NO_VALIDATION: no_validation,
        _NOISY: no_validation and splits[0].noisy,
        _NO_BASELINE: scale is None,
        _CLASSES: derived is not None,
    }
    return tuple(note for note, applies in notes.items() if applies)


def _majority(by_split: Sequence[tuple[Finding, ...]]) -> tuple[Finding, ...]:
    """The findings on more than half of the splits; if there are none, the most frequent verdict."""
    counts = Counter(finding.ailment for split in by_split for finding in split)
    ailments = [ailment for ailment in AILMENTS if 2 * counts[ailment] > len(by_split)]
    if not ailments:
        verdicts = Counter(split[0].ailment for split in by_split)
        ailments = [max(AILMENTS, key=lambda ailment: verdicts[ailment])]
    return tuple(_median_finding(ailment, by_split) for ailment in ailments)


def _median_finding(ailment: str, by_split: Sequence[tuple[Finding, ...]]) -> Finding:
    """The finding of the split with the median severity."""
    cases = [finding for split in by_split for finding in split if finding.ailment == ailment]
    median = sorted(cases, key=lambda finding: finding.severity)[len(cases) // 2]
    if len(by_split) == 1:
        return median
    note = f"(Found on {len(cases)} of {len(by_split)} splits; the numbers are those of median severity.)"
    return replace(median, text=f"{median.text} {note}")
