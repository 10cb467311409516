"""After how many epochs the candidates of a batch are compared, and which of them go on."""

from dataclasses import dataclass
from typing import Any

from kerashp.model_selection._optuna.studies import quiet_optuna


@dataclass(frozen=True)
class Bracket:
    """The rungs of successive halving.

    Attributes
    ----------
    epochs : tuple of int
        After how many epochs candidates are compared; the last one is the most epochs of any.
    factor : int
        At each rung, one of so many goes on.
    bootstrap : int
        How many candidates have to reach a rung before any goes on.
    """

    epochs: tuple[int, ...]
    factor: int
    bootstrap: int


class Halving:
    """The rule of asynchronous successive halving (ASHA), for candidates that reach a rung together.

    A candidate goes on if it is among the best 1/factor of all candidates that have reached the rung, in this
    batch or before, or is the best of fewer than `factor`.

    Parameters
    ----------
    brackets : list of Bracket
    """

    def __init__(self, brackets: list[Bracket]):
        self.brackets = brackets
        self._scores: dict[tuple[int, int], list[float]] = {}  # by bracket and epochs

    def add(self, bracket: int, epochs: int, score: float) -> None:
        """Let a candidate have reached a rung."""
        self._scores.setdefault((bracket, epochs), []).append(score)

    def goes_on(self, bracket: int, epochs: int, score: float) -> bool:
        """Whether a candidate goes on from a rung, once all of its batch have been added."""
        settings, scores = self.brackets[bracket], self._scores[bracket, epochs]
        if len(scores) <= settings.bootstrap:
            return False
        n_best = max(1, len(scores) // settings.factor)
        return score >= sorted(scores)[-n_best]


def bounded(pruner: Any, most: int) -> Any:
    """The pruner, with the most epochs of any candidate where a HyperbandPruner would wait to see them."""
    from kerashp._compat.tuners.optuna import bounded_hyperband, optuna

    if not isinstance(pruner, optuna.pruners.HyperbandPruner):
        return pruner
    with quiet_optuna():
        return bounded_hyperband(pruner, most)


def halving_of(study: Any, most: int) -> Halving:
    """The rungs of a study's pruner.

    Raises
    ------
    ValueError
        If no candidate would be compared before it has trained for all epochs.
    """
    from kerashp._compat.tuners.optuna import bracket_settings, halving_settings, optuna

    if isinstance(study.pruner, optuna.pruners.HyperbandPruner):
        settings = bracket_settings(study)
    else:
        settings = [halving_settings(study.pruner)]
    brackets = []
    for bracket in settings:
        first = max(1, most // 100) if bracket.first is None else bracket.first  # as Optuna's "auto"
        epochs, reached = [], first * bracket.factor**bracket.rate
        while reached < most:
            epochs.append(reached)
            reached *= bracket.factor
        brackets.append(Bracket((*epochs, most), bracket.factor, bracket.bootstrap))
    if all(len(bracket.epochs) == 1 for bracket in brackets):
        raise ValueError(
            f"OptunaSearchCV: {type(study.pruner).__name__} first compares candidates after at least {first} "
            f"epochs, but they train for {most} epochs at the most, so that none would be pruned. Pass "
            "a smaller min_resource to the pruner, more epochs to the estimator, or pruner=None"
        )
    return Halving(brackets)


def bracket_of(study: Any, trial: Any) -> int:
    """The bracket of a trial; 0 unless the pruner is Optuna's HyperbandPruner."""
    from kerashp._compat.tuners import optuna as compat

    is_hyperband = isinstance(study.pruner, compat.optuna.pruners.HyperbandPruner)
    return compat.bracket_of(study, trial) if is_hyperband else 0
