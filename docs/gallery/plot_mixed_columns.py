"""
Mixed columns, with and without a pipeline
==========================================

A data frame with numbers, categories and missing values. A perceptron takes it as it is; or a pipeline
encodes it in its own way, which a search fits once for each fold and setting. All networks train together.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import PredictionErrorDisplay
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from kerashp import KerasMLPRegressor
from kerashp.model_selection import RandomizedSearchCV
from kerashp.spaces import loguniform

# %%
# The flats are made up: their rent depends on the area, the age, the district and the heating.

rng = np.random.default_rng(0)
n = 1000
flats = pd.DataFrame(
    {
        "area": rng.uniform(20, 150, n).round(),
        "age": rng.uniform(0, 100, n).round(),
        "district": rng.choice(["centre", "north", "harbour"], n),
        "heating": rng.choice(["gas", "district", "electric"], n),
    }
)
per_area = flats["district"].map({"centre": 16.0, "north": 10.0, "harbour": 13.0})
surcharge = flats["heating"].map({"gas": 0.0, "district": 30.0, "electric": 90.0})
rent = per_area * flats["area"] * (1 - 0.003 * flats["age"]) + surcharge + rng.normal(0, 50, n)
flats.loc[rng.random(n) < 0.1, "age"] = np.nan
flats.head()

# %%
# The perceptron finds the categories by the types of the columns, and knows missing numbers.

train, test, rent_train, rent_test = train_test_split(flats, rent, random_state=0)
space = {"learning_rate": loguniform(1e-3, 3e-2), "n_neurons": [16, 32, 64]}
mlp = KerasMLPRegressor(batch_size=32, epochs=40, tol=None, random_state=0)
search_of_tables = RandomizedSearchCV(mlp, space, n_iter=10, cv=3, random_state=0).fit(train, rent_train)
print(f"R2 {search_of_tables.score(test, rent_test):.3f}")

# %%
# A pipeline can do it in other ways, say with the median in place of missing numbers. The network
# standardises its inputs itself, so the numbers need no scaler.

preprocessing = make_column_transformer(
    (SimpleImputer(add_indicator=True), make_column_selector(dtype_include="number")),
    (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["district", "heating"]),
)
pipeline = make_pipeline(preprocessing, KerasMLPRegressor(batch_size=32, epochs=40, tol=None, random_state=0))
search = RandomizedSearchCV(
    pipeline,
    {
        "columntransformer__simpleimputer__strategy": ["mean", "median"],
        "kerasmlpregressor__learning_rate": loguniform(1e-3, 3e-2),
        "kerasmlpregressor__n_neurons": [16, 32, 64],
    },
    n_iter=10,
    cv=3,
    random_state=0,
)
search.fit(train, rent_train)

# %%
# The predicted rents of flats that the search has not seen are close to the actual ones. Noise of 50 is
# part of every rent, and one age in ten is missing.

figure, axes = plt.subplots(ncols=2, figsize=(9, 5), layout="constrained")
searches = {"the data frame as it is": search_of_tables, "encoded by a pipeline": search}
for ax, (name, fitted) in zip(axes, searches.items(), strict=True):
    PredictionErrorDisplay.from_estimator(fitted, test, rent_test, kind="actual_vs_predicted", ax=ax)
    ax.set(xticks=range(0, 2500, 500), yticks=range(0, 2500, 500))
    ax.set(xlabel="predicted rent", ylabel="actual rent")
    deviation = np.std(rent_test - fitted.predict(test))
    ax.set_title(f"{name}: R2 {fitted.score(test, rent_test):.3f}, deviation {deviation:.0f}")
plt.show()
