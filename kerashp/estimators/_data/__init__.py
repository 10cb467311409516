"""Rows, targets and the models that take them: what scikit-learn passes, as a network takes it, and back."""
