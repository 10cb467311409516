"""CatBoost and pytabkit's sides of benchmarks/tables.py, which run in an environment of their own."""

import time
from typing import Any

import numpy as np
import pandas as pd
from joblib import cpu_count
from sklearn.impute import SimpleImputer
from tables_data import Table
from tables_scores import Outcome, loss
from tables_sides import CATBOOST, REALMLP, REALMLP_CROSS_ENTROPY, TABM

HELD_OUT = 0.2  # of the training rows: pytabkit's own share
CROSS_ENTROPY = {"val_metric_name": "cross_entropy", "use_ls": False}


# CatBoost.


class Deadline:
    """Ends CatBoost's training after the iteration in which the time is over."""

    def __init__(self, ends: float):
        self.ends, self.is_over = ends, False

    def after_iteration(self, _: Any) -> bool:
        self.is_over = time.perf_counter() > self.ends
        return not self.is_over


def catboost(table: Table, budget: float) -> list[Outcome]:
    """Defaults; a callback stops it at the end of the budget."""
    from catboost import CatBoostClassifier, CatBoostRegressor

    X, X_test = (with_text(frame, table.categories) for frame in (table.X, table.X_test))
    options = {"thread_count": cpu_count(), "verbose": False, "allow_writing_files": False}
    kind = CatBoostRegressor if table.is_regression else CatBoostClassifier
    model = kind(cat_features=table.categories, random_seed=table.split, **options)
    began = time.perf_counter()
    deadline = Deadline(began + budget)
    model.fit(X, table.y, callbacks=[deadline])
    seconds = time.perf_counter() - began
    predicted = model.predict(X_test) if table.is_regression else model.predict_proba(X_test)
    details = {"iterations": model.tree_count_, "out_of_time": deadline.is_over}
    return [Outcome(CATBOOST, np.asarray(predicted), seconds, details=details)]


def with_text(frame: pd.DataFrame, categories: list[str]) -> pd.DataFrame:
    """Categories as text, since CatBoost takes no missing ones."""
    text = {name: frame[name].astype(object).where(frame[name].notna(), "missing") for name in categories}
    return frame.assign(**text)


# pytabkit.


def realmlp(table: Table, _budget: float) -> list[Outcome]:
    """Defaults, with all of its epochs."""
    return [real_mlp(table, REALMLP, {})]


def realmlp_cross_entropy(table: Table, _budget: float) -> list[Outcome]:
    """With the two settings that its documentation recommends where the log-loss counts."""
    return [real_mlp(table, REALMLP_CROSS_ENTROPY, {} if table.is_regression else CROSS_ENTROPY)]


def real_mlp(table: Table, side: str, options: dict[str, Any]) -> Outcome:
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    kind = RealMLP_TD_Regressor if table.is_regression else RealMLP_TD_Classifier
    return fitted(table, side, kind(**options, **device(table)))


def tabm(table: Table, budget: float) -> list[Outcome]:
    """Defaults, but the epoch of the least log-loss for classes, and no epoch that exceeds the budget."""
    from pytabkit import TabM_D_Classifier, TabM_D_Regressor

    kind = TabM_D_Regressor if table.is_regression else TabM_D_Classifier
    options = {} if table.is_regression else {"val_metric_name": "cross_entropy"}
    clock = Clock(budget)
    model = kind(**options, **device(table))
    patience = model._get_default_params()["patience"]
    outcome = fitted(table, TABM, model.set_params(patience=Patience(patience, clock)), clock)
    outcome.details.update(epochs=clock.epochs, out_of_time=clock.is_over)
    return [outcome]


def device(table: Table) -> dict[str, Any]:
    return {"device": "cpu", "n_threads": cpu_count(), "random_state": table.split}


class Clock:
    """Counts epochs, and says whether the next would end after the budget."""

    def __init__(self, budget: float):
        self.budget, self.epochs, self.is_over = budget, 0, False
        self.start()

    def start(self) -> None:
        self.began = self.last = time.perf_counter()

    def tick(self) -> bool:
        now = time.perf_counter()
        epoch, self.last, self.epochs = now - self.last, now, self.epochs + 1
        self.is_over = now + epoch > self.began + self.budget
        return self.is_over


class Patience(int):
    """The patience of TabM, which looks once an epoch whether it is below 0: there is no other limit of time.

    After the last epoch that fits into the budget it is, and TabM takes the weights of its best epoch.
    """

    clock: Clock

    def __new__(cls, epochs: int, clock: Clock) -> "Patience":
        patience = super().__new__(cls, epochs)
        patience.clock = clock
        return patience

    def __sub__(self, epochs: int) -> "Patience":
        return Patience(int(self) - epochs, self.clock)

    def __lt__(self, limit: int) -> bool:
        is_over = self.clock.tick()
        return is_over or int(self) < limit


def fitted(table: Table, side: str, model: Any, clock: Clock | None = None) -> Outcome:
    """Fit with a fifth of the rows held out, as pytabkit does itself, but known here, for their score."""
    rows = np.random.default_rng(table.split).permutation(len(table.X))
    held_out = np.sort(rows[: round(HELD_OUT * len(rows))])
    if clock is not None:
        clock.start()
    began = time.perf_counter()
    imputer = Imputer(table.X)
    X = imputer.transform(table.X)
    model.fit(X, table.y, val_idxs=held_out)
    seconds = time.perf_counter() - began
    predict = model.predict if table.is_regression else model.predict_proba
    validation = loss(table, table.y[held_out], predict(X.iloc[held_out]))
    return Outcome(side, predict(imputer.transform(table.X_test)), seconds, validation)


class Imputer:
    """Means and indicators for missing numbers, which pytabkit does not take, unlike missing categories."""

    def __init__(self, X: pd.DataFrame):
        self.numbers = list(X.select_dtypes("number"))
        self.imputer = SimpleImputer(add_indicator=True).set_output(transform="pandas")
        self.imputer.fit(X[self.numbers])

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([self.imputer.transform(X[self.numbers]), X.drop(columns=self.numbers)], axis=1)
