"""An estimator's parameters: what they may be, whose they are, and how they are copied and pickled."""
