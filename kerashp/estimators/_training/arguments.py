"""The arguments with which a fit trains its network."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import keras

from kerashp._arguments import refuse_unknown


@dataclass(frozen=True, eq=False)
class FitArguments:
    """The arguments of `kerashp.fit`, without the training rows and what is computed from them."""

    callbacks: list[keras.callbacks.Callback]
    epochs: int
    batch_size: int | None = None
    verbose: Any = "auto"
    validation_data: tuple[Any, ...] | None = None
    shuffle: bool = True
    initial_epoch: int = 0
    steps_per_epoch: int | None = None
    validation_steps: int | None = None
    validation_batch_size: int | None = None
    validation_freq: Any = 1
    fallback: str = "warn"

    @classmethod
    def from_mapping(cls, arguments: Mapping[str, Any]) -> Self:
        """The arguments of that mapping.

        Raises
        ------
        TypeError
            If it has a name that `kerashp.fit` does not know.
        """
        refuse_unknown("kerashp.fit", arguments, [field.name for field in fields(cls)])
        return cls(**arguments)

    @property
    def n_epochs(self) -> int:
        """The largest number of epochs that this call trains."""
        return self.epochs - self.initial_epoch

    def to_mapping(self) -> dict[str, Any]:
        """The keyword arguments of `kerashp.fit`, the same objects."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
