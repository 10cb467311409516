"""Epochs as compiled calls: a stack and its data enter, logs and trained states leave."""
