"""
Learning curves of a search
===========================

A search keeps every learning curve. `LearningCurvesDisplay` draws them all, with the best candidate on top;
it also draws a single estimator, or a `History` of Keras.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer

from kerashp import KerasMLPClassifier
from kerashp.model_selection import RandomizedSearchCV
from kerashp.plotting import LearningCurvesDisplay
from kerashp.spaces import loguniform

X, y = load_breast_cancer(return_X_y=True)
classifier = KerasMLPClassifier(
    n_neurons=32,
    batch_size=32,
    epochs=40,
    early_stopping=True,
    validation_fraction=0.2,
    patience=5,
    random_state=0,
)
search = RandomizedSearchCV(
    classifier,
    {"learning_rate": loguniform(1e-4, 1e-1), "dropout": [0.0, 0.2, 0.4]},
    n_iter=12,
    cv=3,
    random_state=0,
)
search.fit(X, y)

# %%
# `histories_` has the curves by candidate and split.

curves = search.histories_[search.best_index_][0]
rate = search.best_params_["learning_rate"]
print(f"best learning rate {rate:.2g}: {len(curves['loss'])} epochs on the first split")

# %%
# The left plot has all fits of the search. A fit stops by itself (bars) when its validation loss has not
# improved for five epochs; a ring is the epoch whose weights were restored. The right plot has the best
# candidate alone, after it was trained again on all rows.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
LearningCurvesDisplay.from_search(search, ax=left)
LearningCurvesDisplay.from_estimator(search.best_estimator_, ax=right)
left.set_title("all fits of the search")
right.set_title("the best candidate, on all rows")
plt.show()
