"""Trials of a study: those that run, those that have ended before, and those of a search that continues."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

COMPLETE, PRUNED, FAIL = "COMPLETE", "PRUNED", "FAIL"
PLACE = "kerashp"  # the attribute of a trial that says to which search and batch it belongs


@dataclass(frozen=True)
class Outcome:
    """How a candidate ended.

    Attributes
    ----------
    state : {"COMPLETE", "PRUNED", "FAIL"}
    scores : tuple of float
        Those that the study maximizes; empty unless complete.
    intermediate : dict from int to float
        The score after so many epochs.
    attributes : dict
        User attributes of the trial.
    """

    state: str
    scores: tuple[float, ...] = ()
    intermediate: Mapping[int, float] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Trial(Protocol):
    """A trial that gets an outcome."""

    def report(self, step: int, score: float) -> None:
        """Report the score after so many epochs."""

    def end(self, outcome: Outcome) -> bool:
        """Report an outcome to the study; returns whether the sampler has nothing more to propose."""


class RunningTrial:
    """A trial that a study has just proposed.

    Parameters
    ----------
    study : optuna.Study
    trial : optuna.Trial
    place : dict
        The search and the batch; see `PLACE`.
    """

    def __init__(self, study: Any, trial: Any, place: dict[str, Any]):
        self.is_running = True
        self.number: int = trial.number
        self._study = study
        self._trial = trial
        self._place = place
        self._reported: set[int] = set()
        if place:
            trial.set_user_attr(PLACE, place)

    def report(self, step: int, score: float) -> None:
        self._reported.add(step)
        self._trial.report(score, step)

    def end(self, outcome: Outcome) -> bool:
        for step, score in outcome.intermediate.items():
            if step not in self._reported:  # as for a trial that equals an earlier one
                self.report(step, score)
        for name, value in outcome.attributes.items():
            self._trial.set_user_attr(name, value)
        return self._tell(outcome.state, list(outcome.scores) or None)

    def stop(self) -> None:
        """Let a trial that has not been trained to its end fail, so that the study has none that runs."""
        self._trial.set_user_attr(PLACE, {**self._place, "stopped": True})
        self._tell(FAIL, None)

    def _tell(self, state: str, scores: list[float] | None) -> bool:
        from kerashp._compat.tuners.optuna import optuna

        self.is_running = False
        try:
            self._study.tell(self._trial, scores, optuna.trial.TrialState[state])
        except RuntimeError as error:  # samplers of finite spaces call `Study.stop`, for loops of Optuna only
            if "Study.stop" not in str(error):
                raise
            return True
        return False


class StoppedTrial:
    """A trial of an earlier call, which ended before its candidate: another trial gets the outcome.

    Parameters
    ----------
    study : optuna.Study
    trial : optuna.trial.FrozenTrial
    """

    def __init__(self, study: Any, trial: Any):
        self._study = study
        self._trial = trial

    def report(self, step: int, score: float) -> None:
        """Do nothing: the outcome has all scores."""

    def end(self, outcome: Outcome) -> bool:
        from kerashp._compat.tuners.optuna import optuna

        place = {name: value for name, value in self._trial.user_attrs[PLACE].items() if name != "stopped"}
        state = optuna.trial.TrialState[outcome.state]
        pruned_at = list(outcome.intermediate.values())[-1:] if outcome.state == PRUNED else []
        trial = optuna.trial.create_trial(
            state=state,
            values=[*outcome.scores, *pruned_at] or None,
            params=self._trial.params,
            distributions=self._trial.distributions,
            user_attrs={PLACE: place, **outcome.attributes},
            intermediate_values=dict(outcome.intermediate),
        )
        self._study.add_trial(trial)
        return False


class EndedTrial:
    """A trial that had its outcome before this call."""

    def report(self, step: int, score: float) -> None:
        """Do nothing: the trial has the score."""

    def end(self, outcome: Outcome) -> bool:
        return False


def place_of(trial: Any) -> dict[str, Any]:
    """The search and the batch of a trial; empty for a trial of another program."""
    place = trial.user_attrs.get(PLACE)
    return place if isinstance(place, dict) else {}


def trials_of_batches(study: Any, search: str | None) -> dict[int, dict[int, Any]]:
    """The trials of a search, by batch and position: of those at one position, the latest."""
    trials: dict[int, dict[int, Any]] = {}
    if search is not None:
        for trial in study.get_trials(deepcopy=False):
            place = place_of(trial)
            if place.get("search") == search:
                trials.setdefault(place["batch"], {})[place["position"]] = trial
    return trials


def earlier_trials(study: Any, search: str | None) -> list[Any]:
    """The trials that had ended before the search began; not those that were stopped."""
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state.is_finished()
        and not place_of(trial).get("stopped")
        and (search is None or place_of(trial).get("search") != search)
    ]


def replayed(study: Any, trial: Any) -> Trial:
    """A trial of this search, made by an earlier call."""
    from kerashp._compat.tuners.optuna import optuna

    if not trial.state.is_finished():  # its process was killed
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        return StoppedTrial(study, trial)
    return StoppedTrial(study, trial) if place_of(trial).get("stopped") else EndedTrial()


def score_attributes(results: Mapping[str, Any], candidate: int) -> dict[str, Any]:
    """The user attributes of a candidate of `cv_results_`, by its position."""
    scores: dict[str, list[float]] = {}
    for column in results:
        if found := re.fullmatch(r"split\d+_test_(.+)", column):
            scores.setdefault(found[1], []).append(float(results[column][candidate]))
    n_splits = max(map(len, scores.values()), default=1)
    seconds = sum(float(results[f"mean_{what}_time"][candidate]) for what in ("fit", "score"))
    return user_attributes(candidate, scores, seconds * n_splits)


def user_attributes(candidate: int, scores: Mapping[str, Iterable[Any]], seconds: float) -> dict[str, Any]:
    """The user attributes of a trial: the candidate, its scores of each split by name, and the seconds."""
    by_split = {f"split_test_{name}": [float(score) for score in found] for name, found in scores.items()}
    return {"candidate": candidate, **by_split, "seconds": seconds}
