"""
A Bayesian oracle
=================

`OracleSearchCV` lets an oracle of keras-tuner propose the candidates: here a Gaussian process, which learns
from the scores of earlier candidates. Four candidates at a time train together, on all folds.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_friedman1

from kerashp import KerasMLPRegressor
from kerashp.model_selection import OracleSearchCV
from kerashp.spaces import loguniform

X, y = make_friedman1(400, noise=0.5, random_state=0)
search = OracleSearchCV(
    KerasMLPRegressor(n_neurons=64, batch_size=32, epochs=40, tol=None, random_state=0),
    {"learning_rate": loguniform(1e-5, 1e-1), "l2": loguniform(1e-6, 1.0)},
    oracle="bayesian",
    n_trials=40,
    batch=4,
    cv=3,
    random_state=0,
)
search.fit(X, y)
for name, value in search.best_params_.items():
    print(f"{name}: {value:.2g}")
print(f"R2: {search.best_score_:.3f}")

# %%
# Each dot is a candidate, with its place in the order as a number. The first ones are random; most of the
# later ones are where the scores are high, and a few explore the rest of the space.

figure, ax = plt.subplots(figsize=(8, 5.5), layout="constrained")
results = search.cv_results_
rates, penalties = (np.array(results[f"param_{name}"], float) for name in ("learning_rate", "l2"))
dots = ax.scatter(rates, penalties, c=results["mean_test_score"], vmin=0.5, s=220)
for row, score in enumerate(results["mean_test_score"]):
    colour = "white" if score < 0.8 else "black"
    ax.annotate(
        row + 1, (rates[row], penalties[row]), ha="center", va="center", fontsize="small", color=colour
    )
ax.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="L2 penalty")
figure.colorbar(dots, label="mean R2 on held-out rows", extend="min")
plt.show()
