"""Optuna's studies: scores of candidates enter, proposals, and trials of whole searches, leave."""
