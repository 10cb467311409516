"""kerashp joins Keras 3 to scikit-learn.

The public names are imported on first use, so that `import kerashp` loads neither TensorFlow nor Keras.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kerashp._version import __version__

if TYPE_CHECKING:
    from kerashp.estimators import KerasClassifier, KerasMLPClassifier, KerasMLPRegressor, KerasRegressor
    from kerashp.models import build_model
    from kerashp.training import fit

_HOMES = {
    "KerasClassifier": "kerashp.estimators",
    "KerasMLPClassifier": "kerashp.estimators",
    "KerasMLPRegressor": "kerashp.estimators",
    "KerasRegressor": "kerashp.estimators",
    "build_model": "kerashp.models",
    "fit": "kerashp.training",
}
_MODULES = (
    "callbacks",
    "diagnostics",
    "estimators",
    "integrations",
    "layers",
    "model_selection",
    "models",
    "plotting",
    "presets",
    "schedules",
    "spaces",
    "training",
)

__all__ = [
    "KerasClassifier",
    "KerasMLPClassifier",
    "KerasMLPRegressor",
    "KerasRegressor",
    "__version__",
    "build_model",
    "fit",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _MODULES:
        return import_module(f"kerashp.{name}")
    raise AttributeError(f"module 'kerashp' has no attribute {name!r}; it has {', '.join(__dir__())}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
