"""Evaluation of candidates. Tasks and a storage enter; the results of finished candidates leave."""
