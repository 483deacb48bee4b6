"""Files of torch.save, read without torch: right where torch is right, safe where it is not."""

import os
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from numpy.testing import assert_array_equal

pytest.importorskip("torch", reason="torch writes the files")
import torch

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.torch_file import read_torch_state

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])


def save(content, path, zipped):
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def small_network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return torch.nn.Sequential(
            torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.Linear(3, 2)
        )


@FORMATS
def test_a_state_dict(tmp_path, zipped):
    state = small_network().state_dict()
    read = read_torch_state(save(state, tmp_path / "x.pt", zipped))
    assert list(read) == list(state)
    for name, tensor in state.items():
        assert_array_equal(read[name], tensor.numpy())
        assert read[name].dtype == tensor.numpy().dtype


@FORMATS
def test_one_tensor(tmp_path, zipped):
    state = {"weight": torch.arange(6.0).reshape(2, 3)}
    read = read_torch_state(save(state, tmp_path / "x.pt", zipped))
    assert_array_equal(read["weight"], state["weight"].numpy())


@FORMATS
def test_kinds_of_tensors(tmp_path, zipped):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        base = torch.randn(4, 6)
    state = {
        "plain": base,
        "turned": base.T,
        "part": base[1:, 2:5],
        "row": base[3],
        "parameter": torch.nn.Parameter(base + 1),
        "channels last": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "number": torch.tensor(2.5),
        "none": torch.zeros(0, 3),
        "double": base.double(),
        "half": base.half(),
        "counter": torch.tensor(7),
    }
    path = save({**state, "bfloat16": base.bfloat16()}, tmp_path / "x.pt", zipped)
    read = read_torch_state(path)
    for name, tensor in state.items():
        expected = tensor.detach().numpy()
        assert_array_equal(read[name], expected)
        assert read[name].dtype == expected.dtype
        assert read[name].shape == expected.shape
    assert_array_equal(read["bfloat16"], base.bfloat16().float().numpy())
    assert read["bfloat16"].dtype == np.float32


