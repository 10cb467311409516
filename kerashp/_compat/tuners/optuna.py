"""Optuna, to be imported at use only, and private names of its pruners, which hide their settings."""

from dataclasses import dataclass
from typing import Any

try:
    import optuna
except ImportError as error:
    raise ImportError(
        f"Optuna cannot be imported ({error}), which OptunaSearchCV and to_study require; install it with: "
        'pip install "kerashp[optuna]"'
    ) from error

__all__ = ["optuna"]


@dataclass(frozen=True)
class HalvingSettings:
    """The settings of a SuccessiveHalvingPruner.

    Attributes
    ----------
    first : int or None
        The steps of the first rung; None is "auto".
    factor : int
    rate : int
        How many rungs are left out.
    bootstrap : int
        How many trials have to reach a rung before any goes on.
    """

    first: int | None
    factor: int
    rate: int
    bootstrap: int


def halving_settings(pruner: Any) -> HalvingSettings:
    """The arguments of a SuccessiveHalvingPruner, which it keeps under private names."""
    return HalvingSettings(
        pruner._min_resource,
        pruner._reduction_factor,
        pruner._min_early_stopping_rate,
        pruner._bootstrap_count,
    )


def bounded_hyperband(pruner: Any, most: int) -> Any:
    """A HyperbandPruner of the same arguments, in which "auto" for the most steps is `most`."""
    longest = pruner._max_resource if isinstance(pruner._max_resource, int) else most
    return type(pruner)(pruner._min_resource, longest, pruner._reduction_factor, pruner._bootstrap_count)


def bracket_settings(study: Any) -> list[HalvingSettings]:
    """The pruner of each bracket of the study's HyperbandPruner: `_pruners`, after `_try_initialization`."""
    if not study.pruner._pruners:
        study.pruner._try_initialization(study)
    return [halving_settings(pruner) for pruner in study.pruner._pruners]


def bracket_of(study: Any, trial: Any) -> int:
    """The bracket to which the study's HyperbandPruner assigns a trial, by its number: `_get_bracket_id`."""
    bracket: int = study.pruner._get_bracket_id(study, trial)
    return bracket
