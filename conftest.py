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
# The user's own cache of programs must not matter.
os.environ["KERASHP_CACHE"] = "off"

collect_ignore = [
    f"kerashp/{folder}/{backend}.py"
    for backend in ("jax", "tensorflow")
    if not find_spec(backend)
    for folder in ("_compat", "training/_runtime")
]
if not find_spec("tensorflow"):
    collect_ignore.append("kerashp/training/_runtime/tensorflow_graphs.py")
if find_spec("tensorflow"):
    collect_ignore.append("tests/test_jax_alone.py")
