"""Private names of JAX."""

from jax._src.xla_bridge import backends_are_initialized

__all__ = ["backends_are_initialized"]  # whether JAX has been used in this process, and so has threads
