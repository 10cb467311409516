"""Loads TensorFlow without the lines that its libraries write to stderr meanwhile (oneDNN, CUDA, absl).

They are written before any setting of TensorFlow's is read, so that no environment variable turns them off:
here they are left out, and all else is shown. The examples begin with it; nothing in kerashp needs it.
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
    """Import Keras and its backend in silence."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr = os.dup(_STDERR)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), _STDERR)
        try:
            import keras  # noqa: F401
        finally:
            os.dup2(stderr, _STDERR)
            os.close(stderr)
            written.seek(0)
            for line in written:
                if not _INFORMATION.match(line):
                    os.write(_STDERR, line)


def dask_setup(worker: Any) -> None:  # noqa: ARG001
    """What Dask calls in each worker that preloads this file."""
    load_tensorflow()
