"""What the checks share: results that print, what is to be trained, and its loss as a function."""
