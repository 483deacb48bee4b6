"""Files of torch.save, read without torch: right where torch is right, safe where it is not."""

import os
import pickle
import struct
import time
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from numpy.testing import assert_array_equal

pytest.importorskip("torch", reason="torch writes the files")
import torch

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.torch_file import read_torch_state, without_wrapper

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


@pytest.mark.parametrize("wrappers", [(), ("module.",), ("_orig_mod.", "module.")])
def test_names_of_a_wrapped_network(wrappers):
    """DataParallel and torch.compile put a word before all names; so may a network of one's own."""
    state = {"module.weight": 1, "module.bias": 2, "module.head": 3}
    wrapped = {"".join(wrappers) + name: value for name, value in state.items()}
    assert without_wrapper(wrapped, ["module.weight", "module.bias"]) == state
    bare = {name.removeprefix("module."): value for name, value in state.items()}
    assert without_wrapper(wrapped, ["weight", "bias"]) == bare
    assert without_wrapper(wrapped | {"x": 4}, ["weight"]) == wrapped | {"x": 4}
    assert without_wrapper({}, ["weight"]) == {}


def test_a_wrapped_network_writes_such_names():
    network = small_network()
    wrapped = torch.nn.DataParallel(network).state_dict()
    names = network.state_dict().keys()
    assert names.isdisjoint(wrapped)
    assert without_wrapper(wrapped, names).keys() == names


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
                WeightsError, match=r"instruction|expected a state dict .* got (posix|nt)\.system\."
            ):
                read_torch_state(path)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Malicious(marker), protocol))
    assert marker.exists()  # it is malicious indeed


# What pickle executes; each would reach a class, its attributes or the memory of the reader.
@pytest.mark.parametrize(
    ("pickled", "match"),
    [
        (
            b"ccollections\nOrderedDict\n}X\x01\x00\x00\x00aK\x01sb.",
            "fills a function as if it were a dict",
        ),
        (
            b"ctorch._utils\n_rebuild_tensor_v2\n)R}b.",
            "describes a tensor without a storage|pickle is damaged",
        ),
        (b"(i__main__\nx\n.", "instruction INST"),
        (b"\x82\x01.", "instruction EXT1"),
        (b"}(X\x01\x00\x00\x00aK\x02X\x01\x00\x00\x00bu.", "its pickle is damaged"),
        (b"}r\x00\x00\x40\x00.", "absurd numbers"),
        (b"}K\x01\x85K\x03s.", "keys other than texts"),
        (b"K\x01K\x02\x85R.", "calls what is no function"),
        (b"h\x05.", "its pickle is damaged"),
        (b"]X\x01\x00\x00\x00aK\x02s.", "fills a list as if it were a dict"),
        (b"N", "damaged"),
        (b"", "damaged"),
        (b".", "damaged"),
        (b"N.", "expected a state dict, which maps names to tensors, got NoneType"),
        (b"}K\x01K\x02s.", "keys other than texts, as training states do. Save network"),
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
        (storage(n=-1), "describes a storage as torch does not"),
        (storage(key="1"), "expected 16 bytes for the storage 1, got none"),
        (storage(kind="IntStorage"), "expected .* floating point tensors, got torch.IntStorage"),
        (b"K\x01", "describes a tensor without a storage"),
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
    with pytest.raises(WeightsError, match="describes the storage 0 in two ways"):
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
        (OrderedDict(a=torch.zeros(2, dtype=torch.int32)), "got torch.IntStorage. Save network"),
        (OrderedDict(a=torch.zeros(2, dtype=torch.complex64)), "got torch.ComplexFloatStorage"),
    ):
        with pytest.raises(WeightsError, match=match):
            read_torch_state(save(content, tmp_path / "x.pt", zipped))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"<html></html>", "it looks like a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it looks like a Git LFS pointer"),
        (b"\x89HDF\r", "it is something else"),
    ],
)
def test_other_files(tmp_path, content, words):
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=rf"x\.pt: is not a file of torch\.save; {words}"):
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


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value


def state_of_names(names, code):
    """Give one tensor many names."""
    first, *others = names
    items = text(first) + code + b"q\x01" + b"".join(text(name) + b"h\x01" for name in others)
    return b"\x80\x02}(" + items + b"u."


