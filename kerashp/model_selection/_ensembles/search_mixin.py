"""Ensembles of the candidates that a search has tried."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.utils import indexable
from sklearn.utils.validation import check_is_fitted

from kerashp._arguments import Arguments, short_repr
from kerashp._compat.sklearn import (
    BaseSearchCV,
    MultimetricScorer,
    indexed,
    params_of_rows,
    row_count,
    scorers_by_name,
)
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._data.rows import checked_labels
from kerashp.estimators._data.targets import ClassEncoder
from kerashp.estimators._mixins import ProbabilisticClassifierMixin
from kerashp.estimators._nesting import innermost
from kerashp.estimators._training.handover import scheduling_for
from kerashp.model_selection._ensembles.estimators import (
    BaseKerasEnsemble,
    KerasEnsembleClassifier,
    KerasEnsembleRegressor,
)
from kerashp.model_selection._ensembles.greedy import Selection, greedy_selection
from kerashp.model_selection._fits.curves import mean_best_epochs
from kerashp.model_selection._fits.heldout_predictions import OutOfFold, SplitPredictions, out_of_fold
from kerashp.model_selection._planning.plan import Group

_CHECK = Arguments("ensemble")
_REMEDY = "Pass scoring, such as 'neg_log_loss' or 'neg_mean_squared_error'"


@dataclass(frozen=True)
class EnsembleInputs:
    """What a search that has been fitted keeps for its ensembles.

    Attributes
    ----------
    X, y : array-like
        The data of `fit`.
    routed_params : Bunch
        The parameters of `fit`, as they were routed to estimator, splitter and scorer.
    predictions : dict from int to list of (rows, predictions)
        For held-out rows, by candidate.
    estimators : dict from int to list of estimator
        Those that were fitted on the splits, by candidate.
    horizon : int or None
        The epochs over which schedules were stretched, where a search allocated the epochs.
    programs : list of Group
        Those that trained in this process, whose compiled programs can be used again.
    """

    X: Any
    y: Any
    routed_params: Any
    predictions: dict[int, SplitPredictions]
    estimators: dict[int, list[Any]]
    horizon: int | None
    programs: list[Group]


class EnsemblingMixin(BaseSearchCV):
    """A search that makes ensembles of its candidates."""

    _not_pickled: ClassVar[tuple[str, ...]] = ("_ensemble_inputs",)

    _ensemble_inputs: EnsembleInputs

    def ensemble(self, n_members: int = 10, *, scoring: Any = None, refit: bool = True) -> BaseKerasEnsemble:
        """Average the candidates that together predict held-out rows best.

        The best candidate is picked first, then repeatedly the one that improves the mean of all picks most,
        on the rows that the splits held out, up to the best mean. This trains nothing. Then every picked
        candidate is trained on all rows, as `refit` trains the best, or the networks that were trained on the
        splits are taken; its number of picks is its weight.

        Parameters
        ----------
        n_members : int, default=10
            The largest number of picks. A candidate may be picked several times.
        scoring : str or callable, default=None
            The score to pick by: the name of a score of the search, or what `sklearn.metrics.check_scoring`
            takes. The score by which the search refits if None. It must depend on predictions only.
        refit : bool, default=True
            Whether each picked candidate is trained again, on all rows. False takes the networks of the
            splits as members, which trains nothing: for n splits, n networks a candidate, each of which has
            seen all rows but those that its split held out. They are often as good or better (their rows
            differ, as in bagging), and predict n times as slowly.

        Returns
        -------
        KerasEnsembleClassifier or KerasEnsembleRegressor
            Fitted, with `selection_scores_`: the scores of the mean after each pick.

        Raises
        ------
        TypeError
            If an argument is of the wrong type.
        ValueError
            If there are no predictions to pick from, since the estimator is not one of kerashp, or the search
            was copied or pickled; or if the scorer needs more than predictions. With `refit=False`, if the
            networks of the splits are not here, or have seen different classes.

        Warns
        -----
        UserWarning
            With `refit=False`, if candidates are left out, since the networks of their splits are not here.

        Notes
        -----
        The search keeps the predictions of its 50 best candidates, at most 256 MiB, the networks of their
        splits, at most 256 MiB, and a reference to the data that it was fitted to, which must not have been
        changed since. None of it is pickled. Networks that other processes have trained, for `n_jobs` or a
        cluster, stay there; those of fits that a journal holds are not in it.

        The score is computed for all held-out rows at once, with the sample weights that the search's scorer
        gets. The predictions for a row that several splits held out are averaged; rows that no split held out
        do not count. The score is optimistic, since picks optimize it: judge the ensemble by other rows.

        A clone of the ensemble trains as its parameters say: not for the epochs that `refit_epochs="cv"`
        determined, and with schedules over each member's epochs, even if the search allocated the epochs. A
        clone of one with `refit=False` trains each candidate once, on all rows.

        References
        ----------
        R. Caruana, A. Niculescu-Mizil, G. Crew and A. Ksikes, Ensemble selection from libraries of models,
        ICML 2004. L. Breiman, Bagging predictors, Machine Learning 24, 1996.

        Examples
        --------
        >>> from sklearn.datasets import make_regression
        >>> from kerashp import KerasMLPRegressor
        >>> from kerashp.model_selection import GridSearchCV
        >>> X, y = make_regression(120, 6, noise=5, random_state=0)
        >>> regressor = KerasMLPRegressor(1, epochs=20, learning_rate=0.01, random_state=0)
        >>> search = GridSearchCV(regressor, {"n_neurons": [5, 8, 12]}, cv=3).fit(X, y / y.std())
        >>> ensemble = search.ensemble(5)
        >>> ensemble.selection_scores_[-1] >= ensemble.selection_scores_[0]
        True
        >>> ensemble.predict(X).shape
        (120,)
        >>> len(search.ensemble(1, refit=False).members_)  # the networks of the three splits
        3
        """
        check_is_fitted(self, "cv_results_")
        n_members = _CHECK.integer("n_members", n_members, at_least=1)
        refit = _CHECK.flag("refit", refit)
        self._check_can_ensemble()
        inputs = self._ensemble_inputs
        X, y = indexable(inputs.X, inputs.y)
        scorer = self._scorer(scoring)
        of_splits = inputs.predictions if refit else self._of_kept_networks()
        predictions = out_of_fold(of_splits, self._ranked(), row_count(X))
        name = "The search's own score" if scoring is None else f"scoring={short_repr(scoring)}"
        selection = self._selection(predictions, scorer, name, X, y, n_members)
        picks = [predictions.candidates[pick] for pick in selection.picks]
        ensemble = self._averaged(picks, X, y, refit)
        ensemble.selection_scores_ = selection.scores
        return ensemble

    def _of_kept_networks(self) -> dict[int, SplitPredictions]:
        """The predictions of the candidates whose networks of the splits are here."""
        inputs = self._ensemble_inputs
        kept = {number: own for number, own in inputs.predictions.items() if number in inputs.estimators}
        elsewhere = (
            "other processes trained them (n_jobs, a cluster), a journal held their results, or they are "
            "larger than 256 MiB"
        )
        if not kept:
            raise ValueError(
                f"refit=False needs the networks of the splits, which are not here: {elsewhere}. Set "
                "refit=True"
            )
        if n_missing := len(inputs.predictions) - len(kept):
            warnings.warn(
                f"refit=False leaves out {n_missing} of {len(inputs.predictions)} candidates, since the "
                f"networks of their splits are not here: {elsewhere}",
                stacklevel=3,
            )
        return kept

    def _averaged(self, picks: list[int], X: Any, y: Any, refit: bool) -> BaseKerasEnsemble:
        """The ensemble of the picked candidates, fitted to all rows or made of the networks of the splits."""
        candidates = list(dict.fromkeys(picks))
        kind = KerasEnsembleClassifier if is_classifier(self.estimator) else KerasEnsembleRegressor
        ensemble = kind(
            clone(self.estimator),
            [self.cv_results_["params"][candidate] for candidate in candidates],
            weights=[picks.count(candidate) for candidate in candidates],
        )
        inputs = self._ensemble_inputs
        if not refit:
            return ensemble._of_splits([inputs.estimators[candidate] for candidate in candidates])
        epochs = [self._epochs_of(candidate) for candidate in candidates]
        with scheduling_for(inputs.horizon):
            return ensemble._fit(X, y, inputs.routed_params.estimator.fit, epochs, inputs.programs)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name not in self._not_pickled}

    def _check_can_ensemble(self) -> None:
        if not isinstance(innermost(self.estimator), BaseKerasEstimator):
            raise ValueError(
                "ensemble needs a search of an estimator of kerashp, alone or in a pipeline; got "
                f"{self.estimator!r}"
            )
        if "_ensemble_inputs" not in vars(self):
            raise ValueError(
                "This search has been copied or pickled, without its data and predictions. Call ensemble "
                "before copying and keep the ensemble, or fit the search again"
            )
        if not self._ensemble_inputs.predictions:
            raise ValueError(
                "No candidate has predictions for all of its held-out rows: see cv_results_ for what failed"
            )

    def _ranked(self) -> list[int]:
        """The candidates, the best first."""
        names = [name for name in self.cv_results_ if name.startswith("mean_test_")]
        name = f"mean_test_{self.refit}"
        means = self.cv_results_[name if name in names else names[0]]
        return [int(candidate) for candidate in np.argsort(-means, kind="stable")]

    def _scorer(self, scoring: Any) -> Callable[..., float]:
        """A function of an estimator, X, y and the parameters that are routed to the search's scorer."""
        if scoring is not None and not isinstance(scoring, str) and not callable(scoring):
            raise _CHECK.wrong_type("scoring", "a str, a callable or None", scoring)
        scorers, _ = self._get_scorers()
        if scoring is None and not self.multimetric_:
            return scorers
        name = self.refit if scoring is None else scoring
        if not isinstance(name, str):
            if scoring is None:
                raise ValueError(
                    f"The search has several scores, and refit={self.refit!r} names none of them: pass the "
                    "name of one as scoring"
                )
            return _with_accepted_params(check_scoring(self.estimator, scoring=scoring))
        by_name = scorers_by_name(scorers) or {}
        if name in by_name:
            return _with_accepted_params(by_name[name])
        if self.multimetric_ and f"mean_test_{name}" in self.cv_results_:  # a function returns several
            return lambda *arguments, **params: scorers(*arguments, **params)[name]
        return _with_accepted_params(check_scoring(self.estimator, scoring=name))

    def _selection(
        self,
        predictions: OutOfFold,
        scorer: Callable[..., float],
        scorer_name: str,
        X: Any,
        y: Any,
        n_members: int,
    ) -> Selection:
        routed_params = self._ensemble_inputs.routed_params
        params = params_of_rows(X, routed_params.scorer.score, indices=predictions.rows)
        is_regression = not is_classifier(self.estimator)
        predictor = _FixedRegressor() if is_regression else _fixed_classifier(y)
        X, y = indexed(X, predictions.rows), indexed(y, predictions.rows)

        def score(mean: np.ndarray) -> float:
            predictor.values_ = mean
            try:
                return float(scorer(predictor, X, y, **params))
            except Exception as error:
                raise ValueError(
                    f"{scorer_name} needs more than predictions: {type(error).__name__}: {error}. {_REMEDY}"
                ) from error

        selection = greedy_selection(predictions.predictions, score, n_members)
        if not selection.picks:
            raise ValueError(f"{scorer_name} gives no finite score for any candidate. {_REMEDY}")
        return selection

    def _epochs_of(self, candidate: int) -> int | None:
        return mean_best_epochs(self.cv_results_, candidate) if self.refit_epochs == "cv" else None


def _with_accepted_params(scorer: Any) -> Callable[..., float]:
    """A scorer that gets sample weights only if it takes them."""
    if not hasattr(scorer, "get_metadata_routing"):  # it is a user's function
        return lambda estimator, X, y, **_: scorer(estimator, X, y)
    multimetric = MultimetricScorer(scorers={"score": scorer})
    return lambda *arguments, **params: multimetric(*arguments, **params)["score"]


class _FixedRegressor(RegressorMixin, BaseEstimator):
    """Predicts fixed values."""

    values_: np.ndarray

    def predict(self, X: Any) -> np.ndarray:
        return self.values_


class _FixedClassifier(ProbabilisticClassifierMixin, BaseEstimator):
    """Predicts fixed probabilities."""

    values_: np.ndarray

    def predict_proba(self, X: Any) -> np.ndarray:
        if self.target_encoder_.task_ == "multilabel":
            return self.values_
        return self.values_ / self.values_.sum(axis=1, keepdims=True)  # float32's sums are not quite 1


def _fixed_classifier(y: Any) -> _FixedClassifier:
    classifier = _FixedClassifier()
    classifier.target_encoder_ = ClassEncoder().fit(checked_labels(y if issparse(y) else np.asarray(y)))
    return classifier
