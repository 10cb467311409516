"""`find_learning_rate`: trains with many learning rates and suggests the first one to use."""
