"""The one file that imports scikeras, without the patches that its import applies to Keras."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from sklearn.utils import Tags

_PATCHED = (keras.Model, keras.losses.Loss, keras.metrics.Metric, keras.optimizers.Optimizer)
_METHODS = ("__reduce__", "__deepcopy__")


@contextmanager
def _unpatched() -> Iterator[None]:
    """Give Keras' classes their own methods back, unless scikeras was imported by somebody else before.

    They get them back also where the import fails midway.
    """
    imported = "scikeras" in sys.modules
    before = [(owner, name, vars(owner).get(name)) for owner in _PATCHED for name in _METHODS]
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"kerashp's estimators and searches extend scikeras, which cannot be imported ({error}); install "
            "it: pip install scikeras. kerashp.fit, build_model, training and callbacks work without it"
        ) from error
    finally:
        for owner, name, method in [] if imported else before:
            if method is not None:
                setattr(owner, name, method)
            elif name in vars(owner):
                delattr(owner, name)


with _unpatched():
    from scikeras._utils import route_params
    from scikeras.utils import loss_name
    from scikeras.utils.transformers import ClassifierLabelEncoder, RegressorTargetEncoder
    from scikeras.wrappers import BaseWrapper


def _sklearn_tags(self: Any) -> Tags:
    return super(BaseWrapper, self).__sklearn_tags__()


# scikit-learn's checks refuse every class among an estimator's bases that has `_more_tags` without
# `__sklearn_tags__`, whatever its subclasses have. It changes no tag.
if "__sklearn_tags__" not in vars(BaseWrapper):
    BaseWrapper.__sklearn_tags__ = _sklearn_tags


def routing_prefixes() -> frozenset[str]:
    """The beginnings, before `__`, of the parameters that scikeras routes: `_routing_prefixes`."""
    return frozenset(BaseWrapper._routing_prefixes)


__all__ = [
    "BaseWrapper",
    "ClassifierLabelEncoder",
    "RegressorTargetEncoder",
    "loss_name",
    "route_params",
    "routing_prefixes",
]
