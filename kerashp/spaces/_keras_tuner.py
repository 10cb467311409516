"""keras-tuner's hyperparameters with values of any type. Import this module only where it is used."""

from typing import Any, Self

from kerashp._compat.tuners.keras_tuner import keras_tuner


class SpaceHyperParameters(keras_tuner.HyperParameters):
    """Hyperparameters made from a search space.

    Attributes
    ----------
    choices : dict from str to list
        From a hyperparameter's name to the values that its positions stand for. Copies keep them; files do
        not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.choices: dict[str, list[Any]] = {}

    @classmethod
    def joined(cls, *parts: Any) -> Self:
        """All hyperparameters of the parts; of those with equal names and conditions, the first."""
        union = cls()
        for part in parts:
            union.merge(part, overwrite=False)
            union.choices = {**getattr(part, "choices", {}), **union.choices}
        return union

    def copy(self) -> Self:
        """A copy with the same space, values and choices."""
        duplicate = type(self).from_config(self.get_config())
        duplicate.choices = self.choices
        return duplicate
