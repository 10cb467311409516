"""Journals that somebody else has written to do harm: a search refuses them, and nothing else is touched."""

import io
import sqlite3
import struct
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerashp import KerasMLPRegressor
from kerashp.model_selection import GridSearchCV, JournalError
from kerashp.model_selection._storage.entries import (
    fit_of_key,
    key_of_fit,
    plan_of_record,
    result_of_record,
    state_of_record,
)
from kerashp.model_selection._storage.journal import _FORMAT
from kerashp.model_selection._storage.records import Records, _digest, connected, from_bytes, to_bytes
from kerashp.training import Member, Population

X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
Y = X[:, 0]


def searched(folder: Path) -> GridSearchCV:
    mlp = KerasMLPRegressor(1, 4, epochs=2, random_state=0)
    return GridSearchCV(mlp, {"learning_rate": [0.1, 0.01]}, cv=2, refit=False, journal=folder).fit(X, Y)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A journal's file."""
    folder = tmp_path_factory.mktemp("journal")
    searched(folder)
    return (folder / "journal.sqlite").read_bytes()


@pytest.fixture
def folder(written: bytes, tmp_path: Path) -> Path:
    """A folder with the journal of a search, all of whose results are there."""
    folder = tmp_path / "journal"
    folder.mkdir()
    (folder / "journal.sqlite").write_bytes(written)
    return folder


@pytest.fixture
def records(folder: Path) -> Any:
    opened = Records(folder / "journal.sqlite")
    yield opened
    opened.close()


def changed(content: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (content | changes).items() if value is not ...}


RESULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no scores": ({"test_scores": ...}, "KeyError: 'test_scores'"),
    "scores of text": ({"test_scores": "1.0"}, "its test_scores is '1.0'"),
    "scores of lists": ({"test_scores": {"r2": [1.0]}}, r"its test_scores is {'r2': \[1.0\]}"),
    "training scores": ({"train_scores": "high"}, "its train_scores is 'high'"),
    "negative rows": ({"n_test_samples": -1}, "its n_test_samples is -1"),
    "an error": ({"fit_error": 3}, "its fit_error is 3"),
    "a time": ({"fit_time": "long"}, "its fit_time is 'long'"),
    "predictions": ({"predictions": [1.0]}, r"its predictions is \[1.0\]"),
    "rows": ({"test_rows": np.zeros(3)}, "its test_rows is an array of shape .3,. and type float64"),
    "curves": ({"history": {"loss": 3.0}}, "its history is {'loss': 3.0}"),
    "best epoch": ({"best_epoch": 0.5}, "its best_epoch is 0.5"),
    "stopped": ({"stopped_early": 1}, "its stopped_early is 1"),
    "errors of scores": ({"score_errors": [1]}, r"its score_errors is \[1\]"),
    "another field": ({"estimators": 1}, "unexpected keyword argument 'estimators'"),
}


@pytest.mark.parametrize("case", RESULTS)
def test_a_result_that_no_fit_has(folder: Path, records: Records, case: str) -> None:
    changes, message = RESULTS[case]
    records.put("result", {"0/1": changed(records.get("result", "0/1"), **changes)})
    with pytest.raises(
        JournalError, match=f"damaged: a record result has contents that no search writes .*{message}"
    ):
        searched(folder)


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        (
            "journal",
            {"format": _FORMAT},
            "a record journal has contents that no search writes .KeyError: 'seed'",
        ),
        ("journal", [3], "a record journal has contents"),
        ("journal", {"format": _FORMAT, "seed": "x"}, "a record journal has contents .*invalid literal"),
        ("search", ["X"], "a record search has contents .*AttributeError"),
        ("plan", {"groups": 3}, "a record plan has contents .*not iterable"),
        ("plan", {"groups": [], "alone": [], "costs": None}, r"its fits are \[\], which are not those"),
        (
            "plan",
            {"groups": [], "alone": [{"fit": [0, -1], "reason": ""}], "costs": None},
            r"its fit is \[0, -1\]",
        ),
    ],
)
def test_a_record_of_another_form(
    folder: Path, records: Records, kind: str, content: Any, message: str
) -> None:
    records.put(kind, {"journal" if kind == "journal" else "0": content})
    records.remove("result", ["0/0"])
    with pytest.raises(JournalError, match=f"journal.sqlite is damaged.*{message}.*nothing has been changed"):
        searched(folder)


@pytest.mark.parametrize("key", ["one", "1", "1/2/3", "1/x"])
def test_a_result_of_no_fit(folder: Path, records: Records, key: str) -> None:
    records.put("result", {key: records.get("result", "0/0")})
    with pytest.raises(JournalError, match="a record result has contents that no search writes"):
        searched(folder)


ROOM = {"n_members": 2, "units": [4, 1], "spare": [True, False], "validates": False}


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"batch_size": -3}, r"its counts of a group is \(-3, "),
        ({"room": ROOM | {"spare_layers": -1}}, r"its counts of a group is \(.*, -1, 4, 1\)"),
        ({"room": ROOM | {"columns": [3, -1]}}, r"its counts of a group is \(.*, 4, 1, 3, -1\)"),
        ({"one_by_one": 7}, "its one_by_one is 7"),
        ({"traits": {"batch_size": 20}}, r"its traits is {'batch_size': 20}"),
    ],
)
def test_a_group_of_another_form(records: Records, part: dict[str, Any], message: str) -> None:
    plan = records.get("plan", "0")
    fits = [fit_of_key(key) for key in records.all("result")]
    assert sorted(plan_of_record(plan, fits).groups[0].fits) == sorted(fits)
    plan["groups"][0] |= part
    with pytest.raises(ValueError, match=message):
        plan_of_record(plan, fits)
    assert [fit_of_key(key_of_fit(fit)) for fit in fits] == fits


