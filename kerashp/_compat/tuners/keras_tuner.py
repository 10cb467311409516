"""keras-tuner, to be imported at use only: what it needs and does not declare, TensorFlow brings."""

try:
    import keras_tuner
except ImportError as error:
    raise ImportError(
        f"keras-tuner cannot be imported ({error}), which oracles and their spaces need. Install it, and "
        "what it does not declare, where TensorFlow is missing: pip install keras-tuner grpcio protobuf"
    ) from error

__all__ = ["keras_tuner"]
