"""Checkpoints that a kill does not tear, and from which a training goes on as if it had not been killed."""

import inspect
import math
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.src.utils import io_utils

from kerashp._archives import check_archive, warn_of_known_holes
from kerashp._arguments import Arguments
from kerashp._files import digest, written_beside
from kerashp.callbacks._architecture import architecture, check_architecture
from kerashp.callbacks._filenames import Filenames
from kerashp.callbacks._manifest import CheckpointError, Manifest, Record, as_floats, damage, relative
from kerashp.callbacks._state import (
    State,
    embed,
    embedded,
    is_kept,
    restore_model,
    restore_training,
    state_of,
)

_CHECK = Arguments("ModelCheckpoint")
_SUFFIXES = (".keras", ".weights.h5")


class ModelCheckpoint(keras.callbacks.ModelCheckpoint):
    """Saves the model after every epoch, and lets an interrupted training go on from there.

    Keras' own, and besides: a file is whole or as it was before, whenever the process is killed; beside the
    files stands a manifest, in JSON, with each one's epoch (from 0), metrics and digest; and `resume`
    restores all that the training was. A model that has diverged is never saved.

    Parameters
    ----------
    filepath : str or pathlib.Path
        Where to save: a name that ends in ".keras" (the model) or ".weights.h5" (weights and optimizer), in
        which "{epoch:03d}" becomes the epoch, from 1, and "{val_loss:.4f}" a metric of its logs.
    monitor : str, default="val_loss"
        The name, in the logs, of what tells the best epoch.
    verbose : {0, 1}, default=0
        Whether it says what it does.
    save_best_only : bool, default=False
        Whether only epochs are saved that are the best so far.
    save_weights_only : bool, default=None
        None goes by the name.
    mode : {"auto", "min", "max"}, default="auto"
        Whether less or more is better; "auto" goes by the metric.
    save_freq : {"epoch"}, default="epoch"
        Keras' other choice, so many batches, would save what cannot be resumed, and is refused.
    initial_value_threshold : float, default=None
        The value that the first best epoch must pass.
    keep : int, default=None
        How many files to keep, the last ones; the best epoch's is kept as well. None keeps all.

    Attributes
    ----------
    best : float or None
        The best value so far.
    stopped_early : bool
        After `resume`: whether early stopping, or another callback, had ended the training that it found.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong. When training begins: if a callback whose state is kept comes after this one,
        which would save it before its epoch is over.

    Warns
    -----
    UserWarning
        If epochs are not saved since there is nothing to monitor, or the loss or a weight is not finite; if a
        callback whose state was saved is gone.

    See Also
    --------
    kerashp.callbacks.EarlyStopping

    Notes
    -----
    What is restored: weights, the optimizer's state, the seeds of dropout and the like, the epoch, the state
    of EarlyStopping, ReduceLROnPlateau and ModelCheckpoints, kerashp's learning rates, and `numpy.random`,
    from which `kerashp.fit` draws the order of the rows. So a resumed training ends as it would have ended
    undisturbed. Without `resume`, a training that begins with epoch 0 begins a new manifest, and one that
    begins later (as `partial_fit` does) adds to the manifest that is there. `Model.fit` on TensorFlow draws
    the order of rows otherwise: a resumed one goes on with other orders, unless `shuffle=False`.

    A training was complete where `resume` returned the last epoch's number, `epochs`, or where early stopping
    had ended it: then `stopped_early` is True, and fit trains no more but restores what it would have
    restored, such as the best weights. So a script that is run again ends as it did before; one that asks
    does so by `if checkpoint.stopped_early or first >= epochs:`.

    Nothing is unpickled, and no code of a file runs: the weights are loaded into the model that you built.
    Only files that `filepath` names for a saved epoch and its metrics are ever opened or deleted; a manifest
    that lists others, or a file out of proportion to the model, is refused.
    A file stays one of Keras' own, for `keras.saving.load_model` or `load_weights`.
    One of an estimator's training holds its `model_`, which takes raw rows and gives the target's own units.

    References
    ----------
    https://keras.io/api/callbacks/model_checkpoint/

    Examples
    --------
    The same script begins a training, and goes on with it when it was killed:

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
        self._kept: list[Any] = [self]  # the callbacks whose state is saved
        self._initial_best = initial_value_threshold
        self._begins = self._diverged = self._missed = False
        self.stopped_early = False
        self._resumed: tuple[int, State] | None = None  # the epoch to begin with, and what to restore
        self._own_first: int | None = None  # the first epoch that Keras had noted, where none is trained
        self._whole: Any = None  # what is saved instead of the model that trains

    def save_whole(self, model: Any) -> None:
        """Save this model in place of the one that trains, which is a part of it and has its optimizer.

        For whoever trains a part of what users know: their files hold, and `resume` takes, the whole.
        """
        self._whole = model

    def resume(self, model: Any, *, best: bool = False) -> int:
        """Make a model what it was after the last epoch that was saved; the training that follows goes on.

        Parameters
        ----------
        model : keras.Model
            Built and compiled, of the architecture that was saved.
        best : bool, default=False
            Whether to roll back to the best epoch instead, the last that was the best so far.

        Returns
        -------
        int
            The epoch to pass to fit as `initial_epoch`: how many epochs have been trained, 0 where nothing
            was saved yet. Where early stopping has ended the training, `stopped_early` says so, and fit
            trains no more.

        Raises
        ------
        CheckpointError
            If the file or the manifest is damaged or missing, or if the file holds the weights of another
            architecture or optimizer: its name, and what to do.
        ValueError
            If the model is not built or not compiled, or if the best epoch's file was not kept.

        Warns
        -----
        kerashp.training.SecurityWarning
            Once, if the installed Keras is older than 3.14, which has known holes in loading.
        """
        model._assert_compile_called("resume")
        if not model.built:
            raise ValueError("resume: model must be built; got one that is not. Give it an Input")
        manifest = self._read()
        self.stopped_early = False
        if not manifest.records:
            return 0
        record = manifest.last(best=best)
        if record is None:
            raise ValueError(
                f"resume: best=True, but no epoch that {manifest.path} lists was the best by "
                f"{self.monitor!r}, or another was saved over it; name each epoch, as in "
                "'{epoch:03d}.keras', or set save_best_only=True"
            )
        warn_of_known_holes()
        state = self._loaded(model, manifest, record)
        self.stopped_early = bool(state["stopped"])
        self._manifest, self._resumed = manifest, (record.epoch + 1, state)
        return record.epoch + 1

    # Keras' hooks.

    def __getstate__(self) -> dict[str, Any]:
        # A copy, as estimators make, is not what was resumed, and saves the model of its own training.
        return {**vars(self), "_resumed": None, "_whole": None}

    def on_train_begin(self, logs: Any = None) -> None:
        self._begins = True
        callbacks = _callbacks_beside(self)
        before, after = callbacks[: callbacks.index(self)], callbacks[callbacks.index(self) + 1 :]
        late = [type(callback).__name__ for callback in after if is_kept(callback) and not _is_own(callback)]
        if late:
            raise ValueError(
                f"ModelCheckpoint must come after {', '.join(late)} in callbacks, to save their state when "
                "their epoch is over; put it last"
            )
        self._kept = [callback for callback in before if is_kept(callback)] + [self]
        if self._resumed is None:
            return
        if any(map(_is_own, after)):
            raise ValueError(
                "ModelCheckpoint: resume must be called on the last ModelCheckpoint in callbacks, which "
                "knows the best of the others"
            )
        for checkpoint in filter(_is_own, before):
            checkpoint._manifest = checkpoint._read()
        restore_training(self._kept, self._resumed[1])
        if self.stopped_early:  # Keras looks for its first epoch after all callbacks have begun
            self.model._initial_epoch, self._own_first = sys.maxsize, self.model._initial_epoch

    def on_train_end(self, logs: Any = None) -> None:
        if self._resumed is not None and self.stopped_early:
            self.model._initial_epoch = self._own_first
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
        bad = _not_finite(self.model, metrics)
        if bad:
            if not self._diverged:
                since = "is not saved, nor are those after it until that mends"
                warnings.warn(f"epoch {epoch + 1} {since}: {bad}", stacklevel=2)
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
        """Begin anew, or go on with the checkpoints that are there, where a training begins later."""
        if not epoch:
            self._manifest = Manifest(self._manifest.path)
            self.best, self._diverged, self._missed = self._initial_best, False, False
        elif not self._manifest.records:
            self._add_to(self._read())

    def _miss(self, epoch: int, metrics: dict[str, float]) -> None:
        """Nothing to monitor: an error, unless it is of a validation that may come after other epochs."""
        expected = f"one of {', '.join(metrics)} for save_best_only=True; got {self.monitor!r}"
        if not self.monitor.startswith("val_"):
            raise ValueError(f"ModelCheckpoint: monitor must be {expected}")
        if not self._missed:
            since = "is not saved, nor are others without validation"
            warnings.warn(f"epoch {epoch + 1} {since}: monitor must be {expected}", stacklevel=2)
        self._missed = True

    def _improves(self, metrics: dict[str, float]) -> bool:
        """Whether the epoch is the best so far, which it then is from now on."""
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
        with written_beside(path, self._write) as beside:
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
        self._manifest, dropped = self._manifest.placed(record, self.keep)
        for file in dropped:
            file.unlink(missing_ok=True)
        self._manifest.write()
        if self.verbose:
            io_utils.print_msg(
                f"\nEpoch {epoch + 1}: saved to {path}{' (the best so far)' if is_best else ''}"
            )

    def _write(self, path: Path) -> None:
        if self.save_weights_only:
            self._saved_model().save_weights(path, overwrite=True)
        else:
            self._saved_model().save(path, overwrite=True)
        embed(path, state_of(self.model, self._kept))

    def _read(self) -> Manifest:
        path = self._manifest.path
        if path.exists():
            return Manifest.read(path, self._filenames.root, self._path_of)
        existing = self._filenames.existing()
        if existing:
            raise CheckpointError(
                f"{existing[-1]} cannot be resumed from: {path}, which vouches for it, is not there. Take "
                "it from where the file is from, or load the file by keras.saving.load_model, or delete the "
                "file to begin anew"
            )
        return Manifest(path)

    def _add_to(self, manifest: Manifest) -> None:
        """Go on with the checkpoints of a manifest, if it has some."""
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
        """Where the checkpoint of an epoch is."""
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


def _is_own(callback: Any) -> bool:
    return isinstance(callback, ModelCheckpoint)


def _callbacks_beside(callback: Any) -> Sequence[Any]:
    """All callbacks of the training that has just begun; Keras shows a callback no other."""
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.callbacks.CallbackList) and callback in caller.callbacks:
            return caller.callbacks
        frame = frame.f_back
    return [callback]


def _not_finite(model: Any, metrics: dict[str, float]) -> str | None:
    """What has diverged, if something has."""
    if not np.isfinite(metrics.get("loss", 0.0)):
        return f"its loss is {metrics['loss']}"
    bad = [
        weight.path
        for weight in model.weights
        if not np.isfinite(keras.ops.convert_to_numpy(weight).astype(np.float64)).all()
    ]
    return f"{bad[0]} is not finite" if bad else None