class Malicious:
    """Pickles as a call of os.system."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def write_archive(path, pickled, members=(), compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("x/data.pkl", pickled)
        for name, content in members:
            archive.writestr(f"x/{name}", content)
    return path


def write_legacy(path, pickled):
    first = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    path.write_bytes(b"".join(pickle.dumps(part, 2) for part in first) + pickled)
    return path


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_no_code_of_a_pickle_runs(tmp_path, protocol):
    marker = tmp_path / "marker"
    for content in (Malicious(marker), {"weight": Malicious(marker)}, [Malicious(marker)]):
        pickled = pickle.dumps(content, protocol)
        for path in (
            write_archive(tmp_path / "a.pt", pickled),
            write_legacy(tmp_path / "b.pt", pickled + pickle.dumps([], 2)),
        ):
            with pytest.raises(
                WeightsError, match=r"instruction|expected .* got (posix|nt)\.system|a state dict"
            ):
                read_torch_state(path)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Malicious(marker), protocol))
    assert marker.exists()  # it is malicious indeed


# What pickle executes; each would reach a class, its attributes or the memory of the reader.
@pytest.mark.parametrize(
    ("pickled", "match"),
    [
        (b"ccollections\nOrderedDict\n}X\x01\x00\x00\x00aK\x01sb.", "fills a Name as if"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R}b.", "fills a Call as if"),
        (b"(i__main__\nx\n.", "instruction INST"),
        (b"\x82\x01.", "instruction EXT1"),
        (b"}(K\x01K\x02\x85K\x03u.", "its pickle is damaged"),
        (b"}K\x01\x85K\x03s.", "keys other than texts and numbers"),
        (b"K\x01K\x02\x85R.", "calls what is no name"),
        (b"h\x05.", "its pickle is damaged"),
        (b"]K\x01K\x02s.", "fills a list as if it were a dict"),
        (b"N", "damaged"),
        (b"", "damaged"),
        (b".", "damaged"),
        (b"N.", "expected a state dict, which maps names to tensors, got NoneType"),
        (b"}K\x01K\x02s.", "expected a state dict, which maps names to tensors, got dict"),
        (b"}X\x01\x00\x00\x00aK\x02s.", "expected a to be a tensor of .*, got int"),
    ],
)
def test_pickles_that_no_state_dict_has(tmp_path, pickled, match):
    with pytest.raises(WeightsError, match=match):
        read_torch_state(write_archive(tmp_path / "x.pt", pickled))


def test_tuples_of_tuples_take_no_time(tmp_path):
    doubled = b"K\x01" + b"2\x86" * 60  # printed or hashed, 2 ** 60 numbers
    for pickled in (
        doubled + b".",
        b"}" + doubled + b"K\x01s.",
        b"}X\x01\x00\x00\x00a" + doubled + b"s.",
    ):
        with pytest.raises(WeightsError, match=r"x\.pt: "):
            read_torch_state(write_archive(tmp_path / "x.pt", pickled))


def storage(key="0", kind="FloatStorage", n=4):
    code = b"(X\x07\x00\x00\x00storagectorch\n" + kind.encode() + b"\n"
    code += b"X\x01\x00\x00\x00" + key.encode() + b"X\x03\x00\x00\x00cpu"
    return code + b"J" + n.to_bytes(4, "little", signed=True) + b"tQ"


def tensor(stored=None, offset=0, shape=(4,), strides=(1,)):
    def numbers(values):
        return b"(" + b"".join(b"J" + v.to_bytes(4, "little", signed=True) for v in values) + b"t"

    code = b"ctorch._utils\n_rebuild_tensor_v2\n(" + (storage() if stored is None else stored)
    code += b"J" + offset.to_bytes(4, "little", signed=True) + numbers(shape) + numbers(strides)
    return code + b"\x89}tR"


def state_of(code):
    return b"\x80\x02}X\x01\x00\x00\x00a" + code + b"s."


VALUES = np.arange(4, dtype="<f4")


def test_a_file_put_together_by_hand(tmp_path):
    """The errors below are those of what was changed, not of the way it is written."""
    path = write_archive(tmp_path / "x.pt", state_of(tensor()), [("data/0", VALUES.tobytes())])
    assert_array_equal(read_torch_state(path)["a"], VALUES)


@pytest.mark.parametrize(
    "code",
    [
        tensor(offset=1),
        tensor(offset=-1),
        tensor(shape=(5,)),
        tensor(shape=(-4,)),
        tensor(shape=(2, 2), strides=(4, 1)),
        tensor(shape=(2,), strides=(-1,)),
        tensor(shape=(2,), strides=(1, 1)),
        tensor(shape=(1 << 30, 1 << 30), strides=(0, 0)),
        tensor(shape=(1,) * 9, strides=(1,) * 9),
        tensor(shape=(0,), offset=5),
    ],
)
def test_tensors_beyond_their_storage(tmp_path, code):
    path = write_archive(tmp_path / "x.pt", state_of(code), [("data/0", VALUES.tobytes())])
    with pytest.raises(WeightsError, match="the shape of a does not fit its storage"):
        read_torch_state(path)


@pytest.mark.parametrize(
    ("stored", "match"),
    [
        (storage(n=5), "expected 20 bytes for the storage 0, got 16"),
        (storage(n=-1), "expected a to be a tensor"),
        (storage(key="1"), "expected 16 bytes for the storage 1, got none"),
        (storage(kind="IntStorage"), "expected a to be a tensor of floating point numbers"),
        (b"K\x01", "expected a to be a tensor of floating point numbers"),
    ],
)
def test_storages_that_are_not_there(tmp_path, stored, match):
    path = write_archive(
        tmp_path / "x.pt", state_of(tensor(stored)), [("data/0", VALUES.tobytes())]
    )
    with pytest.raises(WeightsError, match=match):
        read_torch_state(path)


def test_one_storage_of_two_kinds(tmp_path):
    code = tensor() + b"X\x01\x00\x00\x00b" + tensor(storage(kind="DoubleStorage", n=2), shape=(2,))
    pickled = b"\x80\x02}(X\x01\x00\x00\x00a" + code + b"u."
    path = write_archive(tmp_path / "x.pt", pickled, [("data/0", VALUES.tobytes())])
    with pytest.raises(WeightsError, match="the shape of b does not fit its storage"):
        read_torch_state(path)


def test_archives_of_another_kind(tmp_path):
    weights = [("data/0", VALUES.tobytes())]
    path = tmp_path / "x.pt"
    write_archive(path, state_of(tensor()), weights, zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match="is compressed, which no file of torch"):
        read_torch_state(path)
    write_archive(path, state_of(tensor()), [*weights, ("byteorder", b"big")])
    with pytest.raises(WeightsError, match="the other order of bytes"):
        read_torch_state(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.json", "{}")
    with pytest.raises(WeightsError, match="a zip archive without data"):
        read_torch_state(path)


@FORMATS
def test_what_is_no_state_dict(tmp_path, zipped):
    network = small_network()
    for content, match in (
        (network, r"Save network.state_dict\(\), not the network|instruction"),
        ([1.5], "expected a state dict, .* got list"),
        ({"state_dict": network.state_dict()}, "expected state_dict to be a tensor .* got dict"),
        (OrderedDict(a=torch.zeros(2, dtype=torch.int32)), "expected a to be a tensor"),
        (OrderedDict(a=torch.zeros(2, dtype=torch.complex64)), "expected a to be a tensor"),
    ):
        with pytest.raises(WeightsError, match=match):
            read_torch_state(save(content, tmp_path / "x.pt", zipped))


@pytest.mark.parametrize(
    "content",
    [b"", b"<html></html>", b"version https://git-lfs.github.com/spec/v1\n", b"\x89HDF\r"],
)
def test_other_files(tmp_path, content):
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"x\.pt: expected a file of torch\.save"):
        read_torch_state(path)
    with pytest.raises(FileNotFoundError, match="missing"):
        read_torch_state(tmp_path / "missing.pt")


@FORMATS
def test_files_cut_off_anywhere(tmp_path, zipped):
    path = save(small_network().state_dict(), tmp_path / "x.pt", zipped)
    whole = path.read_bytes()
    for n in range(0, len(whole), max(1, len(whole) // 150)):
        path.write_bytes(whole[:n])
        with pytest.raises(WeightsError, match=r"x\.pt: "):
            read_torch_state(path)


@FORMATS
def test_damaged_files_are_refused_or_read(tmp_path, zipped):
    path = save(small_network().state_dict(), tmp_path / "x.pt", zipped)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    n_refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(rng.choice([1, 3])):
            damaged[rng.integers(len(whole))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_torch_state(path)  # a changed weight or name cannot be told from a right one
        except WeightsError:
            n_refused += 1
    assert n_refused > 50


def test_reading_needs_no_unpickler(tmp_path, monkeypatch):
    path = save(small_network().state_dict(), tmp_path / "x.pt", zipped=True)

    def never(*_, **__):
        raise AssertionError("an unpickler was made")

    for owner, name in ((pickle, "Unpickler"), (pickle, "load"), (pickle, "loads")):
        monkeypatch.setattr(owner, name, never)
    monkeypatch.setattr(torch, "load", never)
    assert len(read_torch_state(path)) == 9
