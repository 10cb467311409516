"""`build_model` in a Keras training script, without scikit-learn's estimators: digits as 8 x 8 images."""

import argparse

from startup import load_tensorflow

load_tensorflow()

import keras
import numpy as np
from sklearn.datasets import load_digits

from kerashp import build_model


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args(arguments)
    keras.utils.set_random_seed(42)
    digits = load_digits()
    order = np.random.default_rng(42).permutation(len(digits.images))
    X, y = digits.images[order].astype("float32"), digits.target[order]
    X_train, X_valid, X_test = np.split(X, [1200, 1500])
    y_train, y_valid, y_test = np.split(y, [1200, 1500])

    model = build_model(
        n_hidden=2,
        n_neurons="input",
        learning_rate=1e-3,
        input_shape=(8, 8),
        n_outputs=10,
        task="multiclass",
        taper=0.5,
        dropout=0.2,
        normalize=X_train,
        optimizer="adam",
    )
    model.summary()
    model.fit(
        X_train,
        y_train,
        epochs=options.epochs,
        validation_data=(X_valid, y_valid),
        callbacks=[keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)],
        verbose=2,
    )
    accuracy = np.mean(model.predict(X_test, verbose=0).argmax(axis=1) == y_test)
    print(f"accuracy on {len(X_test)} test rows: {accuracy:.3f}")


if __name__ == "__main__":
    main()
