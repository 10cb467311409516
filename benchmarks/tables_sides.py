"""The sides of benchmarks/tables.py: their names, kinds, versions, and where each of them runs."""

from dataclasses import dataclass

LINEAR, TREES, CATBOOST = "linear", "HistGradientBoosting", "CatBoost"
REALMLP, REALMLP_CROSS_ENTROPY = "RealMLP-TD", "RealMLP-TD, cross-entropy"
TABM, MLP = "TabM-D", "MLP search"
OURS, ENSEMBLE = "kerashp", "kerashp ensemble"
BUDGET = 60.0  # seconds, of the page


@dataclass(frozen=True)
class Side:
    """What the runner and the page have to know of a side.

    Attributes
    ----------
    module, function : str
        What runs it.
    recipe : int
        Its version: another one is run again.
    is_budgeted, is_peer, is_neural : bool
        Whether it gets a budget, runs in the peers' environment, and is a network.
    classes_only : bool
        Whether it differs from RealMLP-TD for classes only.
    """

    module: str
    function: str
    recipe: int = 1
    is_budgeted: bool = False
    is_peer: bool = False
    is_neural: bool = False
    classes_only: bool = False


RUNS = {
    LINEAR: Side("tables_sklearn", "linear"),
    TREES: Side("tables_sklearn", "trees"),
    CATBOOST: Side("tables_peers", "catboost", is_budgeted=True, is_peer=True),
    REALMLP: Side("tables_peers", "realmlp", is_peer=True, is_neural=True),
    OURS: Side("tables_kerashp", "searched", recipe=1, is_budgeted=True, is_neural=True),
    REALMLP_CROSS_ENTROPY: Side(
        "tables_peers", "realmlp_cross_entropy", is_peer=True, is_neural=True, classes_only=True
    ),
    MLP: Side("tables_sklearn", "perceptrons", is_budgeted=True, is_neural=True),
    TABM: Side("tables_peers", "tabm", is_budgeted=True, is_peer=True, is_neural=True),
}
# A run of kerashp has two outcomes.
SIDES = {**RUNS, ENSEMBLE: RUNS[OURS]}
