"""Checkpoints that are written atomically, and from which an interrupted training is resumed."""

import inspect
import math
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerashp._archives import check_archive, warn_of_vulnerable_keras
from kerashp._arguments import Arguments
from kerashp._compat.keras import assert_compiled, first_epoch, print_message, set_first_epoch
from kerashp._files import atomic_write, digest
from kerashp.callbacks._architecture import architecture, check_architecture
from kerashp.callbacks._filenames import Filenames
from kerashp.callbacks._manifest import CheckpointError, Manifest, Record, as_floats, damage, relative
from kerashp.callbacks._state import (
    State,
    embed,
    embedded,
    is_saved,
    restore_model,
    restore_training,
    training_state,
)

_CHECK = Arguments("ModelCheckpoint")
_SUFFIXES = (".keras", ".weights.h5")


class ModelCheckpoint(keras.callbacks.ModelCheckpoint):
    """Saves the model after every epoch, so that an interrupted training can be resumed.

    It adds to Keras' callback: writes are atomic; a manifest beside the files, in JSON, lists each one's
    epoch (from 0), metrics and digest; and `resume` restores the whole state of the training. A model that
    has diverged is never saved.

    Parameters
    ----------
    filepath : str or pathlib.Path
        Where to save: a name that ends in ".keras" (the model) or ".weights.h5" (weights and optimizer), in
        which "{epoch:03d}" becomes the epoch, from 1, and "{val_loss:.4f}" a metric of its logs.
    monitor : str, default="val_loss"
        The name, in the logs, of the value that decides which epoch is best.
    verbose : {0, 1}, default=0
        Whether a message is printed for every file.
    save_best_only : bool, default=False
        Whether only epochs are saved that are the best so far.
    save_weights_only : bool, default=None
        None: as the name of the file says.
    mode : {"auto", "min", "max"}, default="auto"
        Whether less or more is better; "auto" goes by the metric.
    save_freq : {"epoch"}, default="epoch"
        A number of batches is refused, since a training cannot be resumed within an epoch.
    initial_value_threshold : float, default=None
        The value that the first best epoch must pass.
    keep : int, default=None
        How many of the last files to keep, besides that of the best epoch. None keeps all.

    Attributes
    ----------
    best : float or None
        The best value so far.
    stopped_early : bool
        After `resume`: whether early stopping, or another callback, had ended the saved training.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong. When training begins: if a callback whose state is saved comes after this
        one, so that its state would be saved before its epoch is over.

    Warns
    -----
    UserWarning
        If epochs are not saved since the monitored value is missing, or the loss or a weight is not finite;
        if a callback whose state was saved is missing.

    See Also
    --------
    kerashp.callbacks.EarlyStopping : Stops a training; its state is saved and restored.

    Notes
    -----
    A checkpoint restores weights, the optimizer's state, the seeds of dropout and the like, the epoch, the
    state of EarlyStopping, ReduceLROnPlateau and ModelCheckpoints, kerashp's learning rates, and
    `numpy.random`, from which `kerashp.fit` draws the order of the rows. So a resumed training gives the
    results of an uninterrupted one. Without `resume`, a training that begins with epoch 0 begins a new
    manifest, and one that begins later (as `partial_fit` does) adds to the existing manifest. `Model.fit` on
    TensorFlow draws the order of rows in another way: a resumed training has other orders, unless
    `shuffle=False`.

    A training was complete where `resume` returned the last epoch's number, `epochs`, or where early stopping
    had ended it: then `stopped_early` is True, and fit trains no more but restores what it would have
    restored, such as the best weights. So a script that is run again ends as it did before; one that asks
    does so by `if checkpoint.stopped_early or first >= epochs:`.

    Nothing is unpickled, and no code of a file runs: the weights are loaded into the model that you built.
    Only files that `filepath` names for a saved epoch and its metrics are ever opened or deleted; a manifest
    that lists others, or a file out of proportion to the model, is refused.
    A file stays one of Keras' own, for `keras.saving.load_model` or `load_weights`.
    A file from an estimator's training holds its `model_`, which takes raw rows and predicts in the target's
    units.

    References
    ----------
    https://keras.io/api/callbacks/model_checkpoint/

    Examples
    --------
    The same script begins a training, and resumes it after it was killed:

    >>> import tempfile
    >>> import numpy as np
    >>> from kerashp import build_model, fit
    >>> from kerashp.callbacks import EarlyStopping, ModelCheckpoint
    >>> X = np.random.default_rng(0).normal(size=(100, 8))
    >>> def train(folder, epochs):
    ...     model, stopping = build_model(1, 30), EarlyStopping(patience=5)
    ...     checkpoint = ModelCheckpoint(f"{folder}/{{epoch:03d}}.keras", keep=2)
    ...     first = checkpoint.resume(model)
    ...     history = fit(model, X, X[:, 0], validation_split=0.2, epochs=epochs, initial_epoch=first,
    ...                   callbacks=[stopping, checkpoint], verbose=0)
    ...     return first, len(history.history["loss"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     train(folder, epochs=3), train(folder, epochs=5)
    ((0, 3), (3, 2))
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool | None = None,
        mode: str = "auto",
        save_freq: str = "epoch",
        initial_value_threshold: float | None = None,
        *,
        keep: int | None = None,
    ):
        weights_only = _saves_weights_only(filepath, save_weights_only)
        if save_freq != "epoch":
            expected = "'epoch' (a training cannot be resumed within an epoch)"
            raise _CHECK.wrong_value("save_freq", expected, save_freq)
        self.keep = None if keep is None else _CHECK.integer("keep", keep, at_least=1)
        if keep is not None and "{" not in str(filepath):
            expected = "None where all epochs have one filepath (name them as in '{epoch:03d}.keras')"
            raise _CHECK.wrong_value("keep", expected, keep)
        super().__init__(
            str(filepath),
            monitor=monitor,
            verbose=verbose,
            save_best_only=_CHECK.flag("save_best_only", save_best_only),
            save_weights_only=weights_only,
            mode=mode,
            initial_value_threshold=initial_value_threshold,
        )
        self.best: float | None
        self._filenames = Filenames(str(filepath))
        self._manifest = Manifest(self._filenames.manifest)
        self._saved_callbacks: list[Any] = [self]
        self._initial_best = initial_value_threshold
        self._begins = self._diverged = self._missed = False
        self.stopped_early = False
        self._resumed: tuple[int, State] | None = None  # the epoch to begin with, and what to restore
        self._keras_initial_epoch: int | None = None  # Keras' value, while none is trained
        self._whole: Any = None  # what is saved instead of the model that trains

    def save_whole(self, model: Any) -> None:
        """Save this model in place of the one that trains, which is a part of it and has its optimizer.

        An estimator trains a part of its `model_`: the files hold, and `resume` takes, the whole model.

        Parameters
        ----------
        model : keras.Model
            The model to save.
        """
        self._whole = model

    def resume(self, model: Any, *, best: bool = False) -> int:
        """Restore a model as it was after the last saved epoch; the next training continues from there.

        Parameters
        ----------
        model : keras.Model
            Built and compiled, of the architecture that was saved.
        best : bool, default=False
            Whether to roll back to the best epoch instead, the last that was the best so far.

        Returns
        -------
        int
            The epoch to pass to fit as `initial_epoch`: how many epochs have been trained, 0 if nothing
            has been saved. Where early stopping has ended the training, `stopped_early` says so, and fit
            trains no more.

        Raises
        ------
        CheckpointError
            If the file or the manifest is damaged or missing, or if the file holds the weights of another
            architecture or optimizer. The message names the file and a remedy.
        ValueError
            If the model is not built or not compiled, or if the best epoch's file was not kept.

        Warns
        -----
        kerashp.training.SecurityWarning
            Once, if the installed Keras is older than 3.14, which has known holes in loading.
        """
        assert_compiled(model, "resume")
        if not model.built:
            raise ValueError("resume: model must be built; got one that is not. Give it an Input")
        manifest = self._read()
        self.stopped_early = False
        if not manifest.records:
            return 0
        record = manifest.last_record(best=best)
        if record is None:
            raise ValueError(
                f"resume: best=True, but no epoch that {manifest.path} lists was the best by "
                f"{self.monitor!r}, or another was saved over it; name each epoch, as in "
                "'{epoch:03d}.keras', or set save_best_only=True"
            )
        warn_of_vulnerable_keras()
        state = self._loaded(model, manifest, record)
        self.stopped_early = bool(state["stopped"])
        self._manifest, self._resumed = manifest, (record.epoch + 1, state)
        return record.epoch + 1

    # Keras' hooks.

    def __getstate__(self) -> dict[str, Any]:
        # A copy, which estimators make, has not been resumed, and saves the model of its training.
        return {**vars(self), "_resumed": None, "_whole": None}

    def on_train_begin(self, logs: Any = None) -> None:
        self._begins = True
        callbacks = _callbacks_beside(self)
        position = callbacks.index(self)
        earlier, later = callbacks[:position], callbacks[position + 1 :]
        names = [type(c).__name__ for c in later if is_saved(c) and not isinstance(c, ModelCheckpoint)]
        if names:
            raise ValueError(
                f"ModelCheckpoint must come after {', '.join(names)} in callbacks, to save their state when "
                "their epoch is over; put it last"
            )
        self._saved_callbacks = [callback for callback in earlier if is_saved(callback)] + [self]
        if self._resumed is None:
            return
        if any(isinstance(callback, ModelCheckpoint) for callback in later):
            raise ValueError(
                "ModelCheckpoint: resume must be called on the last ModelCheckpoint in callbacks, which "
                "restores the best values of the others, too"
            )
        for callback in earlier:
            if isinstance(callback, ModelCheckpoint):
                callback._manifest = callback._read()
        restore_training(self._saved_callbacks, self._resumed[1])
        if self.stopped_early:  # Keras reads it after all callbacks have begun
            self._keras_initial_epoch = first_epoch(self.model)
            set_first_epoch(self.model, sys.maxsize)

    def on_train_end(self, logs: Any = None) -> None:
        if self._resumed is not None and self.stopped_early:
            set_first_epoch(self.model, self._keras_initial_epoch)
        self._resumed = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        if self._resumed is not None and self._resumed[0] != epoch:
            raise ValueError(
                f"ModelCheckpoint: resume returned {self._resumed[0]}, but training begins with epoch "
                f"{epoch}; pass initial_epoch={self._resumed[0]} to fit"
            )
        if self._begins and self._resumed is None:
            self._begin(epoch)
        self._begins, self._resumed = False, None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        metrics = as_floats(logs or {})
        if self.save_best_only and self.monitor not in metrics:
            self._miss(epoch, metrics)
            return
        divergence = _divergence(self.model, metrics)
        if divergence:
            if not self._diverged:
                consequence = "is not saved, nor are later ones until all values are finite again"
                warnings.warn(f"epoch {epoch + 1} {consequence}: {divergence}", stacklevel=2)
            self._diverged = True
            return
        self._diverged = False
        is_best = self._improves(metrics)
        if is_best or not self.save_best_only:
            self._save(epoch, metrics, is_best=is_best)

    # Saving and loading.

    def _saved_model(self) -> Any:
        return self.model if self._whole is None else self._whole

    def _begin(self, epoch: int) -> None:
        """Begin a new manifest at epoch 0; at a later epoch, add to the present one."""
        if not epoch:
            self._manifest = Manifest(self._manifest.path)
            self.best, self._diverged, self._missed = self._initial_best, False, False
        elif not self._manifest.records:
            self._add_to(self._read())

    def _miss(self, epoch: int, metrics: dict[str, float]) -> None:
        """Raise an error for a missing value of `monitor`, or warn if a later validation may have it."""
        expected = f"one of {', '.join(metrics)} for save_best_only=True; got {self.monitor!r}"
        if not self.monitor.startswith("val_"):
            raise ValueError(f"ModelCheckpoint: monitor must be {expected}")
        if not self._missed:
            consequence = "is not saved, nor are others without validation"
            warnings.warn(f"epoch {epoch + 1} {consequence}: monitor must be {expected}", stacklevel=2)
        self._missed = True

    def _improves(self, metrics: dict[str, float]) -> bool:
        """Whether the epoch is the best so far; if so, its value becomes the best."""
        current = metrics.get(self.monitor, np.nan)
        if not np.isfinite(current):
            return False
        if self.monitor_op is None:
            self._set_monitor_op()
        if not self._is_improvement(current, self.best):
            return False
        self.best = current
        return True

    def _save(self, epoch: int, metrics: dict[str, float], *, is_best: bool) -> None:
        path = Path(self._path_of(epoch, metrics))
        with atomic_write(path, self._write) as beside:
            if not self._manifest.architecture:
                self._manifest = Manifest(self._manifest.path, architecture(self._saved_model()))
            record = Record(
                relative(path, self._manifest.path.parent),
                digest(beside),
                epoch,
                metrics,
                is_best=is_best,
                best=self.best,
                replaces=digest(path) if path.is_file() else None,
            )
            self._manifest.coming(record).write()
        self._manifest, removed = self._manifest.placed(record, self.keep)
        for file in removed:
            file.unlink(missing_ok=True)
        self._manifest.write()
        if self.verbose:
            print_message(f"\nEpoch {epoch + 1}: saved to {path}{' (the best so far)' if is_best else ''}")

    def _write(self, path: Path) -> None:
        if self.save_weights_only:
            self._saved_model().save_weights(path, overwrite=True)
        else:
            self._saved_model().save(path, overwrite=True)
        embed(path, training_state(self.model, self._saved_callbacks))

    def _read(self) -> Manifest:
        path = self._manifest.path
        if path.exists():
            return Manifest.read(path, self._filenames.root, self._path_of)
        existing = self._filenames.existing()
        if existing:
            raise CheckpointError(
                f"{existing[-1]} cannot be resumed from: {path}, which lists its digest, does not exist. "
                "Copy it from the source of the file, or load the file by keras.saving.load_model, or delete "
                "the file to begin anew"
            )
        return Manifest(path)

    def _add_to(self, manifest: Manifest) -> None:
        """Add to the checkpoints of a manifest, if it has some."""
        if not manifest.records:
            return
        check_architecture(self._saved_model(), manifest.architecture, manifest.path)
        self._manifest, self.best = manifest, manifest.records[-1].best

    def _loaded(self, model: Any, manifest: Manifest, record: Record) -> State:
        path = manifest.file(record)
        check_architecture(model, manifest.architecture, path)
        remedy = "Take another copy of it, or load another file of its folder by keras.saving.load_model"
        model.optimizer.build(model.trainable_variables)
        n_weights = sum(math.prod(variable.shape) for variable in model.variables)
        with damage(path, remedy):
            check_archive(path, n_weights)
            state = embedded(path, model)
            model.load_weights(path)
            restore_model(model, state)
        return state

    def _path_of(self, epoch: int, metrics: dict[str, float]) -> str:
        """The path of an epoch's checkpoint."""
        return str(self._get_file_path(epoch, None, metrics))


