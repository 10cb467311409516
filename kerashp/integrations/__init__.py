"""kerashp in other libraries, in modules that are imported by name."""

from kerashp import _loading  # noqa: F401  # before Keras
