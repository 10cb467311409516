"""
Optuna proposes, and says what matters
======================================

`OptunaSearchCV` lets a sampler of Optuna propose candidates, eight at a time, which train together on all
folds. A `SuccessiveHalvingPruner` compares them after 3 and 9 of 27 epochs: the better ones go on with their
weights.
"""

import matplotlib.pyplot as plt
import optuna
from sklearn.datasets import make_friedman1

from kerashp import KerasMLPRegressor
from kerashp.model_selection import OptunaSearchCV
from kerashp.spaces import int_loguniform, loguniform

X, y = make_friedman1(400, noise=0.5, random_state=0)
search = OptunaSearchCV(
    KerasMLPRegressor(batch_size=32, epochs=27, tol=None, random_state=0),
    {
        "learning_rate": loguniform(1e-4, 1e-1),
        "n_neurons": int_loguniform(8, 64),
        "l2": loguniform(1e-6, 1e-2),
        "activation": ["relu", "tanh"],
    },
    pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=3, reduction_factor=3),
    n_trials=32,
    batch=8,
    cv=3,
    random_state=0,
)
search.fit(X, y)
states = [trial.state.name for trial in search.study_.trials]
print(f"{states.count('COMPLETE')} of {len(states)} candidates got all epochs")
print(f"R2: {search.best_score_:.3f} with {search.best_params_}")

# %%
# Any search can be looked at as an Optuna study. The first figure shows how much each parameter matters for
# the score, as Optuna estimates it from the candidates that got all epochs. The second has the mean training
# loss of each candidate, upside down, since a study maximizes: the lines end where candidates were pruned.

from optuna.visualization.matplotlib import plot_intermediate_values, plot_param_importances

study = search.to_study()
plot_param_importances(study)
plt.gcf().set_size_inches(7, 3.5)
plt.tight_layout()
axes = plot_intermediate_values(study)
axes.set(xlabel="epochs", ylabel=study.user_attrs["intermediate_values"], ylim=(-1.5, 0))
axes.get_legend().remove()
plt.gcf().set_size_inches(7, 3.5)
plt.tight_layout()
plt.show()
