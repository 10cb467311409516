"""kerashp in other libraries: loggers of searches, and modules that are imported by name.

The public names are imported on first use, and the libraries of the loggers when they are used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kerashp import _loading  # noqa: F401  # before Keras

if TYPE_CHECKING:
    from kerashp.integrations._csv import CSVLogger
    from kerashp.integrations._mlflow import MLflowLogger
    from kerashp.integrations._tensorboard import TensorBoardLogger
    from kerashp.integrations._wandb import WandbLogger
    from kerashp.model_selection._logging.protocol import (
        CandidateResult,
        LoggerWarning,
        SearchDescription,
        SearchLogger,
    )

_PROTOCOL = "kerashp.model_selection._logging.protocol"
_HOMES = {
    "CSVLogger": "kerashp.integrations._csv",
    "MLflowLogger": "kerashp.integrations._mlflow",
    "TensorBoardLogger": "kerashp.integrations._tensorboard",
    "WandbLogger": "kerashp.integrations._wandb",
    "CandidateResult": _PROTOCOL,
    "LoggerWarning": _PROTOCOL,
    "SearchDescription": _PROTOCOL,
    "SearchLogger": _PROTOCOL,
}

__all__ = [
    "CSVLogger",
    "CandidateResult",
    "LoggerWarning",
    "MLflowLogger",
    "SearchDescription",
    "SearchLogger",
    "TensorBoardLogger",
    "WandbLogger",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    names = ", ".join(__all__)
    raise AttributeError(f"module 'kerashp.integrations' has no attribute {name!r}; it has {names}")


def __dir__() -> list[str]:
    return sorted(__all__)
