"""The findings in learning curves, and the advice for each."""

from collections.abc import Sequence
from dataclasses import dataclass

from kerashp.diagnostics._foundations.result import Result, Table

Advice = tuple[tuple[str, ...], tuple[str, ...]]

# Advice that does not apply to every training; `settings.py` decides when it does.
SCALE = "scale the inputs, and the targets of a regression, to mean 0 and standard deviation 1"
CLIP = "clip the gradients (clipnorm=1.0)"
WARM_UP = "warm the learning rate up (LearningRateWarmup)"
REGULARISE = "regularise: early stopping, dropout, L2, fewer or narrower layers"
AVERAGE = "use larger batches, or average the weights (use_ema)"
MOMENTUM = "use an optimizer with momentum, or Adam"
TRAIN_LONGER = "train for more epochs, with early stopping"
WEAKEN = "reduce regularisation (L1, L2, dropout)"
CHECK_TARGETS = "check that the targets match their rows, suit the loss and the output, and are scaled"

# For each ailment: (actions, the most promising first; what does not help). The order is that of findings:
# the ailments further up have to be cured before those further down can be judged.
_ADVICE: dict[str, Advice] = {
    "divergence": (
        (
            "lower the learning rate, by a factor of ten at first",
            SCALE,
            CLIP,
            WARM_UP,
            "look for NaN, infinite or implausible values in the data",
        ),
        ("more epochs", "a larger network"),
    ),
    "overfitting": (
        (
            REGULARISE,
            "check that both sets have the same distribution (compare_distributions)",
            "train on more rows, or on augmented rows",
        ),
        ("more epochs", "a lower learning rate"),
    ),
    "fluctuation": (
        (
            "lower the learning rate, by a factor of three to ten",
            AVERAGE,
            "increase the capacity of the network",
            "drop uninformative features and faulty rows",
        ),
        ("more epochs at the same rate",),
    ),
    "too slow": (
        (
            "raise the learning rate, by a factor of ten at first (find_learning_rate)",
            SCALE,
            MOMENTUM,
        ),
        ("a larger network, until the learning rate is right", "regularisation"),
    ),
    "still improving": (
        (TRAIN_LONGER, "then diagnose again"),
        ("any other change, until the curves are flat",),
    ),
    "underfitting": (
        (
            "increase the depth and the width of the network",
            WEAKEN,
            "add features that are more informative about the target",
        ),
        ("more epochs", "a higher learning rate"),
    ),
    "healthy": (
        ("keep these settings; a search over the others may still gain a little",),
        ("more epochs",),
    ),
}
AILMENTS = tuple(_ADVICE)
# For an underfitting network that is no better than a trivial prediction.
NOTHING_LEARNED: Advice = (
    (
        "search the learning rate: far too low or far too high, nothing is learned (find_learning_rate)",
        "check whether gradients reach the first layers (check_gradients)",
        "check for dead and saturated units (check_initialization)",
        CHECK_TARGETS,
        WEAKEN,
        "then increase depth and width, or add more informative features",
    ),
    ("more epochs at the same settings", "a larger network, until something is learned"),
)


@dataclass(frozen=True)
class Finding(Result):
    """A finding in learning curves.

    Attributes
    ----------
    ailment : {"divergence", "overfitting", "fluctuation", "too slow", "still improving", "underfitting", \
"healthy"}
        The kind of the finding.
    severity : float
        The ratio of the decisive number to its threshold, at least 1; 0 for "healthy".
    evidence : dict of str to float
        The numbers that the rule uses, and its thresholds under the names `..._threshold`.
    text : str
        A description with the numbers.
    actions : tuple of str
        Advice, the most promising action first.
    avoid : tuple of str
        Measures that do not help.

    Examples
    --------
    >>> from kerashp.diagnostics import diagnose
    >>> finding = diagnose({"loss": [0.9] * 20}, baseline=1.0).findings[0]
    >>> finding.ailment, finding.evidence_rows()[0][0]
    ('underfitting', 'training loss')
    """

    ailment: str
    severity: float
    evidence: dict[str, float]
    text: str
    actions: tuple[str, ...]
    avoid: tuple[str, ...]

    def evidence_rows(self) -> list[tuple[str, str, str]]:
        """The evidence as rows of a table.

        Returns
        -------
        list of tuple
            The name of a number, the number, and its threshold or "", each as text.
        """
        numbers = {name: f"{value:.4g}" for name, value in self.evidence.items()}
        return [
            (name.replace("_", " "), number, numbers.get(f"{name}_threshold", ""))
            for name, number in numbers.items()
            if not name.endswith("_threshold")
        ]

    def _parts(self) -> Sequence[str | Table]:
        numbered = [f"  {rank}. {action}" for rank, action in enumerate(self.actions, 1)]
        useless = f"What does not help: {'; '.join(self.avoid)}"
        return ["\n".join([f"{self.ailment}: {self.text}", *numbered, useless])]


def make_finding(
    ailment: str, severity: float, evidence: dict[str, float], text: str, advice: Advice | None = None
) -> Finding:
    """Make a finding, with the advice for its ailment unless other advice is passed."""
    actions, avoid = advice or _ADVICE[ailment]
    numbers = {name: float(value) for name, value in evidence.items()}
    return Finding(ailment, float(severity), numbers, text, actions, avoid)
