"""Private names of JAX."""

from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import jax
from jax._src import compilation_cache
from jax._src.xla_bridge import backends_are_initialized
from keras.src.backend.jax import random

__all__ = ["backends_are_initialized"]  # whether JAX has been used in this process, and so has threads


class CompilationCache:
    """JAX's cache of what XLA compiles, in terms of another: the interface of `CacheInterface`.

    Parameters
    ----------
    name : str
        Stands for the folder that JAX would take.
    read : callable
        The content by the key of an entry; None where there is none.
    write : callable
        Keeps the content.
    """

    def __init__(self, name: str, read: Callable[[str], bytes | None], write: Callable[[str, bytes], None]):
        self._path = Path(name)
        self._name = name
        self._read = read
        self._write = write

    def get(self, key: str) -> bytes | None:
        if jax.config.jax_compilation_cache_dir != self._name:  # the user has set a folder since
            compilation_cache.reset_cache()
            return None
        return self._read(key)

    def put(self, key: str, value: bytes) -> None:
        self._write(key, value)


def use_compilation_cache(cache: CompilationCache) -> None:
    """Have JAX keep all that XLA compiles in this cache, unless the user has named a folder.

    It stands for `_cache` and `_cache_initialized` of `compilation_cache`, which JAX sets by the folder.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return
    jax.config.update("jax_compilation_cache_dir", cache._name)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")  # XLA would write beside the cache
    compilation_cache._cache = cache
    compilation_cache._cache_initialized = True


def namespace_of_draws() -> MutableMapping[str, Any]:
    """The functions by which Keras draws random arrays on JAX, by name: `keras.src.backend.jax.random`."""
    return vars(random)
