"""Writes the inventories in this folder: where other projects document the names that these pages use.

    python docs/_inventories/make.py

Sphinx reads them from here, so that the site is built without a network. Each has only the names below, in
the format of the `objects.inv` of Sphinx. Most pages of scikit-learn and SciPy follow one pattern; those of
Keras are named one by one.
"""

import zlib
from pathlib import Path

_FOLDER = Path(__file__).parent

_GENERATED = {
    "sklearn": (
        "modules/generated/{name}.html#{name}",
        """
        sklearn.compose.TransformedTargetRegressor sklearn.exceptions.ConvergenceWarning
        sklearn.exceptions.FitFailedWarning sklearn.exceptions.NotFittedError sklearn.metrics.check_scoring
        sklearn.model_selection.GridSearchCV sklearn.model_selection.HalvingGridSearchCV
        sklearn.model_selection.HalvingRandomSearchCV sklearn.model_selection.RandomizedSearchCV
        sklearn.model_selection.TimeSeriesSplit sklearn.neural_network.MLPClassifier
        sklearn.neural_network.MLPRegressor sklearn.pipeline.Pipeline
        """,
    ),
    "scipy": ("reference/generated/{name}.html#{name}", "scipy.stats.loguniform scipy.stats.randint"),
    "numpy": ("reference/generated/{name}.html#{name}", "numpy.savez"),
    "joblib": ("generated/{name}.html#{name}", "joblib.Memory joblib.Parallel joblib.parallel_config"),
}
_PAGES = {
    "scipy": {"scipy.stats": "reference/stats.html"},
    "numpy": {
        "numpy.random": "reference/random/index.html",
        "numpy.random.seed": "reference/random/generated/numpy.random.seed.html#numpy.random.seed",
    },
    "keras": {
        "keras.Model.compile": "api/models/model_training_apis/#compile-method",
        "keras.Model.fit": "api/models/model_training_apis/#fit-method",
        "keras.Model.predict": "api/models/model_training_apis/#predict-method",
        "keras.activations": "api/layers/activations/",
        "keras.callbacks.BackupAndRestore": "api/callbacks/backup_and_restore/",
        "keras.callbacks.Callback": "api/callbacks/base_callback/",
        "keras.callbacks.EarlyStopping": "api/callbacks/early_stopping/",
        "keras.callbacks.ModelCheckpoint": "api/callbacks/model_checkpoint/",
        "keras.callbacks.ReduceLROnPlateau": "api/callbacks/reduce_lr_on_plateau/",
        "keras.layers.Normalization": "api/layers/preprocessing_layers/numerical/normalization/",
        "keras.metrics.Metric": "api/metrics/base_metric/",
        "keras.optimizers": "api/optimizers/",
        "keras.optimizers.schedules": "api/optimizers/learning_rate_schedules/",
        "keras.optimizers.schedules.CosineDecayRestarts": (
            "api/optimizers/learning_rate_schedules/cosine_decay_restarts/"
        ),
        "keras.saving.load_model": "api/models/model_saving_apis/model_saving_and_loading/",
        "keras.saving.register_keras_serializable": "api/models/model_saving_apis/serialization_utils/",
        "keras.utils.set_random_seed": "api/utils/python_utils/",
        "keras_tuner.HyperParameters": "keras_tuner/api/hyperparameters/",
        "keras_tuner.Oracle": "keras_tuner/api/oracles/base_oracle/",
    },
}
_LABELS = {"sklearn": {"metadata_routing": "metadata_routing.html#metadata-routing"}}


def inventory(project: str) -> bytes:
    """The contents of the file of a project."""
    pattern, names = _GENERATED.get(project, ("", ""))
    pages = {name: pattern.format(name=name) for name in names.split()} | _PAGES.get(project, {})
    lines = [f"{name} py:class 1 {page} -" for name, page in sorted(pages.items())]
    lines += [f"{name} std:label -1 {page} {name}" for name, page in _LABELS.get(project, {}).items()]
    head = (
        "# Sphinx inventory version 2\n# Project: {}\n# Version: \n# The remainder of this file is compressed"
    )
    text = "".join(f"{line}\n" for line in lines)
    return f"{head.format(project)} using zlib.\n".encode() + zlib.compress(text.encode(), 9)


def projects() -> list[str]:
    """The names of the files."""
    return sorted({*_GENERATED, *_PAGES})


if __name__ == "__main__":
    for project in projects():
        (_FOLDER / f"{project}.inv").write_bytes(inventory(project))
