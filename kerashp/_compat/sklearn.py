"""scikit-learn's names that not all supported versions have."""

from typing import Any


def arguments_of_run_search(callback_ctx: Any) -> dict[str, Any]:
    """What `BaseSearchCV._run_search` takes beside `evaluate_candidates`.

    Since scikit-learn 1.9 that is the context of the search's callbacks, which earlier versions do not have.
    """
    return {} if callback_ctx is None else {"callback_ctx": callback_ctx}
