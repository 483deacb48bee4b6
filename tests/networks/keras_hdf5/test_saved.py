"""What Keras saves in other ways than one HDF5 file: archives, weights alone, several outputs."""

import importlib.util
import json
import shutil
import warnings
import zipfile

import h5py
import numpy as np
import onnxruntime
import pytest

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.keras_hdf5.model import read_keras_hdf5

# Keras turns torch's parameters into arrays in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
IMAGE = (6, 6, 3)


@pytest.fixture(scope="module")
def keras(tmp_path_factory):
    """Keras 3, on torch where there is torch."""
    with pytest.MonkeyPatch.context() as patch:
        if importlib.util.find_spec("torch"):
            patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras_home")))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # backends deprecate parts of themselves on import
            return pytest.importorskip("keras")


@pytest.fixture(scope="module")
def model(keras):
    """Two outputs, a nested model, and two layers of one class."""
    L = keras.layers
    inner = keras.Sequential(
        [L.Input(IMAGE), L.Conv2D(4, 3), L.BatchNormalization(), L.Dropout(0.5), L.Conv2D(4, 1)]
    )
    images = keras.Input(IMAGE)
    features = L.Flatten()(inner(images))
    age = L.Dense(3, activation="softmax", name="age")(features)
    gender = L.Dense(1, activation="sigmoid", name="gender")(features)
    built = keras.Model(images, [gender, age])
    rng = np.random.default_rng(0)
    built.set_weights([rng.uniform(0.1, 1, size=weight.shape) for weight in built.weights])
    return built


@pytest.fixture
def saved(model, tmp_path):
    """Return a folder with the model in all the ways in which Keras 3 saves it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # HDF5 is a legacy format of Keras
        model.save(tmp_path / "whole.h5")
    model.save(tmp_path / "archive.keras")
    model.save_weights(tmp_path / "alone.weights.h5")
    (tmp_path / "alone.json").write_text(model.to_json(), "utf-8")
    # as Keras 1 and 2 wrote weights alone
    shutil.copy(tmp_path / "whole.h5", tmp_path / "old.h5")
    with h5py.File(tmp_path / "old.h5", "r+") as file:
        text = file.attrs["model_config"]
        del file.attrs["model_config"]
    config = json.loads(text) | {"keras_version": "2.2.4", "backend": "tensorflow"}
    (tmp_path / "old.json").write_text(json.dumps(config), "utf-8")
    return tmp_path


def run(path, *more):
    """Return what a file's network makes of some images, by output."""
    images = np.random.default_rng(1).random((2, *IMAGE), dtype=np.float32)
    network = read_keras_hdf5(path, *more)
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    shapes = {output.name: output.shape[1:] for output in session.get_outputs()}
    assert shapes == {"gender": [1], "age": [3]}
    return images, dict(zip(shapes, session.run(None, {"input": images}), strict=True))


