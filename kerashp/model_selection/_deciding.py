"""The one score that a search goes by while it searches."""

from typing import Any


def check_one_decides(search: Any) -> None:
    """Refuse several scores of which `refit` names none."""
    if isinstance(search.scoring, list | tuple | set | dict) and not isinstance(search.refit, str):
        raise ValueError(
            f"{type(search).__name__} goes by one score while it searches; got several, and "
            f"refit={search.refit!r}. Set refit to the name of one"
        )


def deciding(search: Any, results: dict[str, Any]) -> dict[str, Any]:
    """What `cv_results_` says of the candidates by that score, under the names of a single one."""
    name = search.refit if f"mean_test_{search.refit}" in results else "score"
    if f"mean_test_{name}" not in results:
        raise ValueError(
            f"{type(search).__name__} goes by one score while it searches; scoring returns several, and "
            f"refit={search.refit!r}. Set refit to the name of one"
        )
    columns = {f"{what}_test_score": results[f"{what}_test_{name}"] for what in ("mean", "rank")}
    return {"params": results["params"], **columns}
