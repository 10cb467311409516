"""
Halving against random search
=============================

Successive halving starts with many candidates for few epochs, and gives more epochs only to the best of
them. In kerashp the survivors continue from their weights. It is compared with random searches over the
same space that train for as many epochs in total.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from kerashp import KerasMLPClassifier
from kerashp.model_selection import HalvingRandomSearchCV, RandomizedSearchCV
from kerashp.spaces import int_loguniform, loguniform

X, y = load_digits(return_X_y=True)
X, y = X[:1000], y[:1000]
classifier = KerasMLPClassifier(batch_size=64, epochs=27, tol=None, random_state=0)
space = {
    "learning_rate": loguniform(1e-5, 1.0),
    "n_neurons": int_loguniform(4, 64),
    "l2": loguniform(1e-5, 1.0),
}

# %%
# 27 candidates train for one epoch, the best 9 of them for 3, the best 3 for 9 and the best for 27. These
# are 81 epochs for each fold, as many as three candidates of 27 epochs need.

seeds = range(3)
halving = [
    HalvingRandomSearchCV(
        classifier, space, n_candidates=27, min_resources=1, cv=2, refit=False, random_state=seed
    ).fit(X, y)
    for seed in seeds
]
random = [
    RandomizedSearchCV(classifier, space, n_iter=3, cv=2, refit=False, random_state=seed).fit(X, y)
    for seed in seeds
]
print(f"candidates of each iteration: {halving[0].n_candidates_}, epochs: {halving[0].n_resources_}")
print(f"epochs that continuing has saved: {halving[0].epochs_saved_}")

# %%
# On the left, each line is a candidate of the first halving search, and ends where the candidate was
# eliminated. On the right are the best scores of three searches of each kind: halving has tried nine times
# as many candidates, so that it depends less on luck.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
results = halving[0].cv_results_
keys = [tuple(params[name] for name in space) for params in results["params"]]
for key in dict.fromkeys(keys):
    rows = [row for row, other in enumerate(keys) if other == key]
    left.plot(results["n_resources"][rows], results["mean_test_score"][rows], "o-", color="C0", alpha=0.6)
left.set(xscale="log", xlabel="epochs", ylabel="mean accuracy on held-out rows")
left.set_xticks([1, 3, 9, 27], ["1", "3", "9", "27"])
left.minorticks_off()
for name, searches, marker in (("halving", halving, "o"), ("random", random, "s")):
    right.plot(seeds, [search.best_score_ for search in searches], marker, markersize=9, label=name)
right.set(xlabel="random_state", xticks=seeds, ylabel="best mean accuracy")
right.legend()
plt.show()
