"""Ensembles of networks that train together and predict together."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import partial
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_classifier, is_regressor
from sklearn.utils import Tags, check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted

from kerashp._arguments import short_repr
from kerashp._compat.sklearn import HasMethods, Interval, set_random_states, validating_parameters
from kerashp.estimators._base import BaseKerasEstimator
from kerashp.estimators._mixins import ProbabilisticClassifierMixin
from kerashp.estimators._mlp import KerasMLPClassifier, KerasMLPRegressor
from kerashp.estimators._nesting import fit_argument, innermost
from kerashp.estimators._training.joint_prediction import JointPredictions
from kerashp.model_selection._ensembles.refit import fitted
from kerashp.model_selection._planning.plan import Group

Epochs = Sequence[int | None] | None


class BaseKerasEnsemble(BaseEstimator):
    """Members that train together, and whose predictions are averaged."""

    members_: list[Any]
    weights_: np.ndarray
    selection_scores_: list[float]

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "candidates": [Interval(Integral, 1, None, closed="left"), list, tuple],
        "weights": ["array-like", None],
        "random_state": ["random_state"],
    }

    def __init__(
        self, estimator: Any = None, candidates: Any = 5, *, weights: Any = None, random_state: Any = None
    ):
        self.estimator = estimator
        self.candidates = candidates
        self.weights = weights
        self.random_state = random_state

    @validating_parameters
    def fit(self, X: Any, y: Any, sample_weight: Any = None, **fit_params: Any) -> Self:
        """Train all members on all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels or targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of at least 0, for the networks; the steps before them in a pipeline get none.
        **fit_params : dict
            For the `fit` of every member, as the estimator takes them.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If parameters or data cannot be used, or a member diverges: the error's notes name it.
        """
        if sample_weight is not None:
            fit_params[self._name_of_weight(fit_params)] = sample_weight
        return self._fit(X, y, fit_params)

    def _fit(
        self,
        X: Any,
        y: Any,
        fit_params: dict[str, Any],
        epochs: Epochs = None,
        earlier: Sequence[Group] = (),
    ) -> Self:
        """Train the members, with `epochs` of them and nothing held out where that is not None.

        The programs of the groups `earlier`, which a search has trained, are used again.
        """
        members = self._unfitted()
        weights = self._checked_weights(len(members))
        n_epochs = epochs or [None] * len(members)
        self.members_ = fitted(members, X, y, fit_params, n_epochs, earlier, type(self).__name__)
        self.weights_ = weights
        self._jointly = JointPredictions()
        return self

    def _of_splits(self, estimators: Sequence[Sequence[Any]]) -> Self:
        """Take estimators that were fitted on splits as members, those of each candidate with its weight."""
        weights = self._checked_weights(len(estimators))
        self.members_ = [member for own in estimators for member in own]
        self.weights_ = np.concatenate(
            [np.full(len(own), weight / len(own)) for own, weight in zip(estimators, weights, strict=True)]
        )
        self._jointly = JointPredictions()
        return self

    def _unfitted(self) -> list[Any]:
        """The members that the parameters describe."""
        differ_in_seeds = isinstance(self.candidates, Integral)
        candidates = [{}] * int(self.candidates) if differ_in_seeds else self.candidates
        if not len(candidates):
            raise ValueError("candidates must have the parameters of at least one member; got an empty list")
        members = [self._member(index, candidate) for index, candidate in enumerate(candidates)]
        if differ_in_seeds or self.random_state is not None:
            random = check_random_state(self.random_state)
            for member in members:
                set_random_states(member, random)
        return members

    def _member(self, index: int, candidate: Any) -> Any:
        if not isinstance(candidate, Mapping):
            raise TypeError(
                f"candidates[{index}] must be a dict of parameters of the estimator; "
                f"got {short_repr(candidate)}"
            )
        member = clone(self._estimator()).set_params(**clone(dict(candidate), safe=False))
        kind, is_kind = ("classifier", is_classifier) if is_classifier(self) else ("regressor", is_regressor)
        if not isinstance(innermost(member), BaseKerasEstimator) or not is_kind(member):
            raise TypeError(
                f"{type(self).__name__} takes a {kind} of kerashp, alone, at the end of a pipeline or in a "
                f"TransformedTargetRegressor; member {index} is {short_repr(member)}"
            )
        return member

    def _estimator(self) -> Any:
        return self._default() if self.estimator is None else self.estimator

    def _default(self) -> BaseKerasEstimator:
        raise NotImplementedError

    def _checked_weights(self, n_members: int) -> np.ndarray:
        """The weights of the members, which sum to 1."""
        weights = np.ones(n_members) if self.weights is None else np.asarray(self.weights, float)
        if weights.shape != (n_members,):
            raise ValueError(
                f"weights must have the shape ({n_members},), one for each member; got {weights.shape}"
            )
        if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
            raise ValueError(f"weights must be finite, at least 0 and not all 0; got {weights.tolist()}")
        return weights / weights.sum()

    def _name_of_weight(self, fit_params: dict[str, Any]) -> str:
        """The name of the network's sample weights in the estimator's `fit`."""
        name = fit_argument(self._estimator(), "sample_weight")
        if name in fit_params:
            raise ValueError(f"fit got both sample_weight and {name}; pass one of them")
        return name

    def _mean(self, method: str, X: Any) -> np.ndarray:
        """The weighted mean of the results of a method of the members."""
        check_is_fitted(self)
        results = self._jointly.results([partial(getattr(member, method), X) for member in self.members_])
        mean: np.ndarray = np.tensordot(self.weights_, np.stack(results), axes=1)
        return mean.astype(results[0].dtype, copy=False)

    @property
    def n_features_in_(self) -> int:
        """The number of features of X in fit."""
        return self._of_first("n_features_in_")

    @property
    def feature_names_in_(self) -> np.ndarray:
        """The names of the features of X in fit, if it had names."""
        return self._of_first("feature_names_in_")

    def _of_first(self, name: str) -> Any:
        if "members_" not in vars(self):
            raise AttributeError(f"This {type(self).__name__} is not fitted: it has no {name} yet")
        return getattr(self.members_[0], name)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner_tags = get_tags(self._estimator())
        tags.input_tags, tags.target_tags = deepcopy(inner_tags.input_tags), deepcopy(inner_tags.target_tags)
        return tags


class KerasEnsembleClassifier(ProbabilisticClassifierMixin, BaseKerasEnsemble):
    r"""Networks whose probabilities are averaged; they train together, and predict together.

    The probability of class $c$ for a row $x$ is $\sum_m w_m p_m(c \mid x)$ over the members $m$, whose
    weights $w_m$ sum to 1.

    Parameters
    ----------
    estimator : estimator, default=None
        A classifier of kerashp, alone or at the end of a pipeline; `KerasMLPClassifier()` if None. It is
        cloned for each member.
    candidates : int or list of dict, default=5
        The parameters, by name, in which each member differs from the estimator; or the number of members,
        which then differ in their seeds only (a deep ensemble).
    weights : array-like of shape (n_members,), default=None
        The weight of each member, at least 0; equal weights if None.
    random_state : int, RandomState instance or None, default=None
        Draws the seeds of the members. Where it is None, members that `candidates` lists keep their own
        `random_state`.

    Attributes
    ----------
    members_ : list of estimator
        The fitted members; of an ensemble that a search's `ensemble(refit=False)` made, those of all splits
        for each candidate in turn.
    weights_ : ndarray of shape (n_members,)
        The weights of the members, which sum to 1.
    classes_, n_classes_, n_features_in_, feature_names_in_
        As in scikit-learn.
    selection_scores_ : list of float
        Only of an ensemble that a search's `ensemble` made: the score on held-out rows of the best candidate
        alone, and after each further pick.

    Raises
    ------
    TypeError, ValueError
        If parameters or data cannot be used, or a member diverges.

    Notes
    -----
    Members with one graph shape train as a population, whatever their numbers, sizes and preprocessing, and
    predict as one. Members that cannot be compiled train, and predict, separately.

    References
    ----------
    B. Lakshminarayanan, A. Pritzel and C. Blundell, Simple and scalable predictive uncertainty estimation
    using deep ensembles, NeurIPS 2017.

    R. Caruana, A. Niculescu-Mizil, G. Crew and A. Ksikes, Ensemble selection from libraries of models, ICML
    2004.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import scale
    >>> from kerashp import KerasMLPClassifier
    >>> from kerashp.model_selection import KerasEnsembleClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = KerasMLPClassifier(1, 8, epochs=30, learning_rate=0.1)
    >>> ensemble = KerasEnsembleClassifier(mlp, 3, random_state=0).fit(scale(X), y)
    >>> ensemble.score(scale(X), y) > 0.9
    True
    """

    def _default(self) -> BaseKerasEstimator:
        return KerasMLPClassifier()

    def _fit(
        self,
        X: Any,
        y: Any,
        fit_params: dict[str, Any],
        epochs: Epochs = None,
        earlier: Sequence[Group] = (),
    ) -> Self:
        super()._fit(X, y, fit_params, epochs, earlier)
        self.target_encoder_ = innermost(self.members_[0]).target_encoder_
        return self

    def _of_splits(self, estimators: Sequence[Sequence[Any]]) -> Self:
        first, *others = [member for own in estimators for member in own]
        if not all(np.array_equal(member.classes_, first.classes_) for member in others):
            raise ValueError(
                "refit=False averages the networks of the splits, which must know the same classes; the "
                "training rows of some splits lack a class. Set refit=True, or search with a stratified cv"
            )
        super()._of_splits(estimators)
        self.target_encoder_ = innermost(first).target_encoder_
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The weighted mean of the members' probabilities, in the order of `classes_`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Rows sum to 1; for a multilabel target each column is the probability of a label.
        """
        return self._mean("predict_proba", X)


