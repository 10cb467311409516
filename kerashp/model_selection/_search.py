"""scikit-learn's grid and randomized search over candidates x folds that train together."""

from typing import Any, ClassVar

import numpy as np
from sklearn import model_selection

from kerashp.model_selection._base import CONSTRAINTS, PopulationSearchMixin
from kerashp.spaces._search_space import grid


class GridSearchCV(PopulationSearchMixin, model_selection.GridSearchCV):
    """`sklearn.model_selection.GridSearchCV`, in which all candidates and splits train together.

    Parameters
    ----------
    estimator : estimator
        Cloned for each fit.
    param_grid : dict, list of dict or keras_tuner.HyperParameters
        The values to try, by parameter. `HyperParameters` are translated, see
        `kerashp.spaces.from_hyperparameters`; each `Float`, and each `Int` that is not linear, needs a step.
    scoring : str, callable, list, tuple or dict, default=None
        As in scikit-learn; the estimator's own score if None. A score that is not finite counts as a failure.
    n_jobs : int, default=None
        Workers of joblib. 1, or None outside of `joblib.parallel_config`, trains in this process, which keeps
        all its cores busy; with more, each worker trains whole groups and returns scores and curves. A worker
        that is killed costs its own group, which is trained again. Under `joblib.parallel_config("dask")` or
        `("ray")`, the workers are those of a cluster, and None takes them all.
    refit : bool, str or callable, default=True
        As in scikit-learn: whether, and by which score, the best candidate is trained on all rows.
    cv : int, splitter or iterable, default=None
        As in scikit-learn; 5 folds if None.
    verbose : int, default=0
        From 1 on, a progress bar (lines in a log): the epochs of all fits, the best score so far and the time
        left; from 2 on, also what scikit-learn prints of each fit.
    pre_dispatch : int or str, default="2*n_jobs"
        Without effect, since all fits are evaluated at once; accepted as in scikit-learn.
    error_score : "raise" or number, default=nan
        The score of a fit that fails, diverges or has a score that is not finite, with a `FitFailedWarning`.
        "raise" raises the error, with candidate and split in its notes. If no candidate has a finite score on
        all splits, candidates are compared by their means over some of the splits, with a warning.
    return_train_score : bool, default=False
        Whether to score the training rows too.
    refit_epochs : {"cv", None}, default=None
        How long the best candidate is trained on all rows: None as its parameters say, early stopping
        included; "cv" for the mean of the best epochs of its splits, with nothing held out.
    max_memory : int, default=None
        Bytes that populations in training may take, roughly, on each machine; if None, half of this machine's
        memory, or of its accelerators' where that is less. Populations that would take more are divided.
    journal : str or path, default=None
        A folder that records the progress of the search; writes are atomic. After a kill, a full disk or
        Ctrl-C, the same call continues from there, repeats no finished fit, and gives the results of an
        uninterrupted search. A folder belongs to one search: another search, or a second process, is refused.
        Nested cross-validation needs a folder for each of its searches.
    journal_every : float, default=60.0
        Seconds between two saved states of fits in training, from which they continue.
    timeout : float, default=None
        Seconds after which the search ends with the candidates that are finished, and refits the best; so
        does Ctrl-C. Fits that train together stop at the end of an epoch, others when they are finished.
    loggers : SearchLogger or list of SearchLogger, default=None
        What gets each candidate when it ends, such as `kerashp.integrations.CSVLogger("results.csv")`. A
        search that continues from its journal adds no candidate twice. A logger that fails causes a
        `LoggerWarning` and harms no fit; `log_to` adds what it lacks.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, \
multimetric_, classes_, n_features_in_, feature_names_in_
        As in scikit-learn. `cv_results_` also has `split{i}_epochs`, how many epochs each fit trained,
        `split{i}_best_epoch`, the position of its best epoch in the curves, and `split{i}_stopped_early`,
        whether it ended before its last epoch, as by early stopping; masked where a fit never trained. A fit
        time is a share of its group's: an equal one of compiling, one of training by steps.
    histories_ : list of list of dict
        The learning curves, `histories_[candidate][split]`; None for a fit that never trained.
    plan_ : Plan
        Which fits trained together and which did not.
    seconds_ : dict from str to float
        Where the time went until the refit, summed over all threads: preparing, compiling, training, scoring.
    preparation_ : kerashp.training.Preparation
        How many functions were traced, compiled, or loaded from the program cache, and the seconds of each.
    search_id_ : str
        32 hexadecimal digits by which loggers know the search; the same where it continues from its journal.

    Raises
    ------
    ValueError
        If all fits failed, or one failed and `error_score="raise"`.

    Notes
    -----
    A fit runs as scikit-learn runs it, up to the training of the network. Fits whose networks have one graph
    shape then train together as a `kerashp.training.Population`: they may differ in numbers (learning rate,
    momentum, penalties, dropout), hidden widths, rows, sample weights and early stopping. Then each fit
    continues to its score. A preprocessing that several candidates share is fitted once a split.

    The estimator is one of kerashp, alone, at the end of a pipeline, or in a `TransformedTargetRegressor`.
    Other estimators, fits with a callback other than `EarlyStopping` and `TerminateOnNaN`, and fits that
    `kerashp.fit` leaves to `Model.fit`, train one at a time in the same search: `explain()` lists them with
    the reasons.

    The estimator's `verbose` has no effect where fits train together. The estimators that a scorer gets for
    the splits of one candidate share a network, which has the weights of each in turn: do not keep them.

    References
    ----------
    scikit-learn's user guide, "Tuning the hyper-parameters of an estimator".

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from kerashp import KerasMLPClassifier
    >>> from kerashp.model_selection import GridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> pipeline = make_pipeline(StandardScaler(), KerasMLPClassifier(epochs=30, random_state=0))
    >>> grid = {"kerasmlpclassifier__learning_rate": [0.001, 0.03], "kerasmlpclassifier__n_neurons": [8, 16]}
    >>> search = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    >>> search.best_params_["kerasmlpclassifier__learning_rate"]
    0.03
    >>> len(search.plan_.groups), len(search.plan_.groups[0].fits)
    (1, 12)
    """

    _space = "param_grid"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **model_selection.GridSearchCV._parameter_constraints,
        **CONSTRAINTS,
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        error_score: Any = np.nan,
        return_train_score: bool = False,
        refit_epochs: str | None = None,
        max_memory: int | None = None,
        journal: Any = None,
        journal_every: float = 60.0,
        timeout: float | None = None,
        loggers: Any = None,
    ):
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.refit_epochs = refit_epochs
        self.max_memory = max_memory
        self.journal = journal
        self.journal_every = journal_every
        self.timeout = timeout
        self.loggers = loggers

    def _sklearn_space(self) -> Any:
        return grid("GridSearchCV", self.param_grid)


