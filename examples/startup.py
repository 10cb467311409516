"""Loads TensorFlow without the messages that its libraries (oneDNN, CUDA, absl) write to stderr meanwhile.

They are written before TensorFlow reads its settings, so no environment variable suppresses them. Here they
are removed, and all other lines are shown. Only the examples use it; kerashp does not need it.
"""

import os
import re
import sys
import tempfile
from typing import Any

_INFORMATION = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog|I\d{4} |To enable the following"
)
_STDERR = 2


def load_tensorflow() -> None:
    """Import Keras and its backend without these messages."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr = os.dup(_STDERR)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), _STDERR)
        try:
            import keras  # noqa: F401
        finally:
            os.dup2(stderr, _STDERR)
            os.close(stderr)
            captured.seek(0)
            for line in captured:
                if not _INFORMATION.match(line):
                    os.write(_STDERR, line)


def dask_setup(worker: Any) -> None:  # noqa: ARG001
    """Called by Dask in each worker that preloads this file."""
    load_tensorflow()
