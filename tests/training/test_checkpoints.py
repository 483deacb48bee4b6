"""Checkpoints: what they hold, how they are told apart, what is refused."""

import json
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from emotion_estimators.training.checkpoints import (
    Checkpoints,
    code_of,
    describe,
    differences,
    digest,
    fingerprint,
)

STATE = {
    "weights": {"head.0": np.arange(6, dtype=np.float32).reshape(2, 3).T, "n": np.array(7)},
    "empty": np.zeros((0, 3), np.uint8),
    "history": [{"epoch": 1, "loss": 0.1}, {"epoch": 2, "loss": float("inf")}],
    "best": None,
    "groups": [[1, 2], "text", True, {}],
}


@pytest.fixture
def checkpoints(tmp_path):
    parts = describe({"images": np.zeros((4, 2)), "learning_rate": 0.1})
    made = Checkpoints("Net", tmp_path / "run", parts)
    made.prepare()
    return made


def test_a_state_comes_back_as_it_was(checkpoints):
    checkpoints.save(STATE, is_over=False)
    state, is_over = checkpoints.find(True)
    assert not is_over
    plain = json.dumps(STATE, default=lambda array: [str(array.dtype), array.tolist()])
    assert plain == json.dumps(state, default=lambda array: [str(array.dtype), array.tolist()])
    with np.load(checkpoints.path, allow_pickle=False) as file:  # an .npz as any other
        assert_array_equal(file["0"], STATE["weights"]["head.0"])
    checkpoints.save({"n": 2}, is_over=True)
    assert checkpoints.find(checkpoints.path) == ({"n": 2}, True)
    assert [path.name for path in checkpoints.path.parent.iterdir()] == ["last.npz"]


def test_equal_values_have_one_description():
    values = {"a": 1, "b": [0.5, None], "c": "x", "d": True, "e": {"1": 2}, "f": "NaN"}
    same = {
        "a": np.float64(1), "b": (np.float32(0.5), None), "c": Path("x"), "d": np.True_,
        "e": {1: np.int8(2)}, "f": float("nan"),
    }  # fmt: skip
    assert describe(same) == values
    assert fingerprint(describe(same)) == fingerprint(dict(reversed(values.items())))
    assert len(fingerprint(values)) == 32


class Thing:
    """An object with plain attributes, and others."""

    def __init__(self, size, inner=None):
        self.size, self.inner, self._hidden = size, inner, size


def test_objects_are_described_by_class_and_plain_attributes():
    described = describe(Thing(3))
    assert described == describe(Thing(3)) != describe(Thing(4))
    assert described["class"].endswith("Thing")
    assert described["size"] == 3
    assert "_hidden" not in described
    assert describe(Thing(3, inner=object())).keys() == {"class", "size"}
    assert describe(Thing) == describe(Thing(1))["class"]
    assert describe(np.mean) == "numpy.mean"
    one, other = partial(Thing, size=1), partial(Thing, size=2)
    assert describe(one) == describe(partial(Thing, size=1)) != describe(other)
    assert json.loads(json.dumps(describe([one, Thing(2), {1, 2}])))


RATE = 0.5


def scaled(value, by=2):
    return [inner for inner in [value] if inner in {"a", "b"}] or value * by * RATE


def test_functions_of_one_name_are_told_apart_by_their_code(monkeypatch):
    def made(constant, around=1):
        return [lambda x: x * 2, lambda x: x * 3][constant], lambda x: x * around

    assert describe(made(0)) == describe(made(1)) == describe(made(0, around=2))
    same = code_of(made(0))
    assert same == code_of(made(0)) != code_of(made(1))
    assert code_of(made(0, around=2)) != same
    code = code_of(scaled)
    assert code == code_of({"any": partial(scaled)})["any"]["0"]
    assert code_of(partial(scaled, by=len)) == {"0": code}  # what is none of Python's is left out
    monkeypatch.setitem(globals(), "RATE", 0.1)
    assert code_of(scaled) != code
    assert code_of(Thing) is code_of([1, "x", {"size": np.mean}]) is None
    recursive = (lambda: lambda: late)()
    assert code_of(recursive).startswith("sha256:")
    late = 1
    told = differences({"code": {"optimizer": same}}, {"code": {"optimizer": code}})
    assert told == "other code.optimizer"


def test_modules_are_described_by_parts_and_weights():
    nn = pytest.importorskip("torch", reason="describes modules of torch").nn

    def made(n=2, dropout=0.5):
        net = nn.Sequential(nn.Linear(2, n), nn.Dropout(dropout))
        for parameter in net.parameters():
            nn.init.ones_(parameter)
        return net

    net = made()
    same = describe(net)
    assert describe(made()) == describe(made().eval()) == same
    assert describe(made(3)) != same
    assert describe(made(dropout=0.1)) != same
    nn.init.zeros_(net[0].bias)
    assert describe(net)["parts"] == same["parts"]
    assert describe(net)["weights"] != same["weights"]


def test_arrays_are_told_apart_by_all_that_they_are():
    array = np.arange(12, dtype=np.int32).reshape(3, 4)
    pieces = [array[:1], array[1:1], array[1:]]
    assert digest(pieces) == digest([array]) == digest([np.asfortranarray(array)])
    others = [
        array.T,
        array.reshape(4, 3),
        array.astype(np.int64),
        array + 1,
        array[:2],
        array[::-1],
    ]
    assert len({digest([one]) for one in [array, *others]}) == 7
    words = np.array(["a", "b"])
    assert describe(words) != describe(words[::-1])
    assert describe(words.astype(object)) == ["a", "b"]
    assert describe(np.zeros((2, 0))) != describe(np.zeros((0, 2), np.float32))


