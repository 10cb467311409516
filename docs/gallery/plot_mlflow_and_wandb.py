"""
A search in MLflow and in Weights & Biases
==========================================

`MLflowLogger` writes to a tracking server, or, as here, to a file of SQLite. `WandbLogger` with
`mode="offline"` writes files that `wandb sync` sends later. `log_to` logs a fitted search to either.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from mlflow import MlflowClient
from sklearn.datasets import load_wine

from kerashp import KerasMLPClassifier
from kerashp.integrations import MLflowLogger, WandbLogger
from kerashp.model_selection import RandomizedSearchCV
from kerashp.spaces import loguniform

X, y = load_wine(return_X_y=True)
search = RandomizedSearchCV(
    KerasMLPClassifier(epochs=15, batch_size=16, tol=None, random_state=0),
    {"learning_rate": loguniform(1e-4, 1e-1), "n_neurons": [8, 16, 32]},
    n_iter=6,
    cv=3,
    random_state=0,
)
search.fit(X, y)

# %%
# MLflow: a run for the search, with the best model, and a nested run for each candidate. The curves of a
# candidate are metrics by epoch, here read back.

runs = tempfile.TemporaryDirectory()
server = f"sqlite:///{runs.name}/mlflow.db"
client = MlflowClient(server)
experiment = client.create_experiment("wine", artifact_location=Path(runs.name, "artifacts").as_uri())
search.log_to(MLflowLogger(server, "wine"))
candidates = client.search_runs(
    [experiment], "tags.`kerashp.candidate` != 'none'", order_by=["metrics.mean_test_score DESC"]
)
for run in candidates[:3]:
    print(run.data.params["learning_rate"], run.data.params["n_neurons"], run.data.metrics["mean_test_score"])
curves = {}
for run in candidates:
    history = client.get_metric_history(run.info.run_id, "loss")
    curves[run.data.params["learning_rate"]] = [entry.value for entry in history]

# %%
# Weights & Biases: a run for each candidate and one for the search, which share a group.

search.log_to(WandbLogger("wine", mode="offline", folder=runs.name))
print(len(list(Path(runs.name).glob("wandb/offline-run-*"))), "offline runs")
runs.cleanup()

# %%
# The learning curves as MLflow has them, each the mean over the splits.

for rate, curve in curves.items():
    plt.plot(range(1, len(curve) + 1), curve, label=f"{float(rate):.2g}")
plt.xlabel("epoch")
plt.ylabel("loss")
plt.legend(title="learning_rate")
plt.show()
