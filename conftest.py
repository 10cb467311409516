"""What the tests leave out where a package is missing, or is there."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("jax") else ["kerashp/training/_jax.py"]
if find_spec("tensorflow"):
    collect_ignore.append("tests/test_jax_alone.py")
else:
    collect_ignore.append("kerashp/training/_tensorflow.py")
