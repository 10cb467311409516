"""Files that somebody else has written to do harm: nothing in them is believed, opened or deleted."""

import io
import json
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from kerashp import KerasMLPRegressor, build_model, fit
from kerashp._archives import check_archive, read_arrays, write_arrays
from kerashp._files import atomic_write, digest, digest_of_json, read_json, regular_file
from kerashp.callbacks import CheckpointError, ModelCheckpoint

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 4)).astype("float32")
Y = X[:, 0]
OPTIONS = {"validation_split": 0.25, "verbose": 0}
MANIFEST = "epoch.keras.json"


def model(**options: Any) -> Any:
    keras.utils.set_random_seed(0)
    return build_model(1, 5, 0.1, (4,), **options)


def saved(folder: Path, name: str = "{epoch:02d}.keras", epochs: int = 2) -> ModelCheckpoint:
    """The checkpoint of a training in a folder."""
    checkpoint = ModelCheckpoint(folder / name)
    fit(model(), X, Y, epochs=epochs, callbacks=[checkpoint], **OPTIONS)
    return checkpoint


def rewritten(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """A JSON file of kerashp's with something changed, and its digest right."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps({**content, "digest": digest_of_json(content)}))


def with_record(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda content: content["records"][0].update(changes)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose content was read for its digest."""
    from kerashp.callbacks import _manifest

    found: list[str] = []
    monkeypatch.setattr(_manifest, "digest", lambda path: found.append(str(path)) or digest(path))
    return found


# Manifests.


@pytest.mark.parametrize(
    "name",
    [
        "../victim.txt",
        "/etc/passwd",
        "victim.txt",
        "01.keras/../../victim.txt",
        "sub/01.keras",
        "1.keras",
        "",
    ],
)
def test_a_record_of_another_file_opens_and_deletes_nothing(
    tmp_path: Path, name: str, opened: list[str]
) -> None:
    folder = tmp_path / "run"
    saved(folder)
    for victim in (tmp_path / "victim.txt", folder / "victim.txt", folder / "1.keras"):
        victim.write_text("precious")
    before = sorted(tmp_path.rglob("*"))
    rewritten(folder / MANIFEST, with_record(file=name))
    checkpoint, own = ModelCheckpoint(folder / "{epoch:02d}.keras", keep=1), model()
    opened.clear()
    with pytest.raises(CheckpointError, match=rf"{MANIFEST} lists '{name}' for epoch 1, .* name '01.keras'"):
        checkpoint.resume(own)
    later = ModelCheckpoint(folder / "{epoch:02d}.keras", keep=1)
    with pytest.raises(CheckpointError, match="Use the filepath that they were saved by, or another folder"):
        fit(own, X, Y, epochs=3, initial_epoch=2, callbacks=[later], **OPTIONS)
    assert opened == []
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epoch": -5}, "the epoch of a record is -5, which no checkpoint has"),
        ({"epoch": "a"}, "the epoch of a record is 'a'"),
        ({"epoch": 1.0}, "the epoch of a record is 1.0"),
        ({"epoch": True}, "the epoch of a record is True"),
        ({"epoch": None}, "the epoch of a record is None"),
        ({"epoch": 10**30}, "the epoch of a record is 10000"),
        ({"metrics": [1.0]}, r"the metrics of a record is \[1.0\]"),
        ({"metrics": {"loss": "low"}}, "the metrics of a record is {'loss': 'low'}"),
        ({"metrics": {"loss": False}}, "the metrics of a record is"),
        ({"metrics": {"epoch": 3.0}}, "multiple values for keyword argument 'epoch'"),
        ({"is_best": 1}, "the is_best of a record is 1"),
        ({"best": "best"}, "the best of a record is 'best'"),
        ({"digest": "0"}, "the digest of a record is '0'"),
        ({"digest": ["0"] * 64}, "the digest of a record is"),
        ({"replaces": "x"}, "the replaces of a record is 'x'"),
        ({"placed": None}, "the placed of a record is None"),
        ({"file": 3}, "the file of a record is 3"),
        ({"more": 3}, "unexpected keyword argument 'more'"),
    ],
)
def test_a_record_that_no_checkpoint_has(
    tmp_path: Path, changes: dict[str, Any], said: str, opened: list[str]
) -> None:
    saved(tmp_path)
    rewritten(tmp_path / MANIFEST, with_record(**changes))
    opened.clear()
    with pytest.raises(CheckpointError, match=rf"{MANIFEST} is damaged .*{said}.* Take another copy of"):
        ModelCheckpoint(tmp_path / "{epoch:02d}.keras").resume(model())
    assert opened == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content.update(records=3), "not iterable"),
        (lambda content: content.update(records=[3]), "must be a mapping"),
        (lambda content: content["records"][0].pop("file"), "missing 1 required positional argument: 'file'"),
        (lambda content: content.update(architecture="Dense"), "architecture is 'Dense', not a list of str"),
        (lambda content: content.update(architecture=[3]), r"architecture is \[3\], not a list of str"),
        (lambda content: content.update(format=[1]), r"its format is \[1\], not 1"),
        (lambda content: content.pop("format"), "KeyError: 'format'"),
    ],
)
def test_a_manifest_of_another_form(tmp_path: Path, change: Callable[..., Any], said: str) -> None:
    saved(tmp_path)
    rewritten(tmp_path / MANIFEST, change)
    with pytest.raises(CheckpointError, match=f"{MANIFEST} is damaged .*{said}"):
        ModelCheckpoint(tmp_path / "{epoch:02d}.keras").resume(model())


