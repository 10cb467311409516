"""keras-tuner's hyperparameters, with what they cannot hold beside them. To be imported at use only."""

from typing import Any, Self

from kerashp._compat.keras_tuner import keras_tuner


class SpaceHyperParameters(keras_tuner.HyperParameters):
    """Hyperparameters that were made from a space.

    Attributes
    ----------
    choices : dict from str to list
        The values of those that keras-tuner knows by position, by the name that it knows them by. Copies have
        them too; a file does not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.choices: dict[str, list[Any]] = {}

    @classmethod
    def joined(cls, *parts: Any) -> Self:
        """The hyperparameters of all parts; of equal names and conditions, the first."""
        whole = cls()
        for part in parts:
            whole.merge(part, overwrite=False)
            whole.choices = {**getattr(part, "choices", {}), **whole.choices}
        return whole

    def copy(self) -> Self:
        """Another one with the same space, values and choices."""
        other = type(self).from_config(self.get_config())
        other.choices = self.choices
        return other
