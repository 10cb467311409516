"""What only TensorFlow needs."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

from tensorflow.python.eager import context


@contextmanager
def isolated_random_state(seed: int) -> Iterator[None]:
    """Seed TensorFlow's global generator and give the caller's back untouched, its position included.

    `tf.random.set_seed` cannot do it: setting the old seed again starts its sequence anew, and it clears
    the kernels that hold the position of ops with a seed of their own.
    """
    eager = context.context()
    before = eager._seed, getattr(eager, "_rng", None)  # there is none until a seed was set
    eager._seed, eager._rng = seed, random.Random(seed)
    try:
        yield
    finally:
        eager._seed, eager._rng = before
