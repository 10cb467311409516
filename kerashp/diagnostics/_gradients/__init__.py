"""`check_gradients`: compares automatic gradients with differences of the loss."""
