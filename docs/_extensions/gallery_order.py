"""The order of the examples in the gallery: from a first search to what is built on it."""

_ORDER = (
    *("textbook_search", "search_displays", "learning_curves", "report", "tensorboard"),
    "mlflow_and_wandb",
    *("halving_against_random", "coarse_to_fine", "bayesian_oracle", "optuna_importances", "ensemble"),
    "tuner_compiled",
    *("mixed_columns", "imbalanced_classes", "cnn_digits", "lstm_time_series"),
    *("two_inputs", "checkpoint_and_resume", "six_ailments", "gradient_check"),
)


class GalleryOrder:
    """The sort key of an example's file, as sphinx-gallery asks for it."""

    def __init__(self, folder: str):
        self.folder = folder

    def __call__(self, filename: str) -> int:
        return _ORDER.index(filename.removeprefix("plot_").removesuffix(".py"))
