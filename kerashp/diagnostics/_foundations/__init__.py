"""What several checks share: printable results, the setup of a training, a model's loss as a function."""
