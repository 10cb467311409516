"""The textbook's search over depth, width and learning rate, on scikit-learn's digits and diabetes.

Run it with `make demo`. A. Géron, Hands-On Machine Learning, ch. 10, searches these three parameters; the
penalty `l2` is added because the rows of diabetes are few and noisy.
"""

import argparse
import time
from typing import Any

from startup import load_tensorflow

load_tensorflow()

import numpy as np
from scipy.stats import reciprocal
from sklearn.base import BaseEstimator, is_classifier
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from kerashp import KerasMLPClassifier, KerasMLPRegressor, build_model
from kerashp.model_selection import RandomizedSearchCV
from kerashp.training import without_retracing_warnings

SPACE = {
    "mlp__n_hidden": [0, 1, 2, 3],
    "mlp__n_neurons": np.arange(10, 100),
    "mlp__learning_rate": reciprocal(3e-3, 3e-2),
    "mlp__l2": reciprocal(1e-4, 1e-1),
}
N_SPLITS = 3


def search_over(mlp: BaseEstimator, n_iter: int) -> RandomizedSearchCV:
    pipeline = Pipeline([("scale", StandardScaler()), ("mlp", mlp)])
    return RandomizedSearchCV(pipeline, SPACE, n_iter=n_iter, cv=N_SPLITS, random_state=0, verbose=1)


def print_leaderboard(search: RandomizedSearchCV) -> None:
    results = search.cv_results_
    print("\nrank  score            n_hidden  n_neurons  learning_rate       l2")
    for i in np.argsort(results["rank_test_score"]):
        params = results["params"][i]
        print(
            f"{results['rank_test_score'][i]:4d}  {results['mean_test_score'][i]:.3f} +/- "
            f"{results['std_test_score'][i]:.3f}  {params['mlp__n_hidden']:8d}  "
            f"{params['mlp__n_neurons']:9d}  {params['mlp__learning_rate']:13.5f}  {params['mlp__l2']:7.5f}"
        )


def seconds_with_scikeras(search: RandomizedSearchCV, X: np.ndarray, y: np.ndarray) -> float:
    """The time of the search's fits with scikeras, one after the other.

    A fit of the first and one of the last candidate are measured, each with the number of epochs that it had
    in the search, and scaled by the epochs to all fits.
    """
    from scikeras import wrappers

    mlp = search.best_estimator_["mlp"]
    wrapper = wrappers.KerasClassifier if is_classifier(mlp) else wrappers.KerasRegressor
    encoder = mlp.target_encoder_
    shape = {"input_shape": X.shape[1:], "n_outputs": encoder.width_, "task": encoder.task_}
    rows = len(X) - len(X) // N_SPLITS
    X, y = StandardScaler().fit_transform(X)[:rows], y[:rows]
    epochs = [[len(curves["loss"]) for curves in curves_of] for curves_of in search.histories_]
    seconds, n_trained = 0.0, 0
    for candidate in (0, -1):
        params = search.cv_results_["params"][candidate]
        network: dict[str, Any] = {name.removeprefix("mlp__"): value for name, value in params.items()}
        routed = {f"model__{name}": value for name, value in (network | shape).items()}
        n_epochs = epochs[candidate][0]
        start = time.perf_counter()
        estimator = wrapper(build_model, epochs=n_epochs, batch_size=mlp.batch_size, verbose=0, **routed)
        with without_retracing_warnings():  # of TensorFlow, because each fit of scikeras is traced again
            estimator.fit(X, y).predict(X)
        seconds += time.perf_counter() - start
        n_trained += n_epochs
    return seconds / n_trained * (sum(map(sum, epochs)) + len(mlp.history_["loss"]))


def run(
    title: str, split: list[np.ndarray], mlp: BaseEstimator, peers: list[BaseEstimator], n_iter: int
) -> RandomizedSearchCV:
    X_train, X_test, y_train, y_test = split
    print(f"\n=== {title}: {len(X_train)} training rows, {X_train.shape[1]} features ===", flush=True)
    search = search_over(mlp, n_iter)
    start = time.perf_counter()
    search.fit(X_train, y_train)
    seconds = time.perf_counter() - start
    print(f"\n{n_iter} candidates x {N_SPLITS} folds and a refit in {seconds:.0f} s")
    print(search.explain())
    scikeras = seconds_with_scikeras(search, X_train, y_train)
    print(
        f"scikit-learn's search over scikeras: {scikeras:.0f} s for the same fits (two measured, and scaled)"
    )
    print(f"best parameters: {search.best_params_}")
    print_leaderboard(search)
    print(f"\n{title}, score on {len(X_test)} test rows ({'accuracy' if is_classifier(mlp) else 'R2'})")
    print(f"  {type(mlp).__name__ + ', searched':30s} {search.score(X_test, y_test):.3f}")
    for peer in peers:
        fitted = make_pipeline(StandardScaler(), peer).fit(X_train, y_train)
        print(f"  {type(peer).__name__:30s} {fitted.score(X_test, y_test):.3f}", flush=True)
    return search


def digits() -> list[np.ndarray]:
    """8 x 8 images of the ten digits."""
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, stratify=y, random_state=0)


def diabetes() -> list[np.ndarray]:
    """Ten measurements, and the progression of the disease after a year, standardised."""
    X_train, X_test, y_train, y_test = train_test_split(*load_diabetes(return_X_y=True), random_state=0)
    mean, deviation = y_train.mean(), y_train.std()  # scikit-learn's MLP does not standardize its targets
    return [X_train, X_test, (y_train - mean) / deviation, (y_test - mean) / deviation]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-iter", type=int, default=20, help="the number of candidates for each data set")
    parser.add_argument("--epochs", type=int, default=60, help="the maximal number of epochs of a candidate")
    parser.add_argument("--report", default="report.html", help="the file of the report on digits")
    options = parser.parse_args(arguments)
    training = {
        "batch_size": 64,
        "epochs": options.epochs,
        "early_stopping": True,
        "validation_fraction": 0.2,
        "patience": 5,
        "random_state": 0,
    }
    peer = {"early_stopping": True, "max_iter": 400, "random_state": 0}
    classifiers = [MLPClassifier(**peer), LogisticRegression(max_iter=1000)]
    search = run("digits", digits(), KerasMLPClassifier(**training), classifiers, options.n_iter)
    run(
        "diabetes",
        diabetes(),
        KerasMLPRegressor(**training),
        [MLPRegressor(**peer), RidgeCV()],
        options.n_iter,
    )
    report = search.report(options.report, title="The textbook's search, on digits")
    print(f"\nThe report of the search on digits, with plots and a diagnosis: {report.resolve()}")


if __name__ == "__main__":
    main()