def test_a_manifest_that_is_no_object_or_too_deep_or_too_large(tmp_path: Path) -> None:
    for text, said in (
        ("[]", "it contains a list, not a JSON object"),
        ("[" * 100_000, "RecursionError"),
        ('{"a": ' * 100_000, "RecursionError"),
        (f'{{"epoch": 1{"0" * 5000}}}', "Exceeds the limit"),
        (" " * (2**26 + 1), "it has 67108865 bytes, and at most 67108864 are read"),
    ):
        (tmp_path / MANIFEST).write_text(text)
        with pytest.raises(CheckpointError, match=f"{MANIFEST} is damaged .*{said}"):
            ModelCheckpoint(tmp_path / "{epoch:02d}.keras").resume(model())


def test_links_are_neither_followed_nor_deleted(tmp_path: Path, opened: list[str]) -> None:
    folder = tmp_path / "run"
    saved(folder)
    victim = tmp_path / "victim.keras"
    (folder / "01.keras").rename(victim)
    (folder / "01.keras").symlink_to(victim)
    opened.clear()
    with pytest.raises(CheckpointError, match="01.keras leads out of the folder, to .*victim.keras"):
        ModelCheckpoint(folder / "{epoch:02d}.keras", keep=1).resume(model())
    assert opened == []
    assert (folder / "01.keras").is_symlink()
    (folder / MANIFEST).unlink()
    (folder / MANIFEST).symlink_to(victim)
    with pytest.raises(CheckpointError, match=f"{MANIFEST} leads out of the folder"):
        ModelCheckpoint(folder / "{epoch:02d}.keras").resume(model())


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / MANIFEST)
    with pytest.raises(CheckpointError, match=f"{MANIFEST} is not a regular file"):
        ModelCheckpoint(tmp_path / "{epoch:02d}.keras").resume(model())


def test_folders_of_the_template_are_folders_of_its_checkpoints(tmp_path: Path) -> None:
    template = "run/{epoch}/{val_loss:.1f}.keras"
    checkpoint = saved(tmp_path, template)
    own = model()
    assert checkpoint.resume(own) == 2
    assert ModelCheckpoint(tmp_path / template).resume(own) == 2
    (folder,) = (tmp_path / "run" / "1").iterdir()
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "run" / "1").rename(elsewhere)
    (tmp_path / "run" / "1").symlink_to(elsewhere)
    with pytest.raises(CheckpointError, match="leads out of the folder"):
        ModelCheckpoint(tmp_path / template, keep=1).resume(own)
    assert (elsewhere / folder.name).exists()


