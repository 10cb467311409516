"""Searches as Optuna studies."""

from typing import Any

from sklearn.utils.validation import check_is_fitted

from kerashp.model_selection._logging.reporter import SearchLog


class StudyMixin:
    """A search whose candidates can be looked at as an Optuna study."""

    _search_log: SearchLog

    def to_study(self, storage: Any = None, study_name: str | None = None) -> Any:
        """Make an Optuna study of the candidates of a fitted search.

        For `optuna.visualization`, `optuna.importance` and optuna-dashboard, or as the `study` of an
        `OptunaSearchCV`, whose sampler then knows these candidates.

        Parameters
        ----------
        storage : str or optuna.storages.BaseStorage, default=None
            Where the study is kept, such as "sqlite:///study.db"; None: in memory.
        study_name : str, default=None
            The name of the study, which must be new; None: Optuna makes one.

        Returns
        -------
        optuna.Study
            Maximizes the mean test score that ranks the candidates; all of them if there are several, and
            `refit` names none. A trial has:

            - the distributions of the space. A parameter without one that Optuna has is a range from the
              least to the greatest number that was tried, or a choice among the values that were tried. Names
              and values are those of `OptunaSearchCV`;
            - as intermediate values the mean learning curve over the splits, after each epoch: the validation
              curve of the score if the fits have it, such as "val_accuracy" for "accuracy", otherwise
              `-val_loss`, or `-loss` if there is no validation. Its name is the study's user attribute
              "intermediate_values". A study of several scores has none;
            - user attributes: "candidate", its position in the search; `split_test_score`, the scores of each
              split; "seconds" of training and scoring, summed over the splits; "error" of a candidate that
              failed;
            - the state FAIL if a split has no finite score. A candidate that got fewer epochs (or samples)
              than others is PRUNED in its last iteration, and has one trial for all iterations.

            Trials last as many seconds as the candidate took, and end when the study is made.

        Raises
        ------
        ImportError
            If Optuna is not installed (the extra `optuna`).
        optuna.exceptions.DuplicatedStudyError
            If the storage has a study of this name.
        ValueError
            If the storage cannot be opened.
        sklearn.exceptions.NotFittedError

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import RidgeClassifier
        >>> from kerashp.model_selection import GridSearchCV
        >>> grid = GridSearchCV(RidgeClassifier(), {"alpha": [0.01, 1.0, 100.0]}, cv=2)
        >>> study = grid.fit(*load_iris(return_X_y=True)).to_study()
        >>> len(study.trials), study.best_params == grid.best_params_
        (3, True)
        """
        check_is_fitted(self, "_search_log")
        from kerashp.model_selection._optuna.export import study_of

        return study_of(self, self._search_log, storage, study_name)
