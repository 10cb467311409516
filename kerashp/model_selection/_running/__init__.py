"""From a plan to results: in this process, in others and on clusters."""
