"""An Optuna study, asked for batches of candidates."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerashp.model_selection._optuna.halving import Halving, bracket_of
from kerashp.model_selection._optuna.studies import quiet_optuna
from kerashp.model_selection._optuna.trials import (
    COMPLETE,
    FAIL,
    PRUNED,
    Outcome,
    RunningTrial,
    Trial,
    earlier_trials,
    replayed,
    trials_of_batches,
)
from kerashp.spaces._optuna_space import OptunaSpace

_Key = frozenset[tuple[str, type, Any]]


@dataclass
class Proposal:
    """A candidate that a study proposes.

    Attributes
    ----------
    params : dict
        The estimator's parameters.
    epochs : tuple of (int or None)
        How many epochs it trains in each round; None: as the estimator says.
    bracket : int
    key : frozenset
        Equal for trials of equal parameters.
    trials : list of Trial
        That of the proposal, and those that equal it; none for the best trial of an earlier search.
    position : int
        That of its last round in `cv_results_`; -1 before the first.
    intermediate : dict from int to float
        The score after so many epochs.
    """

    params: dict[str, Any]
    epochs: tuple[int | None, ...]
    bracket: int
    key: _Key
    trials: list[Trial]
    position: int = -1
    intermediate: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CandidateScores:
    """The scores of a candidate: those that the study maximizes, and what its trial notes of the others."""

    objectives: tuple[float, ...]
    attributes: Mapping[str, Any]


class StudyAdapter:
    """Asks a study for batches of candidates, and reports their scores.

    Parameters
    ----------
    study : optuna.Study
    space : OptunaSpace
    halving : Halving or None
        None: all candidates train for all epochs.
    search : str or None, default=None
        What identifies the search where it continues from a journal, with the candidates of its trials.
    sampler_of : callable, default=None
        Makes a sampler for a batch; None: the study keeps its sampler.
    decisive : int, default=0
        Which objective says which trial of an earlier search is the best.

    Attributes
    ----------
    stopped : bool
        Whether the sampler has nothing more to propose.
    n_trials : int
        How many trials the study has, without those that were stopped.
    """

    def __init__(
        self,
        study: Any,
        space: OptunaSpace,
        halving: Halving | None,
        search: str | None = None,
        sampler_of: Callable[[int], Any] | None = None,
        decisive: int = 0,
    ):
        self._study = study
        self._space = space
        self._halving = halving
        self._search = search
        self._sampler_of = sampler_of
        self._recorded = trials_of_batches(study, search)
        self._running: list[RunningTrial] = []
        self._outcomes: dict[_Key, Outcome] = {}
        self._pending: dict[_Key, Proposal] = {}
        self._n_batches = 0
        earlier = earlier_trials(study, search)
        self.stopped = False
        self.n_trials = len(earlier)
        self._best = self._best_of(earlier, decisive)
        if halving is not None:
            self._add_scores(halving, earlier)

    def batch(self, size: int) -> list[Proposal]:
        """Up to `size` proposals, less those that equal earlier ones.

        The first batch begins with the best trial that the study had before, which has to be trained again.
        """
        if self._sampler_of is not None:
            self._study.sampler = self._sampler_of(self._n_batches)
        if self._n_batches == 0 and self._best is not None:
            self._pending[self._best.key] = self._best
        with quiet_optuna():
            for position in range(size):
                self._propose(position)
        self.n_trials += size
        self._n_batches += 1
        return list(self._pending.values())

    def report(
        self, proposals: Sequence[Proposal], number: int, scores: Sequence[CandidateScores]
    ) -> list[Proposal]:
        """Report the scores of a round; returns the proposals that go on with the next one."""
        for proposal, found in zip(proposals, scores, strict=True):
            self._note(proposal, proposal.epochs[number], found)
        with quiet_optuna():
            return [
                proposal
                for proposal, found in zip(proposals, scores, strict=True)
                if not self._has_ended(proposal, number, found)
            ]

    def close(self) -> None:
        """Leave no trial running in the study."""
        with quiet_optuna():
            for trial in self._running:
                if trial.is_running:
                    trial.stop()

    def _propose(self, position: int) -> None:
        trial, source, params = self._next_trial(position)
        key = _key(source)
        if key in self._outcomes:
            self._end(trial, self._outcomes[key])
        elif key in self._pending:
            self._pending[key].trials.append(trial)
        else:
            self._pending[key] = self._proposal(source, params, [trial])

    def _next_trial(self, position: int) -> tuple[Trial, Any, dict[str, Any]]:
        """A new trial, or one that this search has made in an earlier call; and its parameters."""
        recorded = self._recorded.get(self._n_batches, {}).get(position)
        params = None if recorded is None else self._space.params(recorded.params)
        if params is not None:
            return replayed(self._study, recorded), recorded, params
        asked = self._study.ask()
        place = {"search": self._search, "batch": self._n_batches, "position": position}
        trial = RunningTrial(self._study, asked, place if self._search is not None else {})
        self._running.append(trial)
        params = self._space.suggested(asked)
        return trial, asked, params

    def _proposal(self, source: Any, params: dict[str, Any], trials: list[Trial]) -> Proposal:
        if self._halving is None:
            return Proposal(params, (None,), 0, _key(source), trials)
        bracket = bracket_of(self._study, source)
        epochs = self._halving.brackets[bracket].epochs
        return Proposal(params, epochs if trials else epochs[-1:], bracket, _key(source), trials)

    def _note(self, proposal: Proposal, epochs: int | None, found: CandidateScores) -> None:
        """Note the score at a rung, before any of the batch is compared with it."""
        if self._halving is not None and epochs is not None and np.isfinite(found.objectives[0]):
            proposal.intermediate[epochs] = found.objectives[0]
            self._halving.add(proposal.bracket, epochs, found.objectives[0])
            for trial in proposal.trials:
                trial.report(epochs, found.objectives[0])

    def _has_ended(self, proposal: Proposal, number: int, found: CandidateScores) -> bool:
        """Report an outcome if there is one."""
        if not np.isfinite(found.objectives).all():
            state = FAIL
        elif number == len(proposal.epochs) - 1:
            state = COMPLETE
        elif self._goes_on(proposal, number, found):
            return False
        else:
            state = PRUNED
        scores = found.objectives if state == COMPLETE else ()
        outcome = Outcome(state, scores, proposal.intermediate, found.attributes)
        self._outcomes[proposal.key] = outcome
        del self._pending[proposal.key]
        for trial in proposal.trials:
            self._end(trial, outcome)
        return True

    def _goes_on(self, proposal: Proposal, number: int, found: CandidateScores) -> bool:
        epochs = proposal.epochs[number]
        assert self._halving is not None
        assert epochs is not None
        return self._halving.goes_on(proposal.bracket, epochs, found.objectives[0])

    def _end(self, trial: Trial, outcome: Outcome) -> None:
        self.stopped |= trial.end(outcome)

    def _best_of(self, trials: Sequence[Any], decisive: int) -> Proposal | None:
        """The best of the trials that have been trained to their end, and are of this space."""
        held = [trial for trial in trials if trial.state.name == COMPLETE]
        for trial in sorted(held, key=lambda trial: -trial.values[decisive]):
            params = self._space.params(trial.params)
            if params is not None:
                return self._proposal(trial, params, [])
        return None

    def _add_scores(self, halving: Halving, trials: Sequence[Any]) -> None:
        """Let earlier trials compete with those of this search."""
        for trial in trials:
            bracket = bracket_of(self._study, trial)
            for epochs in halving.brackets[bracket].epochs[:-1]:
                score = trial.intermediate_values.get(epochs, math.nan)
                if math.isfinite(score):
                    halving.add(bracket, epochs, score)


def _key(trial: Any) -> _Key:
    """A key that is equal for trials of equal parameters."""
    return frozenset((name, type(value), value) for name, value in trial.params.items())
