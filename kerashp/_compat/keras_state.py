"""Private names of Keras: the settings and random numbers of the process."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

from keras.src.backend.common import dtypes, global_state
from keras.src.random import seed_generator

_SEED_GENERATOR = "global_seed_generator"
_DTYPE_POLICY = "dtype_policy"


@contextmanager
def default_dtype_policy() -> Iterator[None]:
    """Inside, the dtype policy is that of `keras.config.floatx`, as if none had been set."""
    policy = global_state.get_global_attribute(_DTYPE_POLICY)
    global_state.set_global_attribute(_DTYPE_POLICY, None)
    try:
        yield
    finally:
        global_state.set_global_attribute(_DTYPE_POLICY, policy)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, Keras draws what has no seed of its own from this seed.

    Layers draw their seeds from Python's generator (`seed_generator.python_random`), and so may other
    threads, such as Dask's: Keras gets one of Python's generators for itself. Functions of `keras.random`
    take the global seed generator, of which a new one is made.
    """
    generators = seed_generator.python_random, global_state.get_global_attribute(_SEED_GENERATOR)
    seed_generator.python_random = random.Random(seed)
    global_state.set_global_attribute(_SEED_GENERATOR, None)
    try:
        yield
    finally:
        seed_generator.python_random = generators[0]
        global_state.set_global_attribute(_SEED_GENERATOR, generators[1])


def types_in_32_bits() -> dict[str, str]:
    """Which type Keras takes for one of 64 bits on JAX, to be changed in place: `BIT64_TO_BIT32_DTYPE`."""
    types: dict[str, str] = dtypes.BIT64_TO_BIT32_DTYPE
    return types
