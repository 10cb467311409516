"""
Plotting a search
=================

Three displays show what a search has found: the scores in the order of the candidates, the score against
each parameter, and each candidate as a line across all parameters. They accept searches of kerashp and of
scikit-learn.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from kerashp import KerasMLPClassifier
from kerashp.model_selection import RandomizedSearchCV
from kerashp.plotting import ParallelCoordinatesDisplay, SearchHistoryDisplay, SliceDisplay
from kerashp.spaces import int_loguniform, loguniform

X, y = load_digits(return_X_y=True)
search = RandomizedSearchCV(
    KerasMLPClassifier(batch_size=64, epochs=10, tol=None, random_state=0),
    {
        "learning_rate": loguniform(1e-4, 1e-1),
        "n_neurons": int_loguniform(8, 128),
        "l2": loguniform(1e-5, 1e-1),
    },
    n_iter=30,
    cv=3,
    random_state=0,
)
search.fit(X, y)

# %%
# The history shows the mean accuracy of each candidate, and the best so far. Triangles at the lower edge
# are scores far below most. The first candidate is nearly the best already.

SearchHistoryDisplay.from_search(search)
plt.show()

# %%
# A slice shows the score against one parameter, on the scale from which its values were drawn. The learning
# rate decides most: below about 0.001, ten epochs are too few.

SliceDisplay.from_search(search)
plt.show()

# %%
# Parallel coordinates show which combinations are good. The dark lines, of high accuracy, cross the axis of
# the learning rate in its upper half, and are spread over the axes of the penalty and of the width.

ParallelCoordinatesDisplay.from_search(search)
plt.show()
