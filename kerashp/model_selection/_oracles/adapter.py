"""keras-tuner's oracles, asked for several candidates at a time. keras-tuner is imported when it is used."""

import copy
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from threadpoolctl import threadpool_limits

from kerashp._compat.tuners.keras_tuner_oracles import (
    candidates_of_brackets,
    forget,
    go_on_from,
    has_open_brackets,
    is_grid,
    random_values,
    record_values,
    write_no_files,
)
from kerashp.model_selection._oracles.gaussian_process import FastGaussianProcess
from kerashp.spaces import from_hyperparameters, params_from_hyperparameters, to_hyperparameters
from kerashp.spaces._from_hyperparameters import within_ranges

OBJECTIVE = "mean_test_score"
NAMES = ("bayesian", "grid", "hyperband", "random")
_DEFAULT_TRIALS = 10  # as in keras-tuner
_NEAR = 0.01  # of the range of a hyperparameter


def new_oracle(name: str, space: Any, n_trials: int | None, seed: int, max_epochs: int | None) -> Any:
    """A new oracle of keras-tuner for a space.

    Bayesian optimization starts with 3 random trials for each hyperparameter that is not fixed, as in
    keras-tuner, but with a third of all trials at the most, so that it does more than draw at random.
    """
    from kerashp._compat.tuners.keras_tuner import keras_tuner

    hp = to_hyperparameters(space)
    max_trials = n_trials or _DEFAULT_TRIALS
    n_free = sum(type(hyperparameter).__name__ != "Fixed" for hyperparameter in hp.space)
    common = {
        "objective": keras_tuner.Objective(OBJECTIVE, "max"),
        "hyperparameters": hp,
        "seed": seed,
    }
    oracles = keras_tuner.oracles
    if name == "bayesian":
        n_first = max(2, min(3 * n_free, max_trials // 3))
        return oracles.BayesianOptimizationOracle(max_trials=max_trials, num_initial_points=n_first, **common)
    if name == "hyperband":
        return oracles.HyperbandOracle(max_epochs=max_epochs, **common)
    if name == "grid":
        return oracles.GridSearchOracle(max_trials=n_trials, **common)
    return oracles.RandomSearchOracle(max_trials=max_trials, **common)


def joined_oracle(oracle: Any, space: Any) -> Any:
    """A copy of a user's oracle that searches its hyperparameters and those of a space.

    Raises
    ------
    ValueError
        If it does not maximize one number, if oracle and space have different ranges for a hyperparameter, or
        if there is no hyperparameter.
    TypeError, ValueError
        If a hyperparameter cannot be translated.
    """
    from kerashp.spaces._keras_tuner import SpaceHyperParameters

    objective = oracle.objective
    if type(objective).__name__ == "MultiObjective" or objective.direction != "max":
        raise ValueError(
            "OracleSearchCV reports mean test scores to the oracle, of which greater is better; got an oracle"
            f' with the objective {objective}. Create it with keras_tuner.Objective("{OBJECTIVE}", "max")'
        )
    parts = [oracle.hyperparameters] + ([] if space is None else [to_hyperparameters(space)])
    hp = SpaceHyperParameters.joined(*parts)
    _check_agree(*parts)
    if not hp.space:
        raise ValueError("OracleSearchCV: the oracle has no hyperparameters; pass a space")
    from_hyperparameters(hp)  # raises an error where a hyperparameter cannot be translated
    oracle = copy.deepcopy(oracle)
    oracle.hyperparameters = hp
    return oracle


def _check_agree(*parts: Any) -> None:
    seen: dict[str, Any] = {}
    for hyperparameter in (hyperparameter for part in parts for hyperparameter in part.space):
        conditions = [condition.get_config() for condition in hyperparameter.conditions]
        first = seen.setdefault(f"{hyperparameter.name} {conditions}", hyperparameter)
        if first.get_config() != hyperparameter.get_config():
            raise ValueError(
                f"OracleSearchCV: the oracle has {first}, and space has {hyperparameter}; remove one of them"
            )


def is_bounded(oracle: Any) -> bool:
    """Whether an oracle proposes a limited number of trials."""
    if is_grid(oracle) or oracle.max_trials:
        return True
    return math.isfinite(getattr(oracle, "hyperband_iterations", math.inf))


@dataclass(frozen=True)
class Proposal:
    """A candidate that an oracle proposes.

    Attributes
    ----------
    trial_id : str
        The oracle's name of the trial.
    params : dict
        The estimator's parameters.
    epochs : int or None
        How many epochs to train, where the oracle decides it.
    parent : str or None
        The trial of the same parameters with fewer epochs, from which the training can continue.
    bracket, round : int or None
        Those of Hyperband.
    """

    trial_id: str
    params: dict[str, Any]
    epochs: int | None
    parent: str | None
    bracket: int | None
    round: int | None


class OracleAdapter:
    """Asks an oracle for batches of proposals and reports their scores. It prints nothing and writes no file.

    Bayesian optimization may propose a trial that has been tried, or, where it is certain of its optimum, one
    that is almost equal to another of the same batch, although pending trials count as somewhat worse than
    expected. A random proposal replaces such a trial. A trial that still equals an earlier one is not
    proposed: the oracle gets the earlier score.

    Parameters
    ----------
    oracle : keras_tuner.Oracle
        It is changed, so it must belong to no other search.

    Attributes
    ----------
    stopped : bool
        Whether the oracle has ended.
    n_trials : int
        How many trials it has proposed, repeated ones included.
    max_epochs : int
        Those of Hyperband; 0 for other oracles.
    """

    def __init__(self, oracle: Any):
        self._oracle = oracle
        self._scores: dict[Any, float | None] = {}  # None while a trial has no score
        self._duplicates: list[Any] = []  # trials that wait for the score of an equal one
        self._brackets: dict[str, int] = {}
        self._running: list[dict[str, float]] = []  # the positions of trials without a score
        self.stopped = False
        self.n_trials = 0
        self.max_epochs = getattr(oracle, "max_epochs", 0)
        oracle.verbose = 0
        write_no_files(oracle)
        # error_score decides what a failure does. -1 is never reached.
        oracle.max_consecutive_failed_trials = -1
        if type(getattr(oracle, "gpr", None)) is GaussianProcessRegressor:
            oracle.gpr = FastGaussianProcess(**oracle.gpr.get_params(deep=False))

    @property
    def ran_out(self) -> bool:
        """Whether the oracle found no more different trials before its `max_trials`."""
        at_limit = self._oracle.max_trials and len(self._oracle.trials) >= self._oracle.max_trials
        return self.stopped and not at_limit

    @property
    def was_cut_short(self) -> bool:
        """Whether the oracle is Hyperband and ended before the last round of some bracket."""
        return has_open_brackets(self._oracle)

    @property
    def n_of_all_brackets(self) -> int:
        """How many candidates one iteration of Hyperband has."""
        return candidates_of_brackets(self._oracle)

    def batch(self, size: int) -> list[Proposal]:
        """Up to `size` proposals: fewer where the oracle waits for scores, and none where it has ended."""
        proposals: list[Proposal] = []
        with _quiet_keras_tuner():
            for _ in range(size):
                trial = self._new_trial()
                if trial.status != "RUNNING":
                    break
                self.n_trials += 1
                proposals += self._proposals(trial)
        self.stopped = self.stopped or trial.status == "STOPPED"
        if not proposals and trial.status == "IDLE":
            raise RuntimeError(
                f"{type(self._oracle).__name__} waits for the score of a trial, but none is running. Use an "
                "oracle whose trials have all ended"
            )
        return proposals

    def _proposals(self, trial: Any) -> list[Proposal]:
        """The trial as a list of one proposal; empty where it equals an earlier trial."""
        key = _key(trial)
        if key not in self._scores:
            self._scores[key] = None
            self._running.append(_unit_position(trial))
            return [self._proposal(trial)]
        score = self._scores[key]
        if score is None:
            self._duplicates.append(trial)
        else:
            self._end(trial, score)
        return []

    def report(self, proposals: list[Proposal], scores: list[float]) -> None:
        """Report the score of each proposal; one that is not finite is reported as a failed trial."""
        trials = [self._oracle.get_trial(proposal.trial_id) for proposal in proposals]
        new_scores = {_key(trial): score for trial, score in zip(trials, scores, strict=True)}
        self._scores |= new_scores
        with _quiet_keras_tuner():
            for trial in trials + self._duplicates:
                self._end(trial, new_scores[_key(trial)])
        self._running, self._duplicates = [], []

    def close(self) -> None:
        """Remove the oracle from the registries of keras-tuner, which never release an oracle's lock."""
        forget(self._oracle)

    def _new_trial(self) -> Any:
        # An oracle gives a worker one trial at a time: each running trial is another worker's.
        trial = self._oracle.create_trial(f"kerashp{len(self._oracle.ongoing_trials)}")
        trial.hyperparameters.values = within_ranges(trial.hyperparameters)
        if trial.status == "RUNNING" and is_grid(self._oracle):
            # The grid would wait for the end of the trial, which might have new hyperparameters. None has.
            go_on_from(self._oracle, trial)
        if trial.status == "RUNNING" and hasattr(self._oracle, "gpr") and self._repeats(trial):
            self._replace_randomly(trial)
        return trial

    def _repeats(self, trial: Any) -> bool:
        position = _unit_position(trial)
        return _key(trial) in self._scores or any(_are_near(position, other) for other in self._running)

    def _replace_randomly(self, trial: Any) -> None:
        """Give the trial random values that have not been tried; the oracle ends if there are none."""
        values = random_values(self._oracle)
        if values is None:
            self.stopped = _key(trial) in self._scores
            return
        trial.hyperparameters.values = values
        record_values(self._oracle, trial)

    def _end(self, trial: Any, score: float) -> None:
        if math.isfinite(score):
            self._oracle.update_trial(trial.trial_id, {self._oracle.objective.name: float(score)})
        # Not INVALID, which the oracle may try again, with the same result.
        trial.status = "COMPLETED" if math.isfinite(score) else "FAILED"
        self._oracle.end_trial(trial)

    def _proposal(self, trial: Any) -> Proposal:
        values = trial.hyperparameters.values
        parent = values.get("tuner/trial_id")
        bracket = values.get("tuner/bracket")
        if bracket is not None:
            # A trial that continues another has the bracket that is being filled, not that of the other.
            bracket = self._brackets.get(parent, bracket)
            self._brackets[trial.trial_id] = bracket
        return Proposal(
            trial.trial_id,
            params_from_hyperparameters(trial.hyperparameters),
            values.get("tuner/epochs"),
            parent,
            bracket,
            values.get("tuner/round"),
        )


def _key(trial: Any) -> Any:
    """A key that is equal for trials that would be trained in the same way."""
    values = trial.hyperparameters.values
    ignored = ("tuner/initial_epoch", "tuner/bracket", "tuner/round", "tuner/trial_id")
    return frozenset((name, type(value), value) for name, value in values.items() if name not in ignored)


def _unit_position(trial: Any) -> dict[str, float]:
    """The position of a trial on the scale of each active hyperparameter, from 0 to 1."""
    hp = trial.hyperparameters
    return {
        hyperparameter.name: hyperparameter.value_to_prob(hp.values[hyperparameter.name])
        for hyperparameter in hp.space
        if hp.is_active(hyperparameter)
    }


def _are_near(first: dict[str, float], second: dict[str, float]) -> bool:
    return set(first) == set(second) and all(abs(first[name] - second[name]) < _NEAR for name in first)


@contextmanager
def _quiet_keras_tuner() -> Iterator[None]:
    """Inside, keras-tuner does not warn of deprecated calls and of Gaussian processes that do not converge.

    Its matrices are so small that two threads take five times as long as one.
    """
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
