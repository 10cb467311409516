"""The generators that shuffle members' rows; members of equal seed and number of rows share the orders."""

import copy
import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from kerashp.training._members.member import Member

_MOST_BYTES = 2**25  # of the permutations that a population keeps

State = dict[str, Any]


class Shuffle:
    """The permutations that a generator draws one after the other, each of them once for several members.

    Parameters
    ----------
    generator : numpy.random.RandomState
        Nothing else draws from it.
    n_rows : int
    most_bytes : int
        The size of the last permutations, which are kept; those before them are drawn again if need be.
    """

    def __init__(self, generator: np.random.RandomState, n_rows: int, most_bytes: int):
        self._generator = generator
        self._positions = np.arange(n_rows, dtype=np.int32)
        self._most_kept = max(1, most_bytes // self._positions.nbytes)
        self._states = [generator.get_state(legacy=False)]  # before each permutation, and after the last
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def permutation(self, index: int) -> np.ndarray:
        """The permutation of this index; the one before it has been drawn."""
        with self._lock:
            if index not in self._kept:
                self._kept[index] = self._drawn(index)
                if len(self._kept) > self._most_kept:
                    self._kept.popitem(last=False)
            return self._kept[index]

    def state(self, index: int) -> State:
        """The state of the generator before the permutation of this index."""
        return copy.deepcopy(dict(self._states[index]))

    def _drawn(self, index: int) -> np.ndarray:
        self._generator.set_state(self._states[index])
        permutation: np.ndarray = self._generator.permutation(self._positions)
        if index + 1 == len(self._states):
            self._states.append(self._generator.get_state(legacy=False))
        return permutation


class MemberShuffle:
    """One member's turn in a shuffle.

    Parameters
    ----------
    shuffle : Shuffle
    """

    def __init__(self, shuffle: Shuffle):
        self._shuffle = shuffle
        self._index = 0

    def permutation(self, rows: np.ndarray) -> np.ndarray:
        """The member's rows in their next order."""
        permutation = self._shuffle.permutation(self._index)
        self._index += 1
        return rows[permutation]

    @property
    def state(self) -> State:
        """The state of a generator that draws the next order."""
        return self._shuffle.state(self._index)


def generators_of(members: Sequence[Member], n_rows: Sequence[int]) -> list[Any]:
    """The object with a `permutation` that shuffles each member's rows, of which there are so many."""
    keys = [_shared_key(member, number) for member, number in zip(members, n_rows, strict=True)]
    n_members = Counter(key for key in keys if key is not None)
    shared = [key for key, number in n_members.items() if number > 1]
    shuffles = {
        (seed, number): Shuffle(check_random_state(seed), number, _MOST_BYTES // len(shared))
        for seed, number in shared
    }
    return [
        MemberShuffle(shuffles[key]) if key in shuffles else _generator_of(member)
        for key, member in zip(keys, members, strict=True)
    ]


def state_of(generator: Any) -> State:
    """The state of one of these generators, from which another training can go on."""
    if isinstance(generator, MemberShuffle):
        return generator.state
    if isinstance(generator, np.random.Generator):
        return dict(copy.deepcopy(generator.bit_generator.state))
    return dict(generator.get_state(legacy=False))


def _shared_key(member: Member, n_rows: int) -> tuple[int, int] | None:
    """Equal for members whose rows are shuffled alike; None for a member by itself."""
    is_new = member.paused is None or member.paused.order is None
    is_seed = isinstance(member.random_state, int | np.integer)
    return (int(member.random_state), n_rows) if is_new and is_seed else None


def _generator_of(member: Member) -> Any:
    generator = _new_generator(member.random_state)
    order = None if member.paused is None else member.paused.order
    if order is None:
        return generator
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = order
    else:
        generator.set_state(order)
    return generator


def _new_generator(random_state: Any) -> Any:
    if random_state is None:
        return np.random.default_rng(np.random.randint(2**31))  # np.random.seed decides it
    if isinstance(random_state, np.random.Generator):
        return copy.deepcopy(random_state)
    return copy.deepcopy(check_random_state(random_state))
