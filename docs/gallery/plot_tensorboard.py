"""
A search in TensorBoard
=======================

`TensorBoardLogger` writes a run for each candidate of a search, and `CSVLogger` a row in a table. Both get a
candidate when it ends, and neither needs a server.
"""

import csv
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerashp import KerasMLPClassifier
from kerashp.integrations import CSVLogger, TensorBoardLogger
from kerashp.model_selection import RandomizedSearchCV
from kerashp.spaces import loguniform

X, y = load_wine(return_X_y=True)
runs = tempfile.TemporaryDirectory()
table = Path(runs.name) / "results.csv"
search = RandomizedSearchCV(
    make_pipeline(StandardScaler(), KerasMLPClassifier(epochs=15, batch_size=16, tol=None, random_state=0)),
    {
        "kerasmlpclassifier__learning_rate": loguniform(1e-4, 1e-1),
        "kerasmlpclassifier__n_neurons": [8, 16, 32],
    },
    n_iter=12,
    cv=3,
    scoring="neg_log_loss",
    random_state=0,
    loggers=[CSVLogger(table), TensorBoardLogger(runs.name)],
)
search.fit(X, y)

# %%
# `tensorboard --logdir` with this folder shows the candidates on its HParams page, and their learning curves,
# the means over the splits, on its page of scalars. There is a folder for each candidate:

print(*sorted(path.name for path in Path(runs.name).glob("RandomizedSearchCV-*/*") if path.is_dir()))

# %%
# The table has the parameters, scores and seconds of each candidate, in the order in which they ended. Its
# columns have the names of `cv_results_`.

with table.open(newline="") as file:
    rows = list(csv.DictReader(file))
best = max(rows, key=lambda row: float(row["mean_test_score"]))
print(best["candidate"], best["param_kerasmlpclassifier__learning_rate"], best["mean_test_score"])
runs.cleanup()

# %%
# The figure shows the table: with rates below 0.001, the networks have learned little after 15 epochs.

rates = [float(row["param_kerasmlpclassifier__learning_rate"]) for row in rows]
scores = [float(row["mean_test_score"]) for row in rows]
widths = [float(row["param_kerasmlpclassifier__n_neurons"]) for row in rows]
points = plt.scatter(rates, scores, c=widths, cmap="viridis_r")
plt.colorbar(points, label="n_neurons")
plt.xscale("log")
plt.xlabel("learning_rate")
plt.ylabel("mean negative log loss")
plt.show()
