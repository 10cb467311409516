"""One candidate on one split: what is asked for, until when, and what comes of it."""