@pytest.mark.parametrize("kind", ["bytes", "cut", "longer", "empty"])
def test_nothing_damaged_is_taken(checkpoints, kind):
    checkpoints.save(STATE, is_over=False)
    whole = checkpoints.path.read_bytes()
    chance = np.random.default_rng(0)
    damaged = {
        "bytes": lambda i: whole[:i] + bytes([whole[i] ^ chance.integers(1, 256)]) + whole[i + 1 :],
        "cut": lambda i: whole[:i],
        "longer": lambda i: whole + whole[:i],
        "empty": lambda _: b"",
    }[kind]
    places = range(0 if kind != "longer" else 1, len(whole), 1 if kind == "bytes" else 23)
    for i in places[:1] if kind == "empty" else places:
        checkpoints.path.write_bytes(damaged(i))
        with pytest.raises(ValueError, match=r"^Net cannot read the checkpoint .*Remove the file"):
            checkpoints.find(True)


def test_another_trainings_file_is_refused_with_what_differs(checkpoints, tmp_path):
    checkpoints.save(STATE, is_over=True)
    parts = describe({"images": np.ones((4, 2)), "learning_rate": 0.2, "x": 1})
    other = Checkpoints("Net", tmp_path / "run", parts)
    match = r"with other images, learning_rate=0\.1 \(now 0\.2\), x=None \(now 1\)\. Restore"
    for path in (checkpoints.path, str(checkpoints.path.parent), tmp_path / "run"):
        with pytest.raises(ValueError, match=match):
            other.find(path)
    assert other.find(True) is None
    assert other.find(False) is None
    many = Checkpoints("Net", None, {f"parameter_{i}": "text" * 500 for i in range(99)})
    with pytest.raises(ValueError, match=r"with other images, .* 95 more\. Restore") as caught:
        many.find(checkpoints.path)
    assert len(str(caught.value)) < 1500


def test_a_checkpoint_of_another_version_is_told_of(tmp_path):
    def checkpoints(version, **parts):
        return Checkpoints("Net", tmp_path, {"versions": {"emotion-estimators": version}, **parts})

    for version in ("0.0.8", "0.0.9"):
        old = checkpoints(version, images="a")
        old.prepare()
        old.save(STATE, is_over=False)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "last.npz").write_bytes(b"PK")
    with pytest.warns(UserWarning, match=r"starts from the beg.*='0\.0\.[89]' \(now '0\.1\.0'\)"):
        assert checkpoints("0.1.0", images="a").find(True) is None
    assert checkpoints("0.1.0", images="b").find(True) is None  # of another training
    assert checkpoints("0.0.9", images="a").find(True) is not None


def test_a_difference_is_named_where_it_is(tmp_path):
    parts = {"network": {"name": "small", "widths": [1, 2]}, "start": None}
    one = Checkpoints("Net", tmp_path, parts)
    one.prepare()
    one.save({}, is_over=False)
    other = describe({"network": {"name": "small", "widths": [1, 3]}, "start": {"w": np.zeros(3)}})
    match = r"a training with network\.widths=\[1, 2\] \(now \[1, 3\]\), other start\. Restore"
    with pytest.raises(ValueError, match=match):
        Checkpoints("Net", None, other).find(one.path)


def test_what_is_not_there(checkpoints, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Net found no checkpoint .*none.npz'\. resume=Tr"):
        checkpoints.find(tmp_path / "none.npz")
    with pytest.raises(FileNotFoundError, match=r"Net found no checkpoint .*last\.npz'"):
        checkpoints.find(tmp_path)
    with pytest.raises(ValueError, match="Net with resume=True needs checkpoint_dir"):
        Checkpoints("Net", None, {}).find(True)


def test_without_a_seed_what_is_over_is_no_new_training(checkpoints):
    unseeded = Checkpoints("Net", checkpoints.folder, checkpoints.parts, is_seeded=False)
    unseeded.save({}, is_over=False)
    assert unseeded.find(True) == ({}, False)
    unseeded.save({}, is_over=True)
    assert unseeded.find(True) is None
    assert unseeded.find(unseeded.path) == ({}, True)


def test_nothing_is_written_without_a_folder(tmp_path):
    none = Checkpoints("Net", None, {})
    none.prepare()
    none.save(STATE, is_over=True)
    assert list(tmp_path.iterdir()) == []


def test_what_a_file_cannot_hold(checkpoints):
    for wrong in ({"a": {1, 2}}, {"a": {1: 2}}, {"a": np.array([None])}):
        with pytest.raises((TypeError, ValueError), match=r"a checkpoint cannot hold|[Oo]bject"):
            checkpoints.save(wrong, is_over=False)
    assert list(checkpoints.path.parent.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Net cannot make a folder .* Choose another checkpoint_dir"):
        Checkpoints("Net", tmp_path / "file", {}).prepare()


def test_writers_and_readers_at_once(checkpoints):
    checkpoints.save({"n": np.zeros(1000)}, is_over=False)
    errors = []

    def write(number):
        try:
            for _ in range(20):
                checkpoints.save({"n": np.full(1000, number)}, is_over=False)
                (values,) = {len(set(checkpoints.find(True)[0]["n"].tolist()))}
                assert values == 1
        except Exception as error:
            errors.append(error)

    writers = [threading.Thread(target=write, args=(i,)) for i in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert errors == []
    assert [path.name for path in checkpoints.path.parent.iterdir()] == ["last.npz"]
