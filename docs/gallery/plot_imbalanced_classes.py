"""
Imbalanced classes
==================

One row in twenty is of the rare class. `class_weight="balanced"` weights the loss of each row by the
inverse frequency of its class; here the search decides whether to use it, by the balanced accuracy.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import make_classification
from sklearn.metrics import ConfusionMatrixDisplay, balanced_accuracy_score
from sklearn.model_selection import train_test_split

from kerashp import KerasMLPClassifier
from kerashp.model_selection import GridSearchCV

X, y = make_classification(
    3000, 20, n_informative=6, weights=[0.95], class_sep=0.8, flip_y=0.02, random_state=0
)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

search = GridSearchCV(
    KerasMLPClassifier(n_neurons=32, epochs=30, tol=None, random_state=0),
    {"class_weight": [None, "balanced"], "learning_rate": [0.001, 0.003, 0.01]},
    scoring="balanced_accuracy",
    cv=3,
)
search.fit(X_train, y_train)
print(f"Best parameters: {search.best_params_}")

# %%
# The figure compares the best classifier with the same one without weights, on rows that neither has seen.
# With weights, more of the rare rows are found, and more of the frequent ones are called rare.

unweighted = KerasMLPClassifier(**search.best_estimator_.get_params()).set_params(class_weight=None)
unweighted.fit(X_train, y_train)

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, classifier, name in zip(
    axes, (unweighted, search.best_estimator_), ("class_weight=None", 'class_weight="balanced"'), strict=True
):
    predicted = classifier.predict(X_test)
    ConfusionMatrixDisplay.from_predictions(
        y_test, predicted, display_labels=["frequent", "rare"], cmap="Blues", colorbar=False, ax=ax
    )
    ax.set_title(f"{name}\nbalanced accuracy {balanced_accuracy_score(y_test, predicted):.2f}")
plt.show()
