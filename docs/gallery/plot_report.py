"""
The report of a search
======================

`search.report` writes one page of HTML that can be mailed, printed and read on a phone: the leaderboard,
plots, a diagnosis of the best candidate, the plan of the search and its times.
"""

import html
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine

from kerashp import KerasMLPClassifier
from kerashp.model_selection import RandomizedSearchCV
from kerashp.plotting import ScheduleDisplay
from kerashp.spaces import loguniform

X, y = load_wine(return_X_y=True)
search = RandomizedSearchCV(
    KerasMLPClassifier(n_neurons=32, batch_size=16, epochs=30, tol=None, random_state=0),
    {
        "learning_rate": loguniform(1e-4, 1e-1),
        "dropout": [0.0, 0.2, 0.4],
        "schedule": ["constant", "cosine", "exponential"],
    },
    n_iter=15,
    cv=3,
    scoring="neg_log_loss",
    random_state=0,
)
search.fit(X, y)

# %%
# The page is written to a file, and shown here in a frame.


class Frame:
    """Shows a page within a page."""

    def __init__(self, text):
        self.text = text

    def _repr_html_(self):
        return f'<iframe srcdoc="{html.escape(self.text)}" width="100%" height="600"></iframe>'


with tempfile.TemporaryDirectory() as folder:
    path = search.report(Path(folder) / "report.html", title="A search on wine")
    page = path.read_text(encoding="utf-8")
Frame(page)

# %%
# The figure shows the schedules among which the search chose: a rate falls from its peak, which is the
# parameter `learning_rate`.

ScheduleDisplay.from_schedules(["constant", "cosine", "exponential"], epochs=30, learning_rate=0.01)
plt.show()
