"""`check_initialization`: checks the scale of signals and gradients before training."""
