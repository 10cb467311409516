"""scikit-learn's sides of benchmarks/tables.py."""

import time
import warnings
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, clone
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, ParameterSampler, cross_validate
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tables_data import Table
from tables_scores import Outcome, loss_of, predicted
from tables_sides import LINEAR, MLP, TREES

N_FOLDS = 4
PENALTIES, INVERSE_PENALTIES = np.logspace(-3, 5, 17), np.logspace(-4, 3, 8)
WIDTHS = np.geomspace(32, 256, 10).round().astype(int).tolist()
PERCEPTRONS = {
    "hidden_layer_sizes": [(width,) * depth for depth in (1, 2, 3) for width in WIDTHS],
    "learning_rate_init": loguniform(1e-4, 3e-2),
    "alpha": loguniform(1e-6, 1e-1),
    "batch_size": [32, 64, 128, 256],
}


def encoded(estimator: Any) -> Any:
    """Numbers imputed, with indicators, and standardised; categories one-hot."""
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    transformer = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (categories, make_column_selector(dtype_include="category")),
    )
    return make_pipeline(transformer, estimator)


def linear(table: Table, _budget: float) -> list[Outcome]:
    """Ridge or logistic regression, whose penalty is chosen by cross-validation."""
    model: BaseEstimator
    if table.is_regression:
        model = RidgeCV(PENALTIES)
    else:
        search_space = {"C": INVERSE_PENALTIES}
        logistic = LogisticRegression(max_iter=1000)
        model = GridSearchCV(logistic, search_space, cv=N_FOLDS, scoring="neg_log_loss")
    pipeline = encoded(model)
    began = time.perf_counter()
    pipeline.fit(table.X, table.y)
    seconds = time.perf_counter() - began
    return [Outcome(LINEAR, predicted(pipeline, table), seconds, loss_of(model.best_score_, table))]


def trees(table: Table, _budget: float) -> list[Outcome]:
    """Defaults; categories by their type."""
    kind = HistGradientBoostingRegressor if table.is_regression else HistGradientBoostingClassifier
    model = kind(categorical_features="from_dtype", random_state=table.split)
    began = time.perf_counter()
    model.fit(table.X, table.y)
    seconds = time.perf_counter() - began
    return [Outcome(TREES, predicted(model, table), seconds)]


def perceptrons(table: Table, budget: float) -> list[Outcome]:
    """Random candidates on all cores until the refit of the best fills the budget; one at the least."""
    kind = MLPRegressor if table.is_regression else MLPClassifier
    pipeline = encoded(kind(early_stopping=True, random_state=table.split))
    prefix = f"{kind.__name__.lower()}__"
    if table.is_regression:
        pipeline = TransformedTargetRegressor(pipeline, transformer=StandardScaler())
        prefix = f"regressor__{prefix}"
    space = {prefix + name: values for name, values in PERCEPTRONS.items()}
    candidates = ParameterSampler(space, 10_000, random_state=table.split)
    scoring = "neg_mean_squared_error" if table.is_regression else "neg_log_loss"
    Parallel(n_jobs=cpu_count())(delayed(wait)() for _ in range(cpu_count()))
    began = time.perf_counter()
    best, n_candidates = None, 0
    parallel = Parallel(n_jobs=cpu_count(), return_as="generator_unordered", pre_dispatch="2*n_jobs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is stopped while workers are running
        works = (delayed(judged)(clone(pipeline), params, table.X, table.y, scoring) for params in candidates)
        for score, seconds, params in parallel(works):
            n_candidates += 1
            if best is None or score > best[0]:
                best = score, seconds, params
            if time.perf_counter() - began + best[1] > budget:
                break
    score, _, params = best
    pipeline.set_params(**params).fit(table.X, table.y)
    seconds = time.perf_counter() - began
    details = {"candidates": n_candidates, "params": {k.removeprefix(prefix): v for k, v in params.items()}}
    return [Outcome(MLP, predicted(pipeline, table), seconds, loss_of(score, table), details)]


def wait() -> None:
    """Keeps a new worker busy while the others start: imports are not timed."""
    time.sleep(1)


def judged(
    pipeline: Any, params: dict[str, Any], X: Any, y: np.ndarray, scoring: str
) -> tuple[float, float, dict[str, Any]]:
    """The mean score, and the seconds that a fit on all rows may take."""
    warnings.simplefilter("ignore")
    done = cross_validate(pipeline.set_params(**params), X, y, cv=N_FOLDS, scoring=scoring)
    score = float(np.nan_to_num(done["test_score"].mean(), nan=-np.inf))
    return score, float(done["fit_time"].mean()) * N_FOLDS / (N_FOLDS - 1), params
