"""How the tests compile, and what they leave out where a package is missing, or is there."""

import os
from importlib.util import find_spec

# Most of the tests' time is compiling: take XLA's older, quicker emitters, do not optimize what they emit,
# and keep it in as few memory maps as possible.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
    "--xla_cpu_parallel_codegen_split_count=1",
)

collect_ignore = [] if find_spec("jax") else ["kerashp/training/_runtime/jax.py"]
if find_spec("tensorflow"):
    collect_ignore.append("tests/test_jax_alone.py")
else:
    collect_ignore.append("kerashp/training/_runtime/tensorflow.py")
