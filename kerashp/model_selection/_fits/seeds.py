"""Seeds of what nobody has given one, so that a search that goes on draws what it drew before."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def new_seed() -> int:
    """Of which `np.random.seed` decides."""
    return int(np.random.randint(2**31))


def seed_of(*numbers: int) -> int:
    """One that belongs to these numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] >> 1)


@contextmanager
def drawing_from(seed: int | None) -> Iterator[None]:
    """Inside, what has no `random_state` draws the same again and again; None leaves it."""
    if seed is None:
        yield
        return
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)