class RandomizedSearchCV(PopulationSearchMixin, model_selection.RandomizedSearchCV):
    """`sklearn.model_selection.RandomizedSearchCV`, in which all candidates and splits train together.

    Parameters
    ----------
    estimator : estimator
        Cloned for each fit.
    param_distributions : dict, list of dict or keras_tuner.HyperParameters
        What to draw from, by parameter: lists, or distributions with an `rvs` method. `HyperParameters` are
        translated, see `kerashp.spaces.from_hyperparameters`.
    n_iter : int, default=10
        The number of candidates.
    scoring : str, callable, list, tuple or dict, default=None
        As in scikit-learn; the estimator's own score if None. A score that is not finite counts as a failure.
    n_jobs : int, default=None
        Workers of joblib. 1, or None outside of `joblib.parallel_config`, trains in this process, which keeps
        all its cores busy; with more, each worker trains whole groups and returns scores and curves. A worker
        that is killed costs its own group, which is trained again. Under `joblib.parallel_config("dask")` or
        `("ray")`, the workers are those of a cluster, and None takes them all.
    refit : bool, str or callable, default=True
        As in scikit-learn: whether, and by which score, the best candidate is trained on all rows.
    cv : int, splitter or iterable, default=None
        As in scikit-learn; 5 folds if None.
    verbose : int, default=0
        From 1 on, a progress bar (lines in a log): the epochs of all fits, the best score so far and the time
        left; from 2 on, also what scikit-learn prints of each fit.
    pre_dispatch : int or str, default="2*n_jobs"
        Without effect, since all fits are evaluated at once; accepted as in scikit-learn.
    random_state : int, RandomState instance or None, default=None
        Draws the candidates, the same ones as scikit-learn's search.
    error_score : "raise" or number, default=nan
        The score of a fit that fails, diverges or has a score that is not finite, with a `FitFailedWarning`.
        "raise" raises the error, with candidate and split in its notes. If no candidate has a finite score on
        all splits, candidates are compared by their means over some of the splits, with a warning.
    return_train_score : bool, default=False
        Whether to score the training rows too.
    refit_epochs : {"cv", None}, default=None
        How long the best candidate is trained on all rows: None as its parameters say, early stopping
        included; "cv" for the mean of the best epochs of its splits, with nothing held out.
    max_memory : int, default=None
        Bytes that populations in training may take, roughly, on each machine; if None, half of this machine's
        memory, or of its accelerators' where that is less. Populations that would take more are divided.
    journal : str or path, default=None
        A folder that records the progress of the search; writes are atomic. After a kill, a full disk or
        Ctrl-C, the same call continues from there, repeats no finished fit, and gives the results of an
        uninterrupted search. A folder belongs to one search: another search, or a second process, is refused.
        Nested cross-validation needs a folder for each of its searches.
    journal_every : float, default=60.0
        Seconds between two saved states of fits in training, from which they continue.
    timeout : float, default=None
        Seconds after which the search ends with the candidates that are finished, and refits the best; so
        does Ctrl-C. Fits that train together stop at the end of an epoch, others when they are finished.
    loggers : SearchLogger or list of SearchLogger, default=None
        What gets each candidate when it ends, such as `kerashp.integrations.CSVLogger("results.csv")`. A
        search that continues from its journal adds no candidate twice. A logger that fails causes a
        `LoggerWarning` and harms no fit; `log_to` adds what it lacks.

    See Also
    --------
    GridSearchCV : Has the same further attributes and errors; its notes say how fits train.

    References
    ----------
    J. Bergstra and Y. Bengio, Random search for hyper-parameter optimization, JMLR 13, 2012.
    A. Géron, Hands-On Machine Learning, ch. 10: the search below.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import make_regression
    >>> from kerashp import KerasMLPRegressor
    >>> from kerashp.model_selection import RandomizedSearchCV
    >>> X, y = make_regression(200, 8, random_state=0)
    >>> space = {"n_neurons": range(4, 20), "learning_rate": loguniform(1e-3, 1e-1)}
    >>> regressor = KerasMLPRegressor(1, epochs=20, random_state=0)
    >>> search = RandomizedSearchCV(regressor, space, n_iter=4, cv=3, random_state=0).fit(X, y / y.std())
    >>> [len(curves["loss"]) for curves in search.histories_[0]]
    [20, 20, 20]
    """

    _space = "param_distributions"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **model_selection.RandomizedSearchCV._parameter_constraints,
        **CONSTRAINTS,
    }

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: Any = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        refit_epochs: str | None = None,
        max_memory: int | None = None,
        journal: Any = None,
        journal_every: float = 60.0,
        timeout: float | None = None,
        loggers: Any = None,
    ):
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.refit_epochs = refit_epochs
        self.max_memory = max_memory
        self.journal = journal
        self.journal_every = journal_every
        self.timeout = timeout
        self.loggers = loggers
