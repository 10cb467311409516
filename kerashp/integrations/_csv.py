"""Candidates as rows of a CSV file."""

import csv
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kerashp._files import write_bytes
from kerashp.integrations._candidate_metrics import final_metrics
from kerashp.integrations._options import LoggerOptions
from kerashp.model_selection._logging.protocol import CandidateResult, SearchDescription

_FIRST_COLUMNS = ("search_id", "search", "candidate", "status", "error", "seconds")

_Row = dict[str, str]


class CSVLogger(LoggerOptions):
    """Adds a row for each candidate of a search to a CSV file.

    Columns are named as in `cv_results_`: after `search_id`, `search` (its class and that of its estimator),
    `candidate` (its number), `status` ("finished" or "failed"), `error` and `seconds` there are
    `mean_test_score` (with the names of several scores in place of "score"), `param_...`,
    `split0_test_score` and `split0_best_epoch` and so on.

    Parameters
    ----------
    path : str or path-like
        The file. It is created if it does not exist; its folder too. Several searches, also in several
        processes, may share it: a column that only some of them have is empty in the rows of the others.

    Raises
    ------
    ValueError
        When a search begins, if the file has other columns, or rows that do not match them. It is not
        changed then.

    Notes
    -----
    Each write replaces the whole file atomically, so that it never has half a row. Parameters are written as
    `CandidateResult.plain_params` describes.

    See Also
    --------
    SearchLogger : Says when a search calls its loggers, and what happens if one fails.

    Examples
    --------
    >>> import csv
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from kerashp.integrations import CSVLogger
    >>> from kerashp.model_selection import GridSearchCV
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "results.csv"
    ...     grid = GridSearchCV(RidgeClassifier(), {"alpha": [0.5, 100.0]}, cv=3, loggers=CSVLogger(path))
    ...     search = grid.fit(*load_iris(return_X_y=True))
    ...     rows = list(csv.DictReader(path.read_text().splitlines()))
    >>> [(row["param_alpha"], row["mean_test_score"][:4], row["status"]) for row in rows]
    [('0.5', '0.80', 'finished'), ('100.0', '0.75', 'finished')]
    """

    _search: SearchDescription | None = None

    def __init__(self, path: str | os.PathLike[str]):
        self.path = path

    def begin(self, search: SearchDescription) -> None:
        """Check the file, if there is one.

        Parameters
        ----------
        search : SearchDescription
            The search, whose `id` is written in each row.
        """
        self._search = search
        _read(Path(self.path))

    def candidate(self, result: CandidateResult) -> None:
        """Add the row of a candidate, unless the file has it.

        Parameters
        ----------
        result : CandidateResult
            The candidate.
        """
        new = _row(self._begun(self._search, "candidate"), result)
        path = Path(self.path)
        with _locked(path.parent):
            columns, rows = _read(path)
            if any(_key(row) == _key(new) for row in rows):
                return
            columns += [name for name in new if name not in columns]
            write_bytes(path, _text(columns, [*rows, new]).encode())

    def best(self, estimator: Any) -> None:
        """Do nothing: the row with the best score is that of the best estimator.

        Parameters
        ----------
        estimator : estimator
            The best estimator.
        """

    def end(self, status: str) -> None:
        """Do nothing: no file is open.

        Parameters
        ----------
        status : str
            How the search ended.
        """


def _key(row: _Row) -> tuple[str, str]:
    return row["search_id"], row["candidate"]


def _row(search: SearchDescription, result: CandidateResult) -> _Row:
    of_candidate = (search.id, search.name, result.index, result.status, result.error, result.seconds)
    metrics = final_metrics(result)
    values: dict[str, Any] = dict(zip(_FIRST_COLUMNS, of_candidate, strict=True))
    values |= {name: value for name, value in metrics.items() if name.startswith("mean_")}
    values |= {f"param_{name}": value for name, value in result.plain_params().items()}
    values |= metrics
    return {name: "" if value is None else str(value) for name, value in values.items()}


def _read(path: Path) -> tuple[list[str], list[_Row]]:
    """The columns and the rows of a file; those of a new one if there is none, or an empty one."""
    if not path.exists() or path.stat().st_size == 0:
        return list(_FIRST_COLUMNS), []
    lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    columns = lines[0] if lines else []
    if tuple(columns[: len(_FIRST_COLUMNS)]) != _FIRST_COLUMNS:
        raise ValueError(
            f"{path} begins with the columns {', '.join(columns[: len(_FIRST_COLUMNS)])}, but a file of "
            f"CSVLogger with {', '.join(_FIRST_COLUMNS)}. Pass another path; the file has not been changed"
        )
    wrong = next((number for number, cells in enumerate(lines) if len(cells) != len(columns)), None)
    if wrong is not None:
        raise ValueError(
            f"{path} has {len(columns)} columns, but {len(lines[wrong])} values in row {wrong}. Mend the "
            "row, or pass another path; the file has not been changed"
        )
    return columns, [dict(zip(columns, cells, strict=True)) for cells in lines[1:]]


def _text(columns: list[str], rows: list[_Row]) -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Inside, no other process writes to files of the folder through a `CSVLogger`."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.name != "posix":  # other systems cannot open a folder
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
