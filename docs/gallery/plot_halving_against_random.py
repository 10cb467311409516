"""
Halving against random search
=============================

Successive halving starts with many candidates for few epochs and gives more epochs only to the best of
them. In kerashp the survivors continue from their weights. It is compared with a random search over the
same space that trains as many epochs in total.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from kerashp import KerasMLPClassifier
from kerashp.model_selection import HalvingRandomSearchCV, RandomizedSearchCV
from kerashp.spaces import int_loguniform, loguniform

X, y = load_digits(return_X_y=True)
classifier = KerasMLPClassifier(batch_size=64, epochs=27, tol=None, random_state=0)
space = {
    "learning_rate": loguniform(1e-4, 1e-1),
    "n_neurons": int_loguniform(8, 128),
    "l2": loguniform(1e-5, 1e-1),
}

halving = HalvingRandomSearchCV(
    classifier, space, n_candidates=27, min_resources=1, cv=3, random_state=0
).fit(X, y)
random = RandomizedSearchCV(classifier, space, n_iter=3, cv=3, random_state=0).fit(X, y)

# %%
# The number of epochs of each search, over all candidates and splits.


def n_epochs(search):
    return sum(len(curves["loss"]) for candidate in search.histories_ for curves in candidate)


for name, search in {"halving": halving, "random": random}.items():
    print(f"{name}: best accuracy {search.best_score_:.3f}, candidates {len(search.cv_results_['params'])}")
print(f"candidates of each iteration: {halving.n_candidates_}, epochs of each: {halving.n_resources_}")
print(f"epochs saved by continuing: {halving.epochs_saved_}")

# %%
# Each line is a candidate of the halving search: it ends where the candidate was eliminated. Many bad
# candidates cost an epoch each; the random search (dashed lines) pays the full number of epochs for each of
# its candidates.

figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
results = halving.cv_results_
names = [str(params) for params in results["params"]]
for name in dict.fromkeys(names):
    rows = [row for row, other in enumerate(names) if other == name]
    n_resources = results["n_resources"][rows]
    ax.plot(n_resources, results["mean_test_score"][rows], "o-", color="tab:blue", alpha=0.5)
for score in random.cv_results_["mean_test_score"]:
    ax.axhline(score, color="tab:orange", linestyle="--")
ax.plot([], [], "o-", color="tab:blue", label="a candidate of halving")
ax.plot([], [], "--", color="tab:orange", label="a candidate of the random search, 27 epochs")
ax.set(xscale="log", xticks=[1, 3, 9, 27], xticklabels=["1", "3", "9", "27"])
ax.set(xlabel="epochs", ylabel="mean accuracy on held-out rows")
ax.legend()
plt.show()
