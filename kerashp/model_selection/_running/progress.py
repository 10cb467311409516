"""The progress of a search: a bar over the epochs of all fits, a line of a notebook, or lines in a log."""

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from kerashp.model_selection._fits.result import FitResult

_LINES = 10  # in a log
_SECONDS = 0.2  # between two changes of a notebook's line


class NotebookLine:
    """A line in the output of a notebook's cell that changes in its place: rich needs a widget for it."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._changed = 0.0

    def show(self, text: str, *, at_once: bool) -> None:
        """Show a text; one soon after another, only where it has to be at once."""
        from IPython.display import display

        if not at_once and time.perf_counter() - self._changed < _SECONDS:
            return
        self._changed = time.perf_counter()
        data = {"text/plain": text}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


class Bar:
    """Shows how many epochs of a search have passed, the best score so far and the time left.

    Parameters
    ----------
    shown : bool
    total : int
        The epochs of all fits.
    """

    def __init__(self, shown: bool, total: int):
        self._console = Console(quiet=not shown)
        self._line = NotebookLine() if shown and self._console.is_jupyter else None
        self._live = shown and self._console.is_terminal and self._line is None
        self._total = max(1, total)
        self._done = 0
        self._best: float | None = None
        self._began = time.perf_counter()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} epochs"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._live,
        )
        self._bar = self._progress.add_task(self._description(), total=self._total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()
        self._show_line(at_once=True)

    def advance(self, epochs: int) -> None:
        """Count epochs that have passed."""
        n_lines = self._done * _LINES // self._total
        self._done += epochs
        self._progress.update(self._bar, completed=self._done)
        if self._line is not None:
            self._show_line(at_once=False)
        elif not self._live and self._done * _LINES // self._total > n_lines:
            self._console.print(self._text(), highlight=False)

    def show_result(self, result: FitResult) -> None:
        """Show the score of a finished fit if it is the best so far. Several test scores are not shown."""
        scores = result.test_scores
        if result.fit_error is not None or isinstance(scores, dict):
            return
        if not scores > (-float("inf") if self._best is None else self._best):
            return
        self._best = float(scores)
        self._progress.update(self._bar, description=self._description())

    def _description(self) -> str:
        return "training" if self._best is None else f"best score of a fold {self._best:.4g}"

    def _show_line(self, *, at_once: bool) -> None:
        if self._line is not None:
            self._line.show(self._text(), at_once=at_once)

    def _text(self) -> str:
        elapsed = time.perf_counter() - self._began
        remaining = elapsed * (self._total - self._done) / max(1, self._done)
        return f"{self._done}/{self._total} epochs, {self._description()}, {remaining:.0f} s left"
