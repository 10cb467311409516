"""`check_initialization`: the scale of signals and gradients before training."""