def test_a_state_that_no_training_has() -> None:
    from kerashp import build_model

    population = Population([Member(build_model(1, 4, input_shape=4), random_state=0)], X, Y)
    population.train(epochs=1)
    state = from_bytes(to_bytes(vars(population.paused(0))))
    assert state_of_record(state).n_epochs == 1
    for order, message in (
        ({**state["order"], "state": {**state["order"]["state"], "pos": 10**6}}, "its order is"),
        ({**state["order"], "state": {"key": np.zeros(3, np.uint32), "pos": 0}}, "its order is"),
        (
            {"bit_generator": "Philox", "state": {}, "buffer_pos": 99},
            "its order is {'bit_generator': 'Philox'",
        ),
        (3, "'int' object is not a mapping"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            state_of_record({**state, "order": order})
    for name, value in (("values", [[3]]), ("values", 3), ("best", [3]), ("history", {"loss": None})):
        with pytest.raises(ValueError, match=f"its {name} is"):
            state_of_record({**state, name: value})
    with pytest.raises(KeyError, match="test_scores"):
        result_of_record({"fit_error": None})


def bomb() -> bytes:
    block = io.BytesIO()
    with zipfile.ZipFile(block, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("text.npy", bytes(2**26))
    return block.getvalue()


def lying() -> bytes:
    block, header = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<U1", "fortran_order": False, "shape": (2**40,)})
    with zipfile.ZipFile(block, "w") as archive:
        archive.writestr("text.npy", header.getvalue())
    return block.getvalue()


def of_objects() -> bytes:
    text = b'{"an array": "0", "of": ["O", [1]]}'
    block = io.BytesIO()
    np.savez(block, **{"text": np.array(text.decode()), "0": np.zeros(8, np.uint8)})
    return block.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bomb, "would unpack to 67108864 bytes"),
        (lying, "should have 4398046511104 bytes, but has 0"),
        (of_objects, "Cannot change data-type"),
        (lambda: to_bytes(["[" * 3]) + b"more", "a record result has contents|BadZipFile|its"),
    ],
)
def test_records_that_claim_more_than_they_hold(
    folder: Path, content: Callable[[], bytes], message: str, records: Records
) -> None:
    own = content()
    row = ("result", "0/0", own, _digest("result", "0/0", own))
    records._change("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)", [row])
    with pytest.raises(JournalError, match=message):
        searched(folder)


@pytest.mark.parametrize(
    "more",
    [
        "CREATE TRIGGER t AFTER INSERT ON records BEGIN DELETE FROM records; END",
        "CREATE TABLE other (a)",
        "CREATE VIEW v AS SELECT 1",
        "DROP TABLE records",
        "ALTER TABLE records ADD COLUMN more TEXT",
    ],
)
def test_a_database_with_anything_else_in_it_is_refused(folder: Path, more: str) -> None:
    connection = sqlite3.connect(folder / "journal.sqlite")
    connection.execute(more)
    connection.commit()
    connection.close()
    before = (folder / "journal.sqlite").read_bytes()
    with pytest.raises(JournalError, match="is damaged or not a journal of kerashp: it holds"):
        searched(folder)
    assert (folder / "journal.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    "name", ["journal.sqlite", "lock.sqlite", "journal.sqlite-journal", "lock.sqlite-journal"]
)
def test_links_out_of_a_journals_folder_are_not_followed(folder: Path, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    (folder / "journal.sqlite").rename(victim) if name == "journal.sqlite" else victim.write_text("precious")
    (folder / name).symlink_to(victim)
    before = victim.read_bytes()
    with pytest.raises(JournalError, match=f"{name} leads out of the folder"):
        searched(folder)
    assert victim.read_bytes() == before


def test_a_file_of_sqlite_that_comes_and_goes_is_no_error(folder: Path) -> None:
    """Another process writes, and removes its rollback journal between two looks at it."""
    rollback, done = folder / "journal.sqlite-journal", threading.Event()

    def come_and_go() -> None:
        while not done.is_set():
            rollback.write_bytes(b"")
            rollback.unlink(missing_ok=True)

    writer = threading.Thread(target=come_and_go)
    writer.start()
    try:
        for _ in range(1000):
            connected(folder / "journal.sqlite", 1.0).close()
    finally:
        done.set()
        writer.join()


@pytest.mark.parametrize("name", ["journal.sqlite", "lock.sqlite"])
def test_sqlite_deletes_no_file_that_its_own_journal_names(folder: Path, tmp_path: Path, name: str) -> None:
    """A rollback journal of several databases names a file that SQLite deletes in the end, whatever it is."""
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    if name == "lock.sqlite":
        (folder / name).write_bytes((folder / "journal.sqlite").read_bytes())
    named, magic = str(victim).encode(), bytes.fromhex("d9d505f920a163d7")
    pages = (folder / "journal.sqlite").stat().st_size // 4096
    head = (magic + struct.pack(">IIIII", 0, 1, pages, 512, 4096)).ljust(512, b"\0")
    end = struct.pack(">I", 2**30 // 4096 + 1) + named + struct.pack(">II", len(named), sum(named)) + magic
    (folder / f"{name}-journal").write_bytes(head + end)
    with pytest.raises(JournalError, match=f"{name}-journal names another file, which SQLite would delete"):
        searched(folder)
    assert victim.read_text() == "precious"
