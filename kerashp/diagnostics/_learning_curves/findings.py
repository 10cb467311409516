"""What can be found in learning curves, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from kerashp.diagnostics._foundations.result import Result, Table

Advice = tuple[tuple[str, ...], tuple[str, ...]]

# What a training may have already; `settings.py` says when.
SCALE = "scale the inputs, and the targets of a regression, to mean 0 and standard deviation 1"
CLIP = "clip the gradients (clipnorm=1.0)"
WARM_UP = "warm the learning rate up (LearningRateWarmup)"
REGULARISE = "regularise: early stopping, dropout, L2, fewer or narrower layers"
AVERAGE = "take larger batches, or average the weights (use_ema)"
MOMENTUM = "take an optimizer with momentum, or Adam"
TRAIN_LONGER = "train for more epochs, with early stopping to end it"
WEAKEN = "weaken what regularises the network (L1, L2, dropout)"
CHECK_TARGETS = (
    "check the targets: that they belong to their rows, fit the loss and the output, and are scaled"
)

# Ailment: (what to do, the most promising first; what does not help). In the order in which findings are
# ranked: what is further up has to be mended before what is further down can be judged.
_ADVICE: dict[str, Advice] = {
    "divergence": (
        (
            "lower the learning rate, by a factor of ten at first",
            SCALE,
            CLIP,
            WARM_UP,
            "look for NaN, infinite or absurd values in the data",
        ),
        ("more epochs", "a larger network"),
    ),
    "overfitting": (
        (
            REGULARISE,
            "check that both sets have the same statistical properties (compare_distributions)",
            "train on more rows, or on augmented ones",
        ),
        ("more epochs", "a lower learning rate"),
    ),
    "fluctuation": (
        (
            "lower the learning rate, by a factor of three to ten",
            AVERAGE,
            "give the network more capacity",
            "drop features that add nothing, and rows that are wrong",
        ),
        ("more epochs at the same rate",),
    ),
    "too slow": (
        (
            "raise the learning rate, by a factor of ten at first (find_learning_rate)",
            SCALE,
            MOMENTUM,
        ),
        ("a larger network, before the rate is right", "regularisation"),
    ),
    "still improving": (
        (TRAIN_LONGER, "then look at the curves again"),
        ("a change of anything else, before the curves are flat",),
    ),
    "underfitting": (
        (
            "give the network more depth and width",
            WEAKEN,
            "give it features that say more about the target",
        ),
        ("more epochs", "a higher learning rate"),
    ),
    "healthy": (
        ("keep these settings; a search over the others may still gain a little",),
        ("more epochs",),
    ),
}
AILMENTS = tuple(_ADVICE)
# Of an underfitting network that does no better than a trivial prediction.
NOTHING_LEARNED: Advice = (
    (
        "find the learning rate: one far too low or far too high learns nothing (find_learning_rate)",
        "look whether gradients reach the first layers (check_gradients)",
        "look for dead and saturated units (check_initialization)",
        CHECK_TARGETS,
        WEAKEN,
        "then give it more depth and width, or features that say more about the target",
    ),
    ("more epochs at the same settings", "a larger network, before anything is learned"),
)


@dataclass(frozen=True)
class Finding(Result):
    """One thing that the curves show.

    Attributes
    ----------
    ailment : {"divergence", "overfitting", "fluctuation", "too slow", "still improving", "underfitting", \
"healthy"}
        What it is.
    severity : float
        How many times its threshold the deciding number is, at least 1; 0 for "healthy".
    evidence : dict from str to float
        The numbers that the rule looked at, and its thresholds, named `..._threshold`.
    text : str
        One sentence with the numbers.
    actions : tuple of str
        What to do, the most promising first.
    avoid : tuple of str
        What does not help.
    """

    ailment: str
    severity: float
    evidence: dict[str, float]
    text: str
    actions: tuple[str, ...]
    avoid: tuple[str, ...]

    def measured(self) -> list[tuple[str, str, str]]:
        """The evidence as cells: the name of a number, the number, and its threshold if it has one."""
        numbers = {name: f"{value:.4g}" for name, value in self.evidence.items()}
        return [
            (name.replace("_", " "), number, numbers.get(f"{name}_threshold", ""))
            for name, number in numbers.items()
            if not name.endswith("_threshold")
        ]

    def _parts(self) -> Sequence[str | Table]:
        numbered = [f"  {rank}. {action}" for rank, action in enumerate(self.actions, 1)]
        avoided = f"What does not help: {'; '.join(self.avoid)}"
        return ["\n".join([f"{self.ailment}: {self.text}", *numbered, avoided])]


def finding(
    ailment: str, severity: float, evidence: dict[str, float], text: str, advice: Advice | None = None
) -> Finding:
    """A finding with the advice for its ailment, or with other advice."""
    actions, avoid = advice or _ADVICE[ailment]
    numbers = {name: float(value) for name, value in evidence.items()}
    return Finding(ailment, float(severity), numbers, text, actions, avoid)
