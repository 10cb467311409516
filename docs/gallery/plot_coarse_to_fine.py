"""
From coarse to fine
===================

`CoarseToFineSearchCV` searches in rounds. Each round draws from a space that is half as wide as the one
before, on the scale of each parameter, around the best candidates so far.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from kerashp import KerasMLPClassifier
from kerashp.model_selection import CoarseToFineSearchCV
from kerashp.spaces import loguniform

X, y = load_digits(return_X_y=True)
search = CoarseToFineSearchCV(
    KerasMLPClassifier(n_neurons=64, batch_size=64, epochs=10, tol=None, random_state=0),
    {"learning_rate": loguniform(1e-5, 1.0), "l2": loguniform(1e-6, 1.0)},
    n_iter=12,
    n_rounds=3,
    cv=3,
    random_state=0,
)
search.fit(X, y)
for number, one in enumerate(search.rounds_):
    low, high = one.space["learning_rate"].support()
    print(f"round {number}: learning rates from {low:.2g} to {high:.2g}, best score {one.best_score:.3f}")

# %%
# Each rectangle is the space of a round, and its dots are the candidates that were drawn from it. The
# second and the third round spend their candidates where the first has found high accuracies.

figure, ax = plt.subplots(figsize=(7, 5), layout="constrained")
results = search.cv_results_
for number, one in enumerate(search.rounds_):
    (left, right), (low, high) = (one.space[name].support() for name in ("learning_rate", "l2"))
    colour = f"C{number}"
    ax.fill([left, right, right, left], [low, low, high, high], fill=False, edgecolor=colour, linewidth=2)
    rows = list(one.candidates)
    dots = ax.scatter(
        results["param_learning_rate"][rows].astype(float),
        results["param_l2"][rows].astype(float),
        c=results["mean_test_score"][rows].astype(float),
        vmin=0.8,
        vmax=0.96,
        edgecolors=colour,
        s=60,
        label=f"round {number}",
    )
ax.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="L2 penalty")
ax.legend(loc="upper left")
figure.colorbar(dots, label="mean accuracy on held-out rows", extend="min")
plt.show()
