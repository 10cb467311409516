"""The study of a search: a new one, one of a storage, or the user's. Optuna is imported at use."""

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_OWNER = "OptunaSearchCV"
_MOST_AT_RANDOM = 10  # trials, as Optuna's TPESampler


@contextmanager
def quiet_optuna(verbose: bool = False) -> Iterator[None]:
    """Inside, Optuna logs warnings alone, unless verbose, and does not warn of experimental features."""
    from kerashp._compat.tuners.optuna import optuna

    level = optuna.logging.get_verbosity()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if not verbose:
            optuna.logging.set_verbosity(max(level, optuna.logging.WARNING))
        try:
            yield
        finally:
            optuna.logging.set_verbosity(level)


@dataclass(frozen=True)
class StudyArguments:
    """The arguments of `OptunaSearchCV` that say which study it has.

    Attributes
    ----------
    study : optuna.Study or None
    sampler : optuna.samplers.BaseSampler or None
    pruner : optuna.pruners.BasePruner or None
    storage : str, optuna.storages.BaseStorage or None
    study_name : str or None
    random_state : int, RandomState instance or None
    """

    study: Any
    sampler: Any
    pruner: Any
    storage: Any
    study_name: str | None
    random_state: Any

    def check(self) -> None:
        """Refuse arguments that contradict each other.

        Raises
        ------
        ValueError
        """
        if self.study is not None:
            for name in ("sampler", "pruner", "storage", "study_name"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"{_OWNER}: {name}={getattr(self, name)!r} has no effect on a study that exists. "
                        "Pass it to optuna.create_study, or leave study=None"
                    )
        if self.random_state is not None and (self.study is not None or self.sampler is not None):
            raise ValueError(
                f"{_OWNER}: random_state={self.random_state!r} is the seed of the default sampler, and has "
                "no effect on another. Pass the seed to the sampler, and leave random_state=None"
            )

    @property
    def has_default_sampler(self) -> bool:
        return self.study is None and self.sampler is None

    def halving_pruner(self) -> Any:
        """The pruner that halves the candidates of a batch; None if all train for all epochs.

        Raises
        ------
        ValueError
            If it is another pruner. Optuna gives each study a MedianPruner, which is taken for none.
        """
        from kerashp._compat.tuners.optuna import optuna

        pruners = optuna.pruners
        pruner = self.pruner if self.study is None else self.study.pruner
        if pruner is None or type(pruner) is pruners.NopPruner:
            return None
        if type(pruner) in (pruners.SuccessiveHalvingPruner, pruners.HyperbandPruner):
            return pruner
        if self.study is not None and type(pruner) is pruners.MedianPruner:
            return None
        raise ValueError(
            f"{_OWNER}: the pruner must be Optuna's SuccessiveHalvingPruner or HyperbandPruner, since all "
            f"candidates of a batch are compared after the same epochs; got {type(pruner).__name__}. Leave "
            "pruner=None, and let early_stopping of the estimator end single candidates"
        )

    def objectives(self, scoring: Any) -> list[str]:
        """The names of the scores that are objectives of a study of several; empty for a single one.

        Raises
        ------
        ValueError
            If the study does not maximize, or has another number of objectives than there are scores.
        """
        from kerashp._compat.tuners.optuna import optuna

        is_set = isinstance(scoring, set | frozenset)
        names = (
            list(scoring) if isinstance(scoring, list | tuple | dict) else sorted(scoring) if is_set else []
        )
        if self.study is None:
            genetic = (optuna.samplers.NSGAIISampler, optuna.samplers.NSGAIIISampler)
            return names if isinstance(self.sampler, genetic) and len(names) > 1 else []
        directions = [direction.name.lower() for direction in self.study.directions]
        if set(directions) != {"maximize"}:
            raise ValueError(
                f"{_OWNER} reports mean test scores to the study, of which greater is better; got a study "
                f"with the directions {directions}. Create it with optuna.create_study(direction='maximize')"
            )
        if len(directions) == 1:
            return []
        if len(names) != len(directions):
            raise ValueError(
                f"{_OWNER}: the study has {len(directions)} objectives, but scoring names {len(names)} "
                f"scores. Pass a list of {len(directions)} as scoring, or a study with direction='maximize'"
            )
        return names


