"""Seeds for estimators without a `random_state`, so that a search that continues draws the same again."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def new_seed() -> int:
    """A seed that `np.random.seed` determines."""
    return int(np.random.randint(2**31))


def seed_of(*numbers: int) -> int:
    """A seed that these numbers determine."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] >> 1)


@contextmanager
def drawing_from(seed: int | None) -> Iterator[None]:
    """Inside, estimators without a `random_state` draw from the seed; None changes nothing."""
    if seed is None:
        yield
        return
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)
