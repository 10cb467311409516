"""Groups of fits that train together. Tasks enter; prepared fits, a pool of their rows and a `Plan` leave."""
