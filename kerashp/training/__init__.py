"""How a Keras model is trained on behalf of the estimators."""

from kerashp.training._isolation import isolated, without_retracing_warnings

__all__ = ["isolated", "without_retracing_warnings"]