def _saves_weights_only(filepath: Any, save_weights_only: Any) -> bool:
    """Whether weights alone are saved, as the name says, which `save_weights_only` must not contradict."""
    if not isinstance(filepath, str | Path):
        raise _CHECK.wrong_type("filepath", "a str or a pathlib.Path", filepath)
    name = str(filepath)
    if not name.endswith(_SUFFIXES):
        raise _CHECK.wrong_value("filepath", "a name that ends in '.keras' or '.weights.h5'", filepath)
    weights_only = name.endswith(".weights.h5")
    if save_weights_only is None or _CHECK.flag("save_weights_only", save_weights_only) == weights_only:
        return weights_only
    raise _CHECK.wrong_value("save_weights_only", f"{weights_only} or None for {name!r}", save_weights_only)


def _callbacks_beside(callback: Any) -> Sequence[Any]:
    """All callbacks of the training that has just begun, found in the stack: Keras does not pass them."""
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.callbacks.CallbackList) and callback in caller.callbacks:
            return caller.callbacks
        frame = frame.f_back
    return [callback]


def _divergence(model: Any, metrics: dict[str, float]) -> str | None:
    """The value that is not finite, as a text; None if all are."""
    if not np.isfinite(metrics.get("loss", 0.0)):
        return f"its loss is {metrics['loss']}"
    paths = [
        weight.path
        for weight in model.weights
        if not np.isfinite(keras.ops.convert_to_numpy(weight).astype(np.float64)).all()
    ]
    return f"{paths[0]} is not finite" if paths else None