def test_names_with_any_format_fit_their_template(tmp_path: Path) -> None:
    names = ("{epoch:x}-{val_loss:+.2e}.keras", "{epoch} {loss:.1%}.weights.h5", "a{{b}}{epoch:>4}.keras")
    for number, name in enumerate(names):
        folder = tmp_path / str(number)
        saved(folder, name)
        assert ModelCheckpoint(folder / name).resume(model()) == 2


def test_checkpoints_of_another_template_are_not_taken_over(tmp_path: Path) -> None:
    saved(tmp_path)
    with pytest.raises(CheckpointError, match="lists '01.keras' for epoch 1, .* gives the name '001.keras'"):
        ModelCheckpoint(tmp_path / "{epoch:03d}.keras", keep=1).resume(model())
    assert (tmp_path / "01.keras").exists()


def test_a_link_in_the_place_of_a_new_file_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    (tmp_path / ".new.a.txt").symlink_to(victim)
    with atomic_write(tmp_path / "a.txt", lambda path: path.write_text("new")):
        pass
    assert victim.read_text() == "precious"
    assert (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.parametrize("name", ["..", ".", "", "../a", "/etc/passwd", "a/../../b"])
def test_names_that_leave_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="leads out of the folder"):
        regular_file(tmp_path, name)


def test_a_folder_that_is_a_link_itself_is_fine(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert regular_file(tmp_path / "link", "a") == tmp_path / "link" / "a"
    saved(tmp_path / "link")
    assert ModelCheckpoint(tmp_path / "link" / "{epoch:02d}.keras").resume(model()) == 2


# The state inside of a checkpoint.


def repacked(path: Path, **members: bytes) -> None:
    """An archive with some members replaced, by their names with "_" for "."."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, own in content.items():
            archive.writestr(name, members.get(name.replace(".", "_"), own))


def vouched(folder: Path) -> None:
    """Let a manifest vouch for the last file as it is."""
    path = folder / json.loads((folder / MANIFEST).read_text())["records"][-1]["file"]
    rewritten(folder / MANIFEST, lambda content: content["records"][-1].update(digest=digest(path)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"numpy/pos": 10**6}, "its state has the position 1000000 in 624 random numbers"),
        ({"numpy/pos": -1}, "its state has the position -1"),
        ({"numpy": np.zeros(3, np.uint32)}, r"its state has 'numpy' of shape \(3,\)"),
        ({"stopped": "yes"}, "its state has 'stopped' of shape .* and type <U3"),
        ({"learning_rate": np.nan}, "its state has the learning rate nan"),
        ({"seed/0": np.zeros(7)}, r"its state has 'seed/0' of shape \(7,\)"),
        ({"EarlyStopping/0/monitor_op": 1.0}, "'EarlyStopping/0/monitor_op', which no callback keeps"),
        ({"Exploit/0/wait": 1.0}, "'Exploit/0/wait', which no callback keeps"),
        ({"EarlyStopping/0/best_weights/0": np.zeros(9)}, r"best_weights/0' of shape \(9,\)"),
        ({"EarlyStopping/0/best_weights/99": np.zeros(9)}, "best_weights/99', but the model has"),
        ({"numpy/gauss": None}, "its state lacks 'numpy/gauss'"),
    ],
)
def test_a_state_that_no_training_has(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    own = model(dropout=0.1)
    fit(own, X, Y, epochs=1, callbacks=[ModelCheckpoint(tmp_path / "{epoch:02d}.keras")], **OPTIONS)
    path = tmp_path / "01.keras"
    with zipfile.ZipFile(path) as archive:
        state = read_arrays(io.BytesIO(archive.read("kerashp.npz")))
    state = {name: value for name, value in (state | changes).items() if value is not None}
    block = io.BytesIO()
    np.savez(block, **state)
    repacked(path, kerashp_npz=block.getvalue())
    vouched(tmp_path)
    before = np.random.get_state()[1].tolist()
    with pytest.raises(CheckpointError, match=f"01.keras is damaged .*{said}"):
        ModelCheckpoint(tmp_path / "{epoch:02d}.keras").resume(own)
    assert np.random.get_state()[1].tolist() == before


# Archives.


def padded_config(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json")
    repacked(path, config_json=config + b" " * 2**25)


def deflated(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["config.json"] += b" " * 2**26
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, own in content.items():
            archive.writestr(name, own)


def many_members(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(10_001):
            archive.writestr(f"assets/{number}", "")


def a_member_twice(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("config.json", "{}")


def wide_layers(path: Path) -> None:
    wide = json.loads(build_model(0, input_shape=4).to_json())
    wide = json.loads(json.dumps(wide).replace('"units": 1,', '"units": 1000000000,'))
    with zipfile.ZipFile(path) as archive:
        own = json.loads(archive.read("config.json"))
    repacked(path, config_json=json.dumps({**own, "config": wide["config"], "build_config": None}).encode())


def weights_of(path: Path, change: Callable[[h5py.File], Any]) -> None:
    block = io.BytesIO()
    with zipfile.ZipFile(path) as archive:
        block.write(archive.read("model.weights.h5"))
    with h5py.File(block, "a") as weights:
        change(weights)
    repacked(path, model_weights_h5=block.getvalue())


def hollow_weights(weights: h5py.File) -> None:
    weights.create_dataset("a", (2**40,), "float32", chunks=(2**20,), compression="gzip")


def many_hollow_weights(weights: h5py.File) -> None:
    for number in range(64):
        weights.create_dataset(f"a{number}", (2**18,), "float32", chunks=(2**10,), compression="gzip")


def more_weights(weights: h5py.File) -> None:
    weights.create_dataset("a", data=np.zeros(2**23, np.float32))


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "config": (padded_config, "config.json has .* bytes, out of proportion to .* bytes of weights"),
    "deflated": (deflated, "'config.json' would unpack to .* bytes, but .* are stored"),
    "members": (many_members, "it has 10004 members, more than 10000"),
    "twice": (a_member_twice, "it has 2 members called 'config.json'"),
    "wide": (wide_layers, "its layers have 5000000000 weights, out of proportion to .* stored"),
    "hollow": (
        lambda path: weights_of(path, hollow_weights),
        "'/a' would unpack to 4398046511104 bytes, but 0 are stored",
    ),
    "many hollow": (lambda path: weights_of(path, many_hollow_weights), "would unpack to 1048576 bytes"),
    "more": (lambda path: weights_of(path, more_weights), "bytes of weights, out of proportion to layers"),
    "outer link": (
        lambda path: weights_of(path, lambda one: one.__setitem__("a", h5py.ExternalLink("b.h5", "/b"))),
        "its //a is a link, which is not followed",
    ),
    "inner link": (
        lambda path: weights_of(path, lambda one: one.__setitem__("a", h5py.SoftLink("/layers"))),
        "its //a is a link, which is not followed",
    ),
    "circle": (
        lambda path: weights_of(path, lambda one: one.__setitem__("layers/a", one["layers"])),
        "occurs twice",
    ),
    "outside": (
        lambda path: weights_of(
            path, lambda one: one.create_dataset("a", (4,), "u1", external=[("/etc/passwd", 0, 4)])
        ),
        "its /a is stored in another file",
    ),
    "absolute": (
        lambda path: zipfile.ZipFile(path, "a").writestr("/etc/cron.d/x", ""),
        "its member '/etc/cron.d/x' leads out of the folder",
    ),
    "drive": (
        lambda path: zipfile.ZipFile(path, "a").writestr("C:x", ""),
        "its member 'C:x' leads out of the folder",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_an_archive_out_of_proportion_is_refused_before_it_is_unpacked(tmp_path: Path, case: str) -> None:
    path = tmp_path / "model.keras"
    model().save(path)
    check_archive(path)
    spoil, said = HOSTILE[case]
    spoil(path)
    most = 2 * path.stat().st_size + 2**22
    tracemalloc.start()
    with pytest.raises(ValueError, match=said):
        check_archive(path)
    assert tracemalloc.get_traced_memory()[1] < most
    tracemalloc.stop()
    with pytest.raises(
        ValueError, match=f"warm_start_from=.* cannot be loaded .*{said}.* Pass a .keras file"
    ):
        KerasMLPRegressor(1, 5, epochs=1, warm_start_from=path).fit(X, Y)


@pytest.mark.parametrize("case", ["config", "hollow", "wide", "outer link"])
def test_an_estimators_archive_is_checked(tmp_path: Path, case: str) -> None:
    KerasMLPRegressor(1, 5, epochs=1).fit(X, Y).save(tmp_path)
    spoil, said = HOSTILE[case]
    spoil(tmp_path / "model.keras")
    own = digest(tmp_path / "model.keras")
    rewritten(tmp_path / "estimator.json", lambda content: content["sha256"].update({"model.keras": own}))
    with pytest.raises(ValueError, match=f"its model.keras is not a file that Keras saved .*{said}"):
        KerasMLPRegressor.load(tmp_path)


@pytest.mark.parametrize("case", ["config", "deflated", "hollow", "outer link"])
def test_a_checkpoints_archive_is_checked(tmp_path: Path, case: str) -> None:
    saved(tmp_path)
    spoil, said = HOSTILE[case]
    spoil(tmp_path / "02.keras")
    vouched(tmp_path)
    own = model()
    before = own.get_weights()
    with pytest.raises(CheckpointError, match=f"02.keras is damaged .*{said}"):
        ModelCheckpoint(tmp_path / "{epoch:02d}.keras").resume(own)
    for one, other in zip(own.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_in_a_file_of_their_own_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    for change, said in (
        (hollow_weights, "would unpack to"),
        (more_weights, "out of proportion to a model of 31"),
    ):
        path.unlink(missing_ok=True)
        model().save_weights(path)
        check_archive(path, 31)
        with h5py.File(path, "a") as weights:
            change(weights)
        with pytest.raises(ValueError, match=said):
            check_archive(path, 31)


def test_models_of_all_kinds_pass(tmp_path: Path) -> None:
    text = keras.layers.TextVectorization(vocabulary=[f"word{number}" for number in range(5000)])
    words = keras.Input((), dtype="string")
    large = keras.layers.Embedding(5003, 8)(text(words))
    rows = keras.Input((6, 3))
    inner = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    lstm = keras.layers.Bidirectional(keras.layers.LSTM(4))(keras.layers.Dropout(0.1)(rows))
    late = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(1)])
    late(np.ones((2, 4)))
    models = [
        keras.Model(words, keras.layers.GlobalMaxPooling1D()(large)),
        keras.Model(rows, inner(lstm)),
        late,
        build_model(0, input_shape=4),
    ]
    for number, one in enumerate(models):
        for optimizer in ("adam", "sgd"):
            one.compile(optimizer, "mse")
            one.optimizer.build(one.trainable_variables)
            one.save(tmp_path / f"{number}.keras")
            check_archive(tmp_path / f"{number}.keras")


# Arrays, and what an estimator's folder says of itself.


def compressed(path: Path) -> None:
    np.savez_compressed(path, a=np.zeros(2**20))


def lying_header(path: Path) -> None:
    block = io.BytesIO()
    np.lib.format.write_array_header_1_0(block, {"descr": "<f8", "fortran_order": False, "shape": (2**50,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", block.getvalue() + bytes(8))


def leaving(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../a.npy", b"")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (compressed, "its array 'a.npy' is compressed; numpy.savez stores arrays as they are"),
        (lying_header, "its array 'a.npy' should have 9007199254740992 bytes, but has 8"),
        (leaving, "its member '../a.npy' leads out of the folder"),
    ],
)
def test_arrays_that_are_no_arrays_of_ours(tmp_path: Path, make: Callable[[Path], None], said: str) -> None:
    KerasMLPRegressor(1, 5, epochs=1).fit(X, Y).save(tmp_path)
    make(tmp_path / "arrays.npz")
    with pytest.raises(ValueError, match=said):
        read_arrays(tmp_path / "arrays.npz")
    own = digest(tmp_path / "arrays.npz")
    rewritten(tmp_path / "estimator.json", lambda content: content["sha256"].update({"arrays.npz": own}))
    with pytest.raises(ValueError, match=f"cannot load an estimator from .*{said}"):
        KerasMLPRegressor.load(tmp_path)


def test_arrays_are_what_was_saved(tmp_path: Path) -> None:
    arrays = {
        "a": np.arange(6).reshape(2, 3),
        "b/c": np.array(1.5),
        "ä": np.array(["x", "yy"]),
        "e": np.ones(0),
    }
    np.savez(tmp_path / "a.npz", **arrays)
    read = read_arrays(tmp_path / "a.npz")
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ([2**40, 2**40], "a row of more than 268435456 numbers"),
        ([-4], r"input_shape is \[-4\], not a list of positive integers"),
        (["4"], r"input_shape is \['4'\]"),
        (4, "input_shape is 4"),
        ([True], r"input_shape is \[True\]"),
    ],
)
def test_a_shape_of_rows_that_no_estimator_has(tmp_path: Path, shape: Any, said: str) -> None:
    KerasMLPRegressor(1, 5, epochs=1).fit(X, Y).save(tmp_path)
    rewritten(tmp_path / "estimator.json", lambda content: content.update(input_shape=shape))
    with pytest.raises(ValueError, match=f"cannot load an estimator from .*{said}"):
        KerasMLPRegressor.load(tmp_path)


def test_an_estimators_description_that_is_too_deep(tmp_path: Path) -> None:
    KerasMLPRegressor(1, 5, epochs=1).fit(X, Y).save(tmp_path)
    (tmp_path / "estimator.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="its estimator.json does not describe an estimator .RecursionError"):
        KerasMLPRegressor.load(tmp_path)


def test_saving_does_not_write_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    fitted = KerasMLPRegressor(1, 5, epochs=1).fit(X, Y)
    for name in ("model.keras", "arrays.npz", "estimator.json"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).symlink_to(victim)
        fitted.save(folder)
        assert KerasMLPRegressor.load(folder).epochs == 1
    assert victim.read_text() == "precious"


def test_what_write_json_wrote_is_read(tmp_path: Path) -> None:
    rewritten_file = tmp_path / "a.json"
    rewritten_file.write_text(json.dumps({"a": 1, "digest": digest_of_json({"a": 1})}))
    assert read_json(rewritten_file)["a"] == 1


# Written arrays.


def test_arrays_are_written_as_they_are_and_nothing_beside_them(tmp_path: Path) -> None:
    arrays = {"a": np.arange(3.0), "b": np.array(["x", "yz"])}
    write_arrays(tmp_path / "arrays.npz", arrays)
    again = read_arrays(tmp_path / "arrays.npz")
    assert again.keys() == arrays.keys()
    assert all((again[name] == array).all() for name, array in arrays.items())


def test_objects_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="Object arrays cannot be saved without pickle; got b, c. Pass numbers"
    ):
        write_arrays(tmp_path / "arrays.npz", {"a": np.ones(2), "b": np.array([{}]), "c": np.array([None])})
    assert not list(tmp_path.iterdir())
