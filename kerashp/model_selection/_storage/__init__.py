"""Where results and states of a search are kept: in memory, or in a journal on disk."""
