"""Initial values that are one number."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops


def constant(value: float) -> Callable[..., Any]:
    """An initializer of this number in the type of the variable; Keras' Constant rounds it to float32."""

    def filled(shape: Any, dtype: Any = None) -> Any:
        return ops.convert_to_tensor(np.full(shape, value, dtype))

    return filled
