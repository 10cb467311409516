"""How a Keras model is trained on behalf of the estimators."""

from kerashp.training._isolation import isolated

__all__ = ["isolated"]