@pytest.mark.parametrize("name", ["whole.h5", "archive.keras", "alone.weights.h5", "old.h5"])
def test_every_way_of_saving_gives_what_keras_gives(model, saved, name):
    images, outputs = run(saved / name)
    for told, expected in zip(["gender", "age"], model.predict_on_batch(images), strict=True):
        # single precision, in another order of sums
        np.testing.assert_allclose(outputs[told], np.asarray(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["alone.weights.h5", "old.h5"])
def test_the_architecture_may_be_told(saved, name):
    beside = run(saved / name)[1]
    architecture = (saved / f"{name.split('.')[0]}.json").rename(saved / "elsewhere.json")
    with pytest.raises(WeightsError, match=r"'alone\.json'|as 'old\.json'"):
        read_keras_hdf5(saved / name)
    told = run(saved / name, architecture)[1]
    np.testing.assert_equal(told, beside)
    # json.dump(model.to_json(), file) writes JSON in a text
    architecture.write_text(json.dumps(architecture.read_text("utf-8")), "utf-8")
    np.testing.assert_equal(run(saved / name, architecture)[1], beside)


def test_an_architecture_that_is_not_needed(saved):
    with pytest.raises(WeightsError, match=r"the whole model; pass it without .*alone\.json"):
        read_keras_hdf5(saved / "whole.h5", saved / "alone.json")


@pytest.mark.parametrize(
    ("text", "match"), [("[1]", "JSON object, got list"), ("{", "not JSON"), ('"["', "not JSON")]
)
def test_an_architecture_that_is_none(saved, text, match):
    (saved / "old.json").write_text(text, "utf-8")
    with pytest.raises(WeightsError, match=match):
        read_keras_hdf5(saved / "old.h5")


def test_weights_of_another_model(saved):
    config = json.loads((saved / "old.json").read_text("utf-8"))
    config["config"]["layers"][-1]["config"]["units"] = 7
    (saved / "old.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(WeightsError, match=r"needs an array of shape \(64, 7\)"):
        read_keras_hdf5(saved / "old.h5")


def test_layers_are_found_by_their_order_as_in_keras(saved):
    # Keras counts names on in a process; a nested Sequential of Keras 1 has none at all.
    expected = run(saved / "whole.h5")[1]
    with h5py.File(saved / "whole.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        root = file["model_weights"]
        names = []
        for name in root.attrs["layer_names"]:
            text = name.decode() if isinstance(name, bytes) else name
            root.move(text, f"{text}_7")
            names.append(f"{text}_7".encode())
        root.attrs["layer_names"] = names
        for entry in config["config"]["layers"]:
            if entry["class_name"] == "Sequential":
                entry["config"] = entry["config"]["layers"]
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "1.2.2"
    np.testing.assert_equal(run(saved / "whole.h5")[1], expected)


def test_hdf5_under_the_name_of_an_archive(saved):
    # until 2.12 tf.keras wrote HDF5 under this name
    (saved / "whole.h5").rename(saved / "whole.keras")
    np.testing.assert_equal(run(saved / "whole.keras")[1], run(saved / "archive.keras")[1])


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_inputs_and_outputs_by_name(keras, tmp_path, suffix):
    images = keras.Input((4,), name="images")
    path = tmp_path / f"model.{suffix}"
    scores = keras.layers.Dense(2, name="dense")(images)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # HDF5 is a legacy format of Keras
        keras.Model({"images": images}, {"scores": scores}).save(path)
    assert read_keras_hdf5(path)


def test_outputs_that_are_called_alike(keras, tmp_path):
    images = keras.Input((4,))
    shared = keras.layers.Dense(2, name="shared")
    path = tmp_path / "model.keras"
    others = [shared(keras.layers.Activation(name)(images)) for name in ("relu", "tanh")]
    keras.Model(images, [shared(images), *others]).save(path)
    session = onnxruntime.InferenceSession(
        read_keras_hdf5(path), providers=["CPUExecutionProvider"]
    )
    names = ["shared", "shared_1", "shared_2"]
    assert [output.name for output in session.get_outputs()] == names


def test_an_output_that_is_called_as_the_input(keras, tmp_path):
    images = keras.Input((4,))
    parts = [keras.layers.Dense(2, name=name)(images) for name in ("input", "other")]
    keras.Model(images, parts).save(tmp_path / "model.keras")
    with pytest.raises(WeightsError, match="no output may be called 'input'; rename that layer"):
        read_keras_hdf5(tmp_path / "model.keras")


def rewrite(path, change, **options):
    """Write an archive again, its members changed."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    change(members)
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("change", "options", "match"),
    [
        (lambda m: m.pop("config.json"), {}, "with one config.json, got 0"),
        (lambda m: m.pop("metadata.json"), {}, "with one metadata.json, got 0"),
        (lambda m: m.pop("model.weights.h5"), {}, "with one model.weights.h5, got 0"),
        (dict.copy, {"compression": zipfile.ZIP_DEFLATED}, "compressed, which Keras never"),
        (lambda m: m.update({"config.json": b"{"}), {}, "is not JSON"),
        (lambda m: m.update({"config.json": b" " * (17 << 20)}), {}, "bytes, too many"),
        (lambda m: m.update({"model.weights.h5": b"\x89HD"}), {}, "archive.keras: is not an HDF5"),
        (lambda m: m.update({"model.weights.h5": b""}), {}, "archive.keras: is not an HDF5 file"),
    ],
)
def test_archives_that_are_no_model(saved, change, options, match):
    path = saved / "archive.keras"
    rewrite(path, change, **options)
    with pytest.raises(WeightsError, match=match):
        read_keras_hdf5(path)


def test_an_archive_with_two_members_of_a_name(saved):
    path = saved / "archive.keras"
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("config.json", b"{}")
    with pytest.raises(WeightsError, match=r"with one config\.json, got 2"):
        read_keras_hdf5(path)


@pytest.mark.parametrize("kept", [10, 3000, -300, -10])
def test_a_truncated_archive(saved, kept):
    path = saved / "archive.keras"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(WeightsError, match=r"archive\.keras: is damaged"):
        read_keras_hdf5(path)


def test_an_archive_whose_bytes_changed(saved):
    path = saved / "archive.keras"
    content = bytearray(path.read_bytes())
    place = content.index(b"HDF") + 5000
    content[place : place + 64] = bytes(range(64))
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"archive\.keras: is damaged .*CRC"):
        read_keras_hdf5(path)


def test_nothing_is_left_of_an_archive(saved, monkeypatch):
    folder = saved / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    read_keras_hdf5(saved / "archive.keras")
    assert not list(folder.iterdir())
