"""
A Bayesian oracle
=================

`OracleSearchCV` lets an oracle of keras-tuner propose the candidates: here a Gaussian process, which learns
from the scores of earlier candidates. Several candidates at a time train together on all folds.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from kerashp import KerasMLPRegressor
from kerashp.model_selection import OracleSearchCV, RandomizedSearchCV
from kerashp.spaces import loguniform, one_minus_loguniform

X, y = load_diabetes(return_X_y=True)
regressor = KerasMLPRegressor(
    n_neurons=32, optimizer="sgd", batch_size=32, epochs=20, tol=None, random_state=0
)
space = {
    "learning_rate": loguniform(1e-5, 1e-1),
    "momentum": one_minus_loguniform(0.5, 0.99),
    "l2": loguniform(1e-4, 1.0),
}
oracle = OracleSearchCV(regressor, space, oracle="bayesian", n_trials=32, batch=4, cv=3, random_state=0)
oracle.fit(X, y)
random = RandomizedSearchCV(regressor, space, n_iter=32, cv=3, random_state=0).fit(X, y)
print(f"Bayesian: {oracle.best_score_:.3f} with {oracle.best_params_}")
print(f"random:   {random.best_score_:.3f} with {random.best_params_}")

# %%
# The first trials of the oracle are random, as in the other search. Afterwards most of its proposals are
# near the best score, while the random search keeps drawing bad learning rates.

figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
for search, name, colour in ((oracle, "Bayesian", "tab:blue"), (random, "random", "tab:orange")):
    scores = search.cv_results_["mean_test_score"]
    trials = np.arange(1, len(scores) + 1)
    ax.plot(trials, scores, "o", color=colour, alpha=0.6, label=f"{name}: a candidate")
    ax.step(trials, np.maximum.accumulate(scores), color=colour, where="post", label=f"{name}: best so far")
ax.set(xlabel="candidates", ylabel="mean R2 on held-out rows")
ax.legend(loc="lower right")
plt.show()
