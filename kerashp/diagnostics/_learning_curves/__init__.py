"""`diagnose`: learning curves, the rules that judge them, and advice."""
