"""What a Keras model is made of: its layers, numbers, identity, and what keeps it from being compiled."""
