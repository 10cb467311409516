"""The data that a population shares, and each member's portion of them."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerashp.training._keras import data
from kerashp.training._keras.data import Data
from kerashp.training._members.member import Member
from kerashp.training._members.shuffling import generators_of, state_of
from kerashp.training._runtime.backend import backend


class Portions:
    """The rows that each member trains and validates on, their order and their weights.

    Parameters
    ----------
    members : list of Member
    x, y, sample_weight, validation_data, shuffle
        See `Population`.
    validates : bool
        Whether the program can validate, even if no member has rows to validate on.
    """

    def __init__(
        self,
        members: Sequence[Member],
        x: Any,
        y: Any,
        sample_weight: Any,
        validation_data: Any,
        *,
        shuffle: bool,
        validates: bool,
    ):
        self._weights = _weights_by_member(sample_weight, len(members))
        self._train = data.standardized(x, y, sample_weight if self._weights is None else None)
        self._test = None
        if validation_data is not None:
            unpacked = keras.utils.unpack_x_y_sample_weight(validation_data)
            self._test = data.standardized(*unpacked)
        n_rows = data.n_rows(self._train)
        if self._weights is not None and self._weights.shape[1] != n_rows:
            raise ValueError(
                f"Population: sample_weight must have a weight for each of {n_rows} rows; got the shape "
                f"{self._weights.shape}"
            )
        self.train_rows = [
            _checked_rows(f"members[{index}].rows", member.rows, n_rows)
            for index, member in enumerate(members)
        ]
        self.test_rows = self._validation_rows(members, n_rows, validates)
        generators = generators_of(members, list(map(len, self.train_rows)))
        self.generators = generators if shuffle else None

    @property
    def n_bytes(self) -> int:
        """The size of all arrays in bytes."""
        weights = 0 if self._weights is None else self._weights.nbytes
        return data.n_bytes(self._train) + data.n_bytes(self._test) + weights

    def batch(self, batch_size: int) -> Any:
        """A batch of (x, y, sample_weight) as Keras' symbolic tensors."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(self._train)
        if self._weights is not None:
            sample_weight = self._weights[0]
        return data.symbolic((x, y, sample_weight), batch_size)

    def on_device(self) -> tuple[Data, Data | None]:
        """The data to train on and to validate on, each array placed on the device once."""
        train = data.on_device(self._train)
        if self._weights is not None:
            x, y, _ = train.structure
            train = Data([*train.arrays, backend().put(self._weights.ravel())], (x, y, len(train.arrays)))
        if self._test is not None:
            return train, data.on_device(self._test)
        return train, None if self.test_rows is None else train

    def starts(self, members: np.ndarray) -> dict[int, np.ndarray]:
        """The first row of each member's weights, by the index of the array that holds all weights."""
        if self._weights is None:
            return {}
        n_shared = sum(leaf is not None for leaf in data.leaves(self._train))
        return {n_shared: (members * self._weights.shape[1]).astype(np.int32)}

    def order(self, member: int) -> dict[str, Any] | None:
        """The state of the generator that shuffles a member's rows; None without shuffling."""
        return None if self.generators is None else state_of(self.generators[member])

    @property
    def validates_on_training_data(self) -> bool:
        """Whether the rows to validate on are rows of the data to train on."""
        return self._test is None

    def _validation_rows(
        self, members: Sequence[Member], n_rows: int, validates: bool
    ) -> list[np.ndarray] | None:
        has_data = self._test is not None
        if not has_data and not validates and all(member.validation_rows is None for member in members):
            return None
        n_rows = data.n_rows(self._test) if has_data else n_rows
        no_rows = np.zeros(0, np.int32)
        return [
            no_rows
            if member.validation_rows is None and not has_data
            else _checked_rows(f"members[{index}].validation_rows", member.validation_rows, n_rows)
            for index, member in enumerate(members)
        ]


def _weights_by_member(sample_weight: Any, n_members: int) -> np.ndarray | None:
    """Weights that differ by member, of shape `(n_members, n_samples)`; None where members share them."""
    if isinstance(sample_weight, dict | list) or np.ndim(sample_weight) != 2:
        return None
    weights = np.asarray(sample_weight, keras.config.floatx())
    if len(weights) != n_members:
        raise ValueError(
            "Population: sample_weight must be of the shape (n_samples,) or (n_members, n_samples); got "
            f"{weights.shape} for {n_members} members"
        )
    return weights


def _checked_rows(name: str, rows: Any, n_rows: int) -> np.ndarray:
    if rows is None:
        return np.arange(n_rows, dtype=np.int32)
    array = np.asarray(rows)
    if array.ndim != 1 or not len(array) or array.dtype.kind not in "iu":
        raise ValueError(f"Population: {name} must be indices of rows, of shape (n,), n > 0; got {rows!r}")
    if array.min() < 0 or array.max() >= n_rows:
        raise ValueError(
            f"Population: {name} must be from 0 to {n_rows - 1}; got {array.min()} to {array.max()}"
        )
    return array.astype(np.int32, copy=False)
