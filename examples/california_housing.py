"""The textbook's own search, on California housing (A. Géron, Hands-On Machine Learning, ch. 10).

    python examples/california_housing.py                     # downloads the data
    python examples/california_housing.py --csv housing.csv   # reads them from a file

The file is the book's table of the 1990 census (columns median_income, housing_median_age, total_rooms, ...)
or any CSV file with the columns MedInc, HouseAge, ..., MedHouseVal.
"""

import argparse
import sys

from startup import load_tensorflow

load_tensorflow()

import keras
import numpy as np
from scipy.stats import reciprocal
from sklearn.datasets import fetch_california_housing
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from kerashp import KerasRegressor
from kerashp.model_selection import RandomizedSearchCV

FEATURES = ["MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude"]


def from_csv(path: str) -> tuple[np.ndarray, np.ndarray]:
    """The eight features, and the target in hundreds of thousands of dollars."""
    table = np.genfromtxt(path, delimiter=",", names=True, dtype=float, encoding="utf-8")
    if set(FEATURES) <= set(table.dtype.names):
        X = np.column_stack([table[name] for name in FEATURES])
        return X, table["MedHouseVal"]
    households = table["households"]
    X = np.column_stack(
        [
            table["median_income"],
            table["housing_median_age"],
            table["total_rooms"] / households,
            table["total_bedrooms"] / households,
            table["population"],
            table["population"] / households,
            table["latitude"],
            table["longitude"],
        ]
    )
    complete = np.isfinite(X).all(axis=1)
    return X[complete], table["median_house_value"][complete] / 1e5


def download() -> tuple[np.ndarray, np.ndarray]:
    """The same data from scikit-learn, which caches the download."""
    try:
        return fetch_california_housing(return_X_y=True, n_retries=0)
    except OSError as error:
        sys.exit(
            f"The data cannot be downloaded ({error}): pass a file with --csv housing.csv, such as that of "
            "the book (housing.tgz in https://github.com/ageron/data), or run this with access to the network"
        )


def build_model(n_hidden=1, n_neurons=30, learning_rate=3e-3, input_shape=[8]):  # noqa: B006
    model = keras.models.Sequential()
    model.add(keras.layers.InputLayer(shape=input_shape))
    for _ in range(n_hidden):
        model.add(keras.layers.Dense(n_neurons, activation="relu"))
    model.add(keras.layers.Dense(1))
    model.compile(loss="mse", optimizer=keras.optimizers.SGD(learning_rate=learning_rate))
    return model


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--csv", help="a file to read instead of downloading")
    parser.add_argument("--rows", type=int, help="the number of rows to use; all by default")
    parser.add_argument("--n-iter", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=100)
    options = parser.parse_args(arguments)
    X, y = from_csv(options.csv) if options.csv else download()
    indices = np.random.default_rng(42).permutation(len(X))[: options.rows]
    X_full, X_test, y_full, y_test = train_test_split(X[indices], y[indices], random_state=42)
    X_train, X_valid, y_train, y_valid = train_test_split(X_full, y_full, random_state=42)
    scaler = StandardScaler().fit(X_train)
    X_train, X_valid, X_test = map(scaler.transform, (X_train, X_valid, X_test))

    keras_reg = KerasRegressor(build_model, random_state=42)
    space = {
        "n_hidden": [0, 1, 2, 3],
        "n_neurons": np.arange(1, 100),
        "learning_rate": reciprocal(3e-4, 3e-2),
    }
    search = RandomizedSearchCV(keras_reg, space, n_iter=options.n_iter, cv=3, random_state=42, verbose=1)
    search.fit(
        X_train,
        y_train,
        epochs=options.epochs,
        validation_data=(X_valid, y_valid),
        callbacks=[keras.callbacks.EarlyStopping(patience=10)],
    )
    print(f"best parameters: {search.best_params_}")
    print(f"R2 by cross-validation: {search.best_score_:.3f}, on {len(X_test)} test rows: ", end="")
    print(f"{search.score(X_test, y_test):.3f}")


if __name__ == "__main__":
    main()
