"""Storage of a search. Plans, results and states enter; they leave in the same or in a later process."""