@pytest.mark.parametrize(("kind", "size"), [("BFloat16Storage", 4), ("DoubleStorage", 8)])
def test_tensors_that_share_a_storage(tmp_path, kind, size):
    """They are views of it, and count as if they were not."""
    n = 100_000
    content = np.arange(n, dtype="<u2" if size == 4 else "<f8").tobytes()

    def write(n_tensors):
        code = tensor(storage(kind=kind, n=n), shape=(n,))
        names = [b"%03d" % number for number in range(n_tensors)]
        return write_archive(tmp_path / "x.pt", state_of_names(names, code), [("data/0", content)])

    # a name takes ten bytes of the file
    n_tensors = (2**20 + 16 * write(20).stat().st_size) // (size * n)
    state = read_torch_state(write(n_tensors))
    assert len(state) == n_tensors
    assert all(np.shares_memory(state["000"], values) for values in state.values())
    assert not state["000"].flags.writeable
    with pytest.raises(WeightsError, match=r"x\.pt: the tensor \d+ asks for more than is left of"):
        read_torch_state(write(n_tensors + 1))


def test_as_many_tensors_as_there_may_be(tmp_path):
    code = tensor(storage(n=0), shape=(0,))
    weights = [("data/0", b"")]

    def write(n_tensors):
        names = [b"%05d" % number for number in range(n_tensors)]
        return write_archive(tmp_path / "x.pt", state_of_names(names, code), weights)

    assert len(read_torch_state(write(99_999))) == 99_999  # and a storage
    with pytest.raises(WeightsError, match="more than is left of the 100000 parts"):
        read_torch_state(write(100_000))


def test_as_long_a_pickle_as_there_may_be(tmp_path):
    start, end = b"\x80\x02}", text(b"a") + tensor() + b"s."
    weights = [("data/0", VALUES.tobytes())]
    most = 4 << 20
    filling = text(b"x" * (most - len(start) - len(end) - 6)) + b"b"  # dropped like _metadata
    state = read_torch_state(write_archive(tmp_path / "x.pt", start + filling + end, weights))
    assert_array_equal(state["a"], VALUES)
    longer = start + text(b"x" * (most - len(start) - len(end) - 5)) + b"b" + end
    legacy = longer + pickle.dumps(["0"], 2) + struct.pack("<q", 4) + VALUES.tobytes()
    for path in (
        write_archive(tmp_path / "x.pt", longer, weights),
        write_legacy(tmp_path / "x.pt", legacy),
    ):
        with pytest.raises(WeightsError, match="describes its tensors in more than 4194304 bytes"):
            read_torch_state(path)


def test_a_text_that_claims_gigabytes(tmp_path):
    for code in (b"X\xff\xff\xff\xffabc", b"\x95" + b"\xff" * 7 + b"\x7fN.", b"\x8a\xffabc"):
        for path in (
            write_archive(tmp_path / "x.pt", code),
            write_legacy(tmp_path / "x.pt", code),
        ):
            with pytest.raises(WeightsError, match=r"its pickle is damaged|something else"):
                read_torch_state(path)


def test_members_that_overlap(tmp_path):
    weights = [(f"data/{number}", VALUES.tobytes()) for number in range(2)]
    path = write_archive(tmp_path / "x.pt", state_of(tensor()), weights)
    content = bytearray(path.read_bytes())
    place = content.index(b"x/data/0", content.index(b"PK\1\2")) - 46 + 20
    struct.pack_into("<II", content, place, 70, 70)
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"is damaged .*members overlap"):
        read_torch_state(path)


def test_two_members_of_one_name(tmp_path):
    weights = [("data/0", VALUES.tobytes()), ("data/0", VALUES.tobytes())]
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = write_archive(tmp_path / "x.pt", state_of(tensor()), weights)
    with pytest.raises(WeightsError, match="two members of one name"):
        read_torch_state(path)


def test_a_member_longer_than_it_is(tmp_path):
    path = write_archive(
        tmp_path / "x.pt", state_of(tensor()), [("data/0", b""), ("data/1", VALUES.tobytes())]
    )
    content = bytearray(path.read_bytes())
    place = content.index(b"x/data/0", content.index(b"PK\1\2")) - 46 + 24
    struct.pack_into("<I", content, place, 16)
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"x\.pt: "):
        read_torch_state(path)


def test_a_table_of_members_without_end(tmp_path):
    weights = [("data/0", VALUES.tobytes()), *((f"{i:05}" * 2000, b"") for i in range(500))]
    path = write_archive(tmp_path / "x.pt", state_of(tensor()), weights)
    with pytest.raises(WeightsError, match="table of members is longer than 4194304 bytes"):
        read_torch_state(path)


