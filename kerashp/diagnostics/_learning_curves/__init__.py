"""`diagnose`: learning curves, the rules that read them, and what to do next."""