class KerasEnsembleRegressor(RegressorMixin, BaseKerasEnsemble):
    r"""Networks whose predictions are averaged; they train together, and predict together.

    The prediction for a row $x$ is $\sum_m w_m f_m(x)$ over the members $m$, whose weights $w_m$ have a sum
    of 1.

    Parameters
    ----------
    estimator : estimator, default=None
        A regressor of kerashp, alone, at the end of a pipeline or in a `TransformedTargetRegressor`;
        `KerasMLPRegressor()` if None. It is cloned for each member.
    candidates : int or list of dict, default=5
        The parameters, by name, in which each member differs from the estimator; or the number of members,
        which then differ in their seeds only (a deep ensemble).
    weights : array-like of shape (n_members,), default=None
        The weight of each member, at least 0; equal weights if None.
    random_state : int, RandomState instance or None, default=None
        Draws the seeds of the members. Where it is None, members that `candidates` lists keep their own
        `random_state`.

    Attributes
    ----------
    members_ : list of estimator
        The fitted members; of an ensemble that a search's `ensemble(refit=False)` made, those of all splits
        for each candidate in turn.
    weights_ : ndarray of shape (n_members,)
        The weights of the members, which sum to 1.
    n_features_in_, feature_names_in_
        As in scikit-learn.
    selection_scores_ : list of float
        Only of an ensemble that a search's `ensemble` made: the score on held-out rows of the best candidate
        alone, and after each further pick.

    See Also
    --------
    KerasEnsembleClassifier : Has the same errors, notes and references.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from kerashp import KerasMLPRegressor
    >>> from kerashp.model_selection import KerasEnsembleRegressor
    >>> X, y = make_regression(100, 4, random_state=0)
    >>> mlp = KerasMLPRegressor(1, epochs=10, random_state=0)
    >>> candidates = [{"n_neurons": 4}, {"n_neurons": 8, "learning_rate": 0.01}]
    >>> ensemble = KerasEnsembleRegressor(mlp, candidates, weights=[1, 3]).fit(X, y / y.std())
    >>> ensemble.weights_
    array([0.25, 0.75])
    """

    def _default(self) -> BaseKerasEstimator:
        return KerasMLPRegressor()

    def predict(self, X: Any) -> np.ndarray:
        """The weighted mean of the members' predictions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            It has the shape and the floating type of y in fit.
        """
        return self._mean("predict", X)