def legacy_state(code, keys, *storages):
    return b"\x80\x02}" + text(b"a") + code + b"s." + pickle.dumps(keys, 2) + b"".join(storages)


STORED = struct.pack("<q", 4) + VALUES.tobytes()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (legacy_state(tensor(), ["0", "0"], STORED, STORED), "a storage for no tensor"),
        (legacy_state(tensor(), [("0",)], STORED), "a storage for no tensor"),
        (legacy_state(tensor(), [], STORED), "ends before its weights do"),
        (legacy_state(tensor(), ["0"], STORED[:-1]), "ends before its weights do"),
        (legacy_state(tensor(), ["0"], STORED[:7]), "ends before its weights do"),
        (
            legacy_state(tensor(storage(n=2**31 - 1)), ["0"], struct.pack("<q", 2**31 - 1)),
            "ends before its weights do",
        ),
        (legacy_state(tensor(storage(n=5)), ["0"], STORED), "expected 5 values in the storage 0"),
    ],
)
def test_storages_of_the_older_format(tmp_path, content, match):
    good = write_legacy(tmp_path / "x.pt", legacy_state(tensor(), ["0"], STORED))
    assert_array_equal(read_torch_state(good)["a"], VALUES)
    with pytest.raises(WeightsError, match=match):
        read_torch_state(write_legacy(tmp_path / "x.pt", content))


def test_messages_do_not_obey_the_file(tmp_path):
    for pickled in (
        b"}" + text(b"\x1b[2J\n" * 99) + b"K\x01s.",
        b"c\x1b[2J\n" + b"x" * 9999 + b"\n.",
        b"}" + text(b"\xed\xb0\x80") + b"K\x01s.",  # half of a surrogate pair
    ):
        with pytest.raises(WeightsError, match="expected") as caught:
            read_torch_state(write_archive(tmp_path / "x.pt", pickled))
        assert str(caught.value).isascii()
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 500


@FORMATS
def test_a_newer_pickle(tmp_path, zipped):
    path, state = tmp_path / "x.pt", small_network().state_dict()
    torch.save(state, path, pickle_protocol=4, _use_new_zipfile_serialization=zipped)
    assert list(read_torch_state(path)) == list(state)


@FORMATS
def test_no_name_is_looked_up(tmp_path, zipped, monkeypatch):
    path = save(small_network().state_dict(), tmp_path / "x.pt", zipped)

    def never(*_, **__):
        raise AssertionError("a name was looked up")

    monkeypatch.setattr(pickle._Unpickler, "find_class", never)
    monkeypatch.setattr(pickle._Unpickler, "get_extension", never)
    monkeypatch.setattr(torch, "load", never)
    assert len(read_torch_state(path)) == 9


LONG = b"(" + b"N" * 1_000_000 + b"t"
FUNCTION = b"ctorch._utils\n_rebuild_tensor_v2\n"
# What is made once, long, and used again and again by few instructions of the pickle.
REPEATED = {
    "strides": (
        text(b"a") + FUNCTION + b"(" + storage() + b"K\x00)" + LONG + b"\x89}tRq\x01s",
        text(b"b") + b"h\x01s",
        "the shape of a does not fit",
    ),
    "arguments": (FUNCTION + b"q\x01" + LONG + b"q\x02", b"h\x01h\x02R", "as torch does not"),
    "storage": (LONG + b"q\x01", b"h\x01Q", "a storage as torch does not"),
    "key": (
        storage().replace(text(b"0"), text(b"0" * 1001)).replace(b"tQ", b"tq\x01"),
        b"h\x01Q",
        "a storage as torch does not",
    ),
    "name": (text(b"0" * 1001) + b"q\x01", b"h\x01Ns", "a name longer than 1000 characters"),
}


@pytest.mark.parametrize("kind", REPEATED)
def test_what_is_long_and_used_often(tmp_path, kind):
    first, again, match = REPEATED[kind]
    pickled = b"\x80\x02}" + first + again * 100_000 + b"."
    path = write_archive(tmp_path / "x.pt", pickled, [("data/0", VALUES.tobytes())])
    started = time.process_time()
    with pytest.raises(WeightsError, match=match):
        read_torch_state(path)
    assert time.process_time() - started < 5  # each use would take milliseconds
