"""Private names of libraries that propose hyperparameters; each module is imported at use only."""
