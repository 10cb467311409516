"""What the tests leave out where an optional package is missing."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("jax") else ["kerashp/training/_runtime/jax.py"]
