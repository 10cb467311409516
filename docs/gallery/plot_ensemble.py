"""
An ensemble against its members
===============================

A search has predicted all held-out rows with every candidate. `ensemble` picks, one after the other, the
candidates whose mean prediction is best on them, and trains each on all rows. This costs no further search.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import make_friedman1
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split

from kerashp import KerasMLPRegressor
from kerashp.model_selection import RandomizedSearchCV
from kerashp.spaces import int_loguniform, loguniform

X, y = make_friedman1(1300, noise=1.0, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=300, random_state=0)
search = RandomizedSearchCV(
    KerasMLPRegressor(batch_size=32, epochs=60, tol=None, random_state=0),
    {
        "learning_rate": loguniform(1e-3, 3e-2),
        "n_neurons": int_loguniform(8, 128),
        "l2": loguniform(1e-4, 1e-1),
    },
    n_iter=30,
    scoring="neg_root_mean_squared_error",
    random_state=0,
)
search.fit(X_train, y_train)
ensemble = search.ensemble(10)
print(f"{len(ensemble.members_)} members, with the weights {ensemble.weights_.round(2)}")

# %%
# The figure shows the errors on test rows, of which the search knows nothing: the ensemble's is lower than
# that of the best candidate of the search, and than that of each of its members. The noise of the targets,
# 1, is part of all errors.

errors = [root_mean_squared_error(y_test, member.predict(X_test)) for member in ensemble.members_]
best = root_mean_squared_error(y_test, search.predict(X_test))
together = root_mean_squared_error(y_test, ensemble.predict(X_test))

figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
numbers = range(1, len(errors) + 1)
ax.scatter(numbers, errors, s=1000 * ensemble.weights_, alpha=0.6, label="a member (area: its weight)")
ax.axhline(best, color="tab:orange", linestyle="--", label="the best candidate of the search")
ax.axhline(together, color="tab:green", label="the ensemble")
ax.set(xlabel="member", ylabel="root mean squared error on test rows", xticks=numbers)
ax.margins(y=0.2)
ax.legend(loc="upper left")
plt.show()