def default_sampler(seed: int, n_trials: float) -> Any:
    """A tree-structured Parzen estimator for batches: running trials count as if they were bad.

    The first quarter of the trials, and at most 10, are drawn at random.
    """
    from kerashp._compat.tuners.optuna import optuna

    n_at_random = int(min(_MOST_AT_RANDOM, max(1, n_trials // 4)))
    with quiet_optuna():
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=n_at_random, constant_liar=True)


def opened_study(arguments: StudyArguments, sampler: Any, pruner: Any, objectives: list[str]) -> Any:
    """The study, which is created if it does not exist. The user's own sampler and study are not changed.

    Raises
    ------
    ValueError
        If the storage cannot be opened, or has a study of this name with other directions.
    """
    from kerashp._compat.tuners.optuna import optuna

    if arguments.study is not None:
        study = copy.copy(arguments.study)
        study.pruner = pruner or optuna.pruners.NopPruner()
        return study
    directions = ["maximize"] * max(1, len(objectives))
    # Hyperband's brackets depend on the name, so that a study in memory has always the same.
    name = arguments.study_name or (_OWNER if arguments.storage is None else None)
    study = optuna.create_study(
        storage=opened_storage(_OWNER, arguments.storage),
        study_name=name,
        sampler=copy.deepcopy(sampler),
        pruner=pruner or optuna.pruners.NopPruner(),
        directions=directions,
        load_if_exists=name is not None,
    )
    found = [direction.name.lower() for direction in study.directions]
    if found != directions:
        raise ValueError(
            f"{_OWNER}: the storage has a study {name!r} with the directions {found}, but this search needs "
            f"{directions}. Pass another study_name"
        )
    if objectives and not study.trials:
        study.set_metric_names(objectives)
    return study


def opened_storage(owner: str, storage: Any) -> Any:
    """The storage at a URL; another argument as it is.

    Raises
    ------
    ValueError
        If it is a path, or if there is no database at the URL.
    """
    from kerashp._compat.tuners.optuna import optuna

    if not isinstance(storage, str):
        return storage
    kind, separator, _ = storage.partition("://")
    if not separator:
        raise ValueError(
            f"{owner}: storage must be the URL of a database, or a storage of optuna.storages; got "
            f"{storage!r}. For a file, pass 'sqlite:///study.db', or 'sqlite:////folder/study.db' with the "
            "absolute path of a folder"
        )
    try:
        return optuna.storages.RDBStorage(storage)
    except ImportError:
        raise
    except Exception as error:  # a URL may hold a password
        raise ValueError(
            f"{owner}: the database at storage='{kind}://...' cannot be opened: {error}. Check the URL, and "
            "that its folder or server exists"
        ) from error


def check_distributions(study: Any, distributions: Mapping[str, Any]) -> None:
    """Refuse distributions that the study cannot have beside those of its trials.

    Raises
    ------
    ValueError
        If a parameter has another kind of distribution, or other choices.
    """
    from kerashp._compat.tuners.optuna import optuna

    held = {
        name: distribution
        for trial in study.get_trials(deepcopy=False)
        for name, distribution in trial.distributions.items()
    }
    for name in held.keys() & distributions.keys():
        try:
            optuna.distributions.check_distribution_compatibility(held[name], distributions[name])
        except ValueError as error:
            raise ValueError(
                f"{_OWNER}: the study {study.study_name!r} has trials in which {name!r} is of "
                f"{held[name]}; got {distributions[name]} in space, which Optuna does not take beside it "
                f"({error}). Ranges may differ, but neither their kind nor log, nor the choices of a list. "
                "Pass that distribution, or another study or study_name"
            ) from error


def ends_by_itself(sampler: Any) -> bool:
    """Whether a sampler proposes a limited number of trials."""
    from kerashp._compat.tuners.optuna import optuna

    return isinstance(sampler, optuna.samplers.GridSampler | optuna.samplers.BruteForceSampler)
