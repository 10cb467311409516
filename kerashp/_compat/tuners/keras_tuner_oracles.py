"""Private names of keras-tuner's oracles, spaces and callbacks; it is not imported before there is one."""

from typing import Any

TUNER_CALLBACK = "keras_tuner.src.engine.tuner_utils.TunerCallback"  # calls the hooks of a tuner


def is_grid(oracle: Any) -> bool:
    """Whether an oracle is a GridSearchOracle, by its `_populate_next`."""
    return hasattr(oracle, "_populate_next")


def go_on_from(oracle: Any, trial: Any) -> None:
    """Let a grid propose what follows a trial before the trial has ended: `_populate_next`."""
    oracle._populate_next.append(trial.trial_id)


def write_no_files(oracle: Any) -> None:
    """Let an oracle keep its state in memory alone: `save` and `_save_trial` do nothing."""
    oracle.save = oracle._save_trial = _nothing


def _nothing(*_: Any) -> None:
    """In place of writing a file."""


def random_values(oracle: Any) -> dict[str, Any] | None:
    """Values drawn at random that no trial has; None where many draws find none: `_random_values`."""
    values: dict[str, Any] | None = oracle._random_values()
    return values


def record_values(oracle: Any, trial: Any) -> None:
    """Let an oracle know that a trial has its values, which are not drawn again: `_record_values`."""
    oracle._record_values(trial)


def has_open_brackets(oracle: Any) -> bool:
    """Whether an oracle is Hyperband and has brackets in which a round is missing: `_brackets`."""
    if not hasattr(oracle, "_brackets"):
        return False
    oracle._remove_completed_brackets()
    return bool(oracle._brackets)


def candidates_of_brackets(oracle: Any) -> int:
    """How many trials an iteration of Hyperband has: `_get_size` of each round of each bracket."""
    brackets = range(oracle._get_num_brackets())
    return sum(oracle._get_size(bracket, stage) for bracket in brackets for stage in range(bracket + 1))


def forget(oracle: Any) -> None:
    """Remove an oracle from `LOCKS` and `THREADS`, in which keras-tuner keeps each oracle for ever."""
    from keras_tuner.src.engine import oracle as module

    for registry in (module.LOCKS, module.THREADS):
        registry.pop(oracle, None)


def has_hyperparameter(space: Any, hyperparameter: Any) -> bool:
    """Whether a space has a hyperparameter of the same name under the same conditions: `_exists`."""
    return bool(space._exists(hyperparameter.name, hyperparameter.conditions))


def tuner_ignores_batches(callback: Any) -> bool:
    """Whether the tuner of a TunerCallback has `Tuner`'s own hooks of batches, which do nothing."""
    from keras_tuner import Tuner

    names = ("on_batch_begin", "on_batch_end")
    return all(
        name not in vars(callback.tuner) and getattr(type(callback.tuner), name) is getattr(Tuner, name)
        for name in names
    )
