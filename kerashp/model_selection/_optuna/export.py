"""A search that has ended as an Optuna study."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from kerashp.model_selection._logging.protocol import CandidateResult
from kerashp.model_selection._logging.reporter import SearchLog
from kerashp.model_selection._optuna.studies import opened_storage, quiet_optuna
from kerashp.model_selection._optuna.trials import COMPLETE, FAIL, PRUNED, user_attributes
from kerashp.model_selection._planning.fingerprint import fingerprint
from kerashp.spaces._optuna_space import OptunaParameter, parameters_of_candidates
from kerashp.spaces._search_space import search_space


@dataclass(frozen=True)
class _Line:
    """Candidates of the same parameters, of which each continues the one before with more of a resource.

    Attributes
    ----------
    params : dict
        Without the resource.
    candidates : list of CandidateResult
    is_complete : bool
        Whether the last one has the most of the resource.
    """

    params: dict[str, Any]
    candidates: list[CandidateResult]
    is_complete: bool

    @property
    def last(self) -> CandidateResult:
        return self.candidates[-1]


@dataclass(frozen=True)
class _Curve:
    """Which learning curve is that of a trial, and its sign: greater is better in a study."""

    name: str
    sign: int

    def __str__(self) -> str:
        return self.name if self.sign > 0 else f"-{self.name}"

    def values(self, candidate: CandidateResult) -> dict[int, float]:
        """The mean curve over the splits, by the number of epochs."""
        curve = candidate.mean_history().get(self.name, [])
        return {epoch: self.sign * value for epoch, value in enumerate(curve, 1)}


def study_of(search: Any, log: SearchLog, storage: Any, study_name: str | None) -> Any:
    """The candidates of a search as the trials of a new study."""
    from kerashp._compat.tuners.optuna import optuna

    candidates = [log.candidates[index] for index in sorted(log.candidates)]
    lines = _lines(search, candidates)
    names = _objectives(search, candidates)
    curve = _curve(search, names, candidates)
    parameters = parameters_of_candidates(_space(log.search.space), [line.params for line in lines])
    with quiet_optuna():
        study = optuna.create_study(
            storage=opened_storage(f"{type(search).__name__}.to_study", storage),
            study_name=study_name,
            directions=["maximize"] * len(names),
        )
        study.set_metric_names([_score_name(search, name) for name in names])
        study.set_user_attr("search", log.search.name)
        study.set_user_attr("search_id", log.search.id)
        if curve is not None:
            study.set_user_attr("intermediate_values", str(curve))
        study.add_trials([_trial(line, names, curve, parameters) for line in lines])
    return study


def _lines(search: Any, candidates: Sequence[CandidateResult]) -> list[_Line]:
    """The candidates by their parameters, where the search gives good candidates more of a resource."""
    resources = list(getattr(search, "cv_results_", {}).get("n_resources", ()))
    if not resources:
        return [_Line(candidate.params, [candidate], True) for candidate in candidates]
    name, most = getattr(search, "resource", "epochs"), max(resources)
    resources += [0] * (len(candidates) - len(resources))  # of a search that an error ended
    lines: dict[str, _Line] = {}
    for candidate, resource in zip(candidates, resources, strict=False):
        params = {key: value for key, value in candidate.params.items() if name not in (key, _last_part(key))}
        earlier = lines.pop(key := fingerprint(params), None)
        before = [] if earlier is None else earlier.candidates
        lines[key] = _Line(params, [*before, candidate], resource >= most)
    return sorted(lines.values(), key=lambda line: line.candidates[0].index)


def _last_part(name: str) -> str:
    return name.rpartition("__")[2]


def _objectives(search: Any, candidates: Sequence[CandidateResult]) -> list[str]:
    """The names of the scores that the study has: the one that `refit` names, or all."""
    names = list(dict.fromkeys(name for candidate in candidates for name in candidate.test_scores))
    return [search.refit] if isinstance(search.refit, str) and search.refit in names else names


def _score_name(search: Any, name: str) -> str:
    """The name of a score that `cv_results_` calls "score", if it has one."""
    if name != "score" or callable(search.scoring):
        return name
    if isinstance(search.scoring, str):
        return search.scoring
    return "accuracy" if is_classifier(search.estimator) else "r2"


def _curve(search: Any, names: Sequence[str], candidates: Sequence[CandidateResult]) -> _Curve | None:
    """The validation curve of the score that all candidates have, or else that of the loss."""
    histories = [candidate.mean_history().keys() for candidate in candidates]
    common = set.intersection(*map(set, filter(None, histories))) if any(histories) else set()
    if len(names) > 1 or not common:
        return None
    score = _score_name(search, names[0])
    curves = [
        _Curve(f"val_{score.removeprefix('neg_')}", -1 if score.startswith("neg_") else 1),
        _Curve("val_loss", -1),
        _Curve("loss", -1),
    ]
    return next((curve for curve in curves if curve.name in common), None)


def _space(space: Any) -> Any:
    try:
        return search_space(space)
    except ValueError:  # keras-tuner has hyperparameters for which there is no distribution
        return {}


def _trial(
    line: _Line, names: Sequence[str], curve: _Curve | None, parameters: Sequence[OptunaParameter]
) -> Any:
    from kerashp._compat.tuners.optuna import optuna

    means = line.last.mean_test_scores()
    scores = [means.get(name, np.nan) for name in names]
    intermediate = {} if curve is None else curve.values(line.last)
    if not np.isfinite(scores).all():
        state, scores = FAIL, []
    else:
        state = COMPLETE if line.is_complete else PRUNED
    seconds = sum(candidate.seconds for candidate in line.candidates)
    attributes = user_attributes(line.last.index, line.last.test_scores, seconds)
    used = [parameter for parameter in parameters if parameter.parameter in line.params]
    trial = optuna.trial.create_trial(
        state=optuna.trial.TrialState[state],
        values=scores or None,
        params={parameter.name: parameter.held(line.params[parameter.parameter]) for parameter in used},
        distributions={parameter.name: parameter.distribution for parameter in used},
        user_attrs=attributes if line.last.error is None else {**attributes, "error": line.last.error},
        intermediate_values=intermediate,
    )
    trial.datetime_complete = datetime.now()
    trial.datetime_start = trial.datetime_complete - timedelta(seconds=seconds)
    return trial
