"""keras-tuner's oracles, asked for several candidates at a time. keras-tuner is imported at use."""

import copy
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.linalg import solve_triangular
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from threadpoolctl import threadpool_limits

from kerashp.spaces import from_hyperparameters, params_from_hyperparameters, to_hyperparameters
from kerashp.spaces._hyperparameters import within_ranges

OBJECTIVE = "mean_test_score"
NAMES = ("bayesian", "grid", "hyperband", "random")
_DEFAULT_TRIALS = 10  # keras-tuner's own
_NEAR = 0.01  # of the range of a hyperparameter


def named(name: str, space: Any, n_trials: int | None, seed: int, max_epochs: int | None) -> Any:
    """A new oracle of keras-tuner's for a space.

    Bayesian optimization starts from 3 random trials for each hyperparameter that is not fixed, as
    keras-tuner's, but not from more than a third of all, lest it never begin.
    """
    from kerashp._compat.keras_tuner import keras_tuner

    hp = to_hyperparameters(space)
    most = n_trials or _DEFAULT_TRIALS
    n_free = sum(type(one).__name__ != "Fixed" for one in hp.space)
    common = {
        "objective": keras_tuner.Objective(OBJECTIVE, "max"),
        "hyperparameters": hp,
        "seed": seed,
    }
    oracles = keras_tuner.oracles
    if name == "bayesian":
        n_first = max(2, min(3 * n_free, most // 3))
        return oracles.BayesianOptimizationOracle(max_trials=most, num_initial_points=n_first, **common)
    if name == "hyperband":
        return oracles.HyperbandOracle(max_epochs=max_epochs, **common)
    if name == "grid":
        return oracles.GridSearchOracle(max_trials=n_trials, **common)
    return oracles.RandomSearchOracle(max_trials=most, **common)


def joined(oracle: Any, space: Any) -> Any:
    """A copy of somebody's oracle that searches its own hyperparameters and those of a space.

    Raises
    ------
    ValueError
        If it does not maximize one number, the two have a parameter with two ranges, or there is none.
    TypeError, ValueError
        If one of them cannot be translated.
    """
    from kerashp.spaces._keras_tuner import SpaceHyperParameters

    objective = oracle.objective
    if type(objective).__name__ == "MultiObjective" or objective.direction != "max":
        raise ValueError(
            "OracleSearchCV tells an oracle mean test scores, of which greater is better; got one with the"
            f' objective {objective}. Make it with keras_tuner.Objective("{OBJECTIVE}", "max")'
        )
    parts = [oracle.hyperparameters] + ([] if space is None else [to_hyperparameters(space)])
    hp = SpaceHyperParameters.joined(*parts)
    _check_agree(*parts)
    if not hp.space:
        raise ValueError("OracleSearchCV: the oracle has no hyperparameters; give a space")
    from_hyperparameters(hp)  # raises where something has no counterpart
    own = copy.deepcopy(oracle)
    own.hyperparameters = hp
    return own


def _check_agree(*parts: Any) -> None:
    known: dict[str, Any] = {}
    for one in (one for part in parts for one in part.space):
        key = f"{one.name} {[condition.get_config() for condition in one.conditions]}"
        if known.setdefault(key, one).get_config() != one.get_config():
            raise ValueError(
                f"OracleSearchCV: the oracle has {known[key]}, space has {one}; leave it out of one of them"
            )


def _is_grid(oracle: Any) -> bool:
    return hasattr(oracle, "_populate_next")


def ends(oracle: Any) -> bool:
    """Whether an oracle ends by itself."""
    if _is_grid(oracle) or oracle.max_trials:
        return True
    return math.isfinite(getattr(oracle, "hyperband_iterations", math.inf))


@dataclass(frozen=True)
class Proposal:
    """What to try.

    Attributes
    ----------
    trial_id : str
        The oracle's name for it.
    params : dict
        The estimator's parameters.
    epochs : int or None
        For how long to train, where the oracle says so.
    parent : str or None
        The trial of the same parameters that was trained for less, and so could be gone on from.
    bracket, round : int or None
        Hyperband's.
    """

    trial_id: str
    params: dict[str, Any]
    epochs: int | None
    parent: str | None
    bracket: int | None
    round: int | None


class Proposer:
    """Asks an oracle, and tells it. Nothing is printed, and no file is written.

    Bayesian optimization may propose what has been tried, or, where it is sure of its best, what is almost
    that of a trial in the same batch, though it counts those as somewhat worse than expected. A random
    proposal takes the place of such a one. What is equal to a trial before all the same is not given out: the
    oracle is told the score that is known.

    Parameters
    ----------
    oracle : keras_tuner.Oracle
        Changed; must be of nobody else's.
    """

    def __init__(self, oracle: Any):
        self._oracle = oracle
        self._scores: dict[Any, float | None] = {}  # None: not known yet
        self._twins: list[Any] = []  # trials that wait for the score of an equal one
        self._brackets: dict[str, int] = {}
        self._running: list[dict[str, float]] = []  # where they are
        self.stopped = False
        self.n_asked = 0
        self.max_epochs = getattr(oracle, "max_epochs", 0)  # of Hyperband
        oracle.verbose = 0
        oracle.save = oracle._save_trial = _nothing
        # error_score decides what failures do. -1 is never reached.
        oracle.max_consecutive_failed_trials = -1
        if type(getattr(oracle, "gpr", None)) is GaussianProcessRegressor:
            oracle.gpr = Quick(**oracle.gpr.get_params(deep=False))

    @property
    def ran_out(self) -> bool:
        """Whether the oracle has ended for want of different trials, before its `max_trials`."""
        at_limit = self._oracle.max_trials and len(self._oracle.trials) >= self._oracle.max_trials
        return self.stopped and not at_limit

    @property
    def cut_short(self) -> bool:
        """Whether the oracle is Hyperband, and candidates of some bracket did not go on to its last round."""
        if not hasattr(self._oracle, "_brackets"):
            return False
        self._oracle._remove_completed_brackets()
        return bool(self._oracle._brackets)

    @property
    def n_of_all_brackets(self) -> int:
        """How many candidates an iteration of Hyperband has."""
        numbers = range(self._oracle._get_num_brackets())
        return sum(self._oracle._get_size(number, own) for number in numbers for own in range(number + 1))

    def batch(self, size: int) -> list[Proposal]:
        """Up to so many proposals; fewer where it waits for their scores first. None where it has ended."""
        proposals: list[Proposal] = []
        with _quiet():
            for _ in range(size):
                trial = self._asked()
                if trial.status != "RUNNING":
                    break
                self.n_asked += 1
                proposals += self._given_out(trial)
        self.stopped = self.stopped or trial.status == "STOPPED"
        if not proposals and trial.status == "IDLE":
            raise RuntimeError(
                f"{type(self._oracle).__name__} waits for a trial, but none is running; use an oracle that"
                " no other search has left in the middle"
            )
        return proposals

    def _given_out(self, trial: Any) -> list[Proposal]:
        """The trial as a proposal; none where it equals another."""
        key = _key(trial)
        if key not in self._scores:
            self._scores[key] = None
            self._running.append(_place(trial))
            return [self._proposal(trial)]
        score = self._scores[key]
        if score is None:
            self._twins.append(trial)
        else:
            self._end(trial, score)
        return []

    def tell(self, proposals: list[Proposal], scores: list[float]) -> None:
        """Tell the oracle the score of each; one that is not finite is that of a failure."""
        trials = [self._oracle.get_trial(proposal.trial_id) for proposal in proposals]
        known = {_key(trial): score for trial, score in zip(trials, scores, strict=True)}
        self._scores |= known
        with _quiet():
            for trial in trials + self._twins:
                self._end(trial, known[_key(trial)])
        self._running, self._twins = [], []

    def close(self) -> None:
        """Let keras-tuner forget the oracle: it keeps a lock for each, for ever."""
        from keras_tuner.src.engine import oracle as module

        for kept in (module.LOCKS, module.THREADS):
            kept.pop(self._oracle, None)

    def _asked(self) -> Any:
        # Each running trial is another worker's.
        trial = self._oracle.create_trial(f"kerashp{len(self._oracle.ongoing_trials)}")
        trial.hyperparameters.values = within_ranges(trial.hyperparameters)
        if trial.status == "RUNNING" and _is_grid(self._oracle):
            # The grid would wait for the trial to end, in case it has new hyperparameters. None has.
            self._oracle._populate_next.append(trial.trial_id)
        if trial.status == "RUNNING" and hasattr(self._oracle, "gpr") and self._repeats(trial):
            self._move(trial)
        return trial

    def _repeats(self, trial: Any) -> bool:
        place = _place(trial)
        return _key(trial) in self._scores or any(_are_near(place, other) for other in self._running)

    def _move(self, trial: Any) -> None:
        """To a random place, if there is one that has not been tried; else the search ends."""
        values = self._oracle._random_values()
        if values is None:
            self.stopped = _key(trial) in self._scores
            return
        trial.hyperparameters.values = values
        self._oracle._record_values(trial)

    def _end(self, trial: Any, score: float) -> None:
        if math.isfinite(score):
            self._oracle.update_trial(trial.trial_id, {self._oracle.objective.name: float(score)})
        # Not INVALID, which the oracle may try again, to the same end.
        trial.status = "COMPLETED" if math.isfinite(score) else "FAILED"
        self._oracle.end_trial(trial)

    def _proposal(self, trial: Any) -> Proposal:
        values = trial.hyperparameters.values
        parent = values.get("tuner/trial_id")
        bracket = values.get("tuner/bracket")
        if bracket is not None:
            # The oracle tells a trial that goes on the bracket that is being filled, not its own.
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
    """Equal for trials that would be trained alike."""
    values = trial.hyperparameters.values
    told = ("tuner/initial_epoch", "tuner/bracket", "tuner/round", "tuner/trial_id")
    return frozenset((name, type(value), value) for name, value in values.items() if name not in told)


def _place(trial: Any) -> dict[str, float]:
    """Where a trial is on each hyperparameter's own scale, from 0 to 1."""
    hp = trial.hyperparameters
    return {one.name: one.value_to_prob(hp.values[one.name]) for one in hp.space if hp.is_active(one)}


def _are_near(one: dict[str, float], other: dict[str, float]) -> bool:
    return set(one) == set(other) and all(abs(one[name] - other[name]) < _NEAR for name in one)


class Quick(GaussianProcessRegressor):
    """scikit-learn's, to the same numbers, but quick for one row, which keras-tuner asks for by thousands."""

    def fit(self, X: Any, y: Any) -> Self:
        super().fit(X, y)
        self._inverse = solve_triangular(self.L_, np.eye(len(self.L_)), lower=True)
        return self

    def predict(self, X: Any, return_std: bool = False, return_cov: bool = False) -> Any:
        if not return_std or return_cov or not hasattr(self, "_inverse"):
            return super().predict(X, return_std=return_std, return_cov=return_cov)
        near = self.kernel_(X, self.X_train_)
        mean = self._y_train_mean + self._y_train_std * (near @ self.alpha_)
        variance = self.kernel_.diag(X) - ((near @ self._inverse.T) ** 2).sum(axis=1)
        return mean, self._y_train_std * np.sqrt(np.maximum(variance, 0))


def _nothing(*_: Any) -> None:
    """In place of writing a file."""


@contextmanager
def _quiet() -> Iterator[None]:
    """keras-tuner calls what Python has renamed, and fits processes whose convergence nobody can mend.

    Its matrices are so small that a second thread only gets in the way: two take five times as long.
    """
    with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
