"""What is given hostile input: each target takes bytes and an empty folder to work in.

A target returns whether it took the input or refused it with an error of the library that says
so; any other exception, a warning that is not of the library, or a wrong result is a fault.
"""

import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import PIL.Image
import seeds

__all__ = ["TARGETS", "WrongResultError"]


class WrongResultError(Exception):
    """The library took the input and did the wrong thing."""


def demand(condition, what):
    if not condition:
        raise WrongResultError(what)


def images(data: bytes, folder: Path) -> bool:
    """Give the image door a file and its bytes: both the same pixels, or both refused."""
    from emotion_estimators.exceptions import InvalidImagesError
    from emotion_estimators.images import read_image, read_image_size
    from emotion_estimators.validation import check_images

    # larger photographs are read on purpose, and take more than the bound of this campaign
    PIL.Image.MAX_IMAGE_PIXELS = 40_000_000
    path = folder / "picture"
    path.write_bytes(data)
    taken = []
    for source in (path, data):
        try:
            ((_, batch),) = check_images([source], color="rgb", image_size=8).batches(1)
        except InvalidImagesError as error:
            demand("row 0" in str(error), "an error that does not name the row")
            taken.append(None)
        else:
            demand(batch.shape == (1, 8, 8, 3), f"shape {batch.shape}")
            taken.append(batch)
    if taken[0] is None or taken[1] is None:
        demand(taken[0] is taken[1], "a file is refused, and its bytes are taken")
        return False
    demand(np.array_equal(*taken), "a file and its bytes differ")
    demand(read_image(data).shape[:2] == read_image_size(data), "another size than the header")
    return True


def hdf5(data: bytes, folder: Path) -> bool:
    """Read a Keras file, and run what was read."""
    from emotion_estimators.exceptions import WeightsError
    from emotion_estimators.networks.facenet.keras_weights import read_keras_facenet
    from emotion_estimators.networks.keras_hdf5.model import read_keras_hdf5

    path = folder / "model.h5"
    path.write_bytes(data)
    with suppress(WeightsError):
        read_keras_facenet(path)
    try:
        network = read_keras_hdf5(path)
    except WeightsError as error:
        demand("model.h5" in str(error), "an error that does not name the file")
        return False
    demand(len(network) < 10**8, "a network larger than its file")
    return True


def onnx(data: bytes, folder: Path) -> bool:
    """Read a model in ONNX beside which a file of weights lies, and open it; nothing is run."""
    from emotion_estimators.classifiers._frozen_model import load_model
    from emotion_estimators.exceptions import WeightsError
    from emotion_estimators.networks.onnx.reader import look_at_graph, read_onnx_file

    (folder / "model").mkdir()
    path = folder / "model" / "model.onnx"
    path.write_bytes(data)
    (folder / "model" / "w.bin").write_bytes(seeds.ONNX_WEIGHTS)
    secret = b"what lies elsewhere, and is to stay there" * 100
    (folder / "w.bin").write_bytes(secret)
    try:
        read = read_onnx_file(path)
        demand(secret[:20] not in read or secret[:20] in data, "a file elsewhere was read")
        look_at_graph(read, path)
    except (WeightsError, OSError) as error:
        demand("model.onnx" in str(error), f"an error that does not name the file: {error}")
        return False
    settings = {"labels": None, "classes": None, "image_size": None, "scaling": None}
    settings |= {"color": None, "activation": None, "device": "auto", "class_prior": None}
    settings |= {"output": None, "precision": None, "test_time_augmentation": None}
    try:
        load_model("Fuzzed", model=path, verbose=False, **settings)
    except (ValueError, OSError) as error:
        demand(len(str(error)) < 1500, f"an error of {len(str(error))} characters")
        return False
    return True


def torch(data: bytes, folder: Path) -> bool:
    """Read a state dict, and look at its values."""
    from emotion_estimators.exceptions import WeightsError
    from emotion_estimators.networks.torch_file import read_torch_state

    path = folder / "model.pt"
    path.write_bytes(data)
    try:
        state = read_torch_state(path)
    except WeightsError as error:
        demand("model.pt" in str(error), "an error that does not name the file")
        demand(len(str(error)) < 1500, "an error longer than a screen")
        return False
    demand(all(isinstance(name, str) for name in state), "a name that is no text")
    n_bytes = sum(values.nbytes for values in state.values())
    demand(n_bytes <= 2**20 + 16 * len(data), "more values than the file may hold")
    for values in state.values():
        values.copy()  # all of them lie in memory that is ours
    return True


def csv(data: bytes, folder: Path) -> bool:
    """Load a table of several labels."""
    from emotion_estimators.datasets import load_multilabel_csv

    for number in range(4):
        (folder / f"{number}.png").touch()
    (folder / "deep").mkdir()
    table = folder / "table.csv"
    table.write_bytes(data)

    def load(partial_labels):
        pictures = load_multilabel_csv(table, folder, partial_labels=partial_labels)
        demand(len(pictures.data) == len(pictures.target), "lengths differ")
        inside = (Path(os.path.realpath(name)).is_relative_to(folder) for name in pictures.data)
        demand(all(inside), "a path out of the folder")

    taken = [refusals(partial(load, labels), "load_multilabel_csv") for labels in (False, True)]
    return any(taken)


def fer2013(data: bytes, folder: Path) -> bool:
    """Load faces, or what people voted, as the first line says."""
    from emotion_estimators.datasets import load_fer2013, load_votes

    kind, _, content = data.partition(b"\n")
    path = folder / "table.csv"
    path.write_bytes(content)

    def faces():
        bunch = load_fer2013(path)
        demand(bunch.data.shape == (len(bunch.target), 48, 48), "lengths differ")

    def votes(files=None):
        frame = load_votes(path, files)
        demand(frame.shape[1] == 10, "other columns")
        demand((np.isfinite(frame) & (frame >= 0)).to_numpy().all(), "votes that are none")

    if kind == b"faces":
        return refusals(faces, "load_fer2013")
    taken = [refusals(partial(votes, files), "load_votes") for files in (None, ["a/0.png"])]
    return any(taken)


def folders(data: bytes, folder: Path) -> bool:
    """Load a zip file, a tree of files and links, or emoji, as the first line says."""
    from emotion_estimators.datasets import load_emoji, load_image_folder

    kind, _, content = data.partition(b"\n")
    if kind == b"zip":
        path = folder / "archive.zip"
        path.write_bytes(content)
        return refusals(lambda: load_image_folder(path, target="folders"), "load_image_folder")
    if kind == b"emoji":
        (folder / "img-apple-64").mkdir()
        (folder / "img-apple-64" / "1f600.png").touch()
        (folder / "emoji.json").write_bytes(content)
        kinds = ("happy-sad", "subcategory")
        taken = [refusals(partial(load_emoji, folder, target=k), "load_emoji") for k in kinds]
        return any(taken)
    plant(content, folder)
    taken = [
        refusals(partial(load_image_folder, folder, target="folders"), "load_image_folder"),
        refusals(partial(load_image_folder, folder), "load_image_folder"),
    ]
    return any(taken)


def plant(content: bytes, folder: Path) -> None:
    """Make the files, and the links, that lines name; none leads out of the folder."""
    for line in content.split(b"\n")[:200]:
        name, arrow, goal = os.fsdecode(line).partition(" -> ")
        path = Path(os.path.normpath(folder / name.lstrip("/")))
        goal = Path(os.path.normpath(path.parent / goal.lstrip("/")))
        if not (path.is_relative_to(folder) and goal.is_relative_to(folder)):
            continue
        # names that the system does not take, that are there already, or too deep for mkdir
        with suppress(OSError, ValueError, RecursionError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if arrow:
                path.symlink_to(goal)
            elif name.endswith("/"):
                path.mkdir(exist_ok=True)
            else:
                path.touch()


def refusals(load: Callable[[], object], owner: str) -> bool:
    """Return whether it loads, or raise if it is refused without the name of who refuses."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=owner)
        try:
            load()
        except (ValueError, OSError) as error:
            demand(str(error).startswith(owner), f"an error of somebody else: {error!r}")
            return False
    return True


def cache(data: bytes, folder: Path) -> bool:
    """Look into a cache folder, which gives the rows that were kept, or none; then use it."""
    from emotion_estimators.features._cache import open_cache

    rows = seeds.cache_rows()
    kind, _, content = data.partition(b"\n")
    files = {"": content}
    if kind.startswith(b"open"):
        files = {**seeds.open_cache_files(), kind.decode("latin-1").removeprefix("open"): content}
    for suffix in ("", "-wal", "-shm"):
        if suffix in files:
            (folder / (seeds.CACHE_FILE + suffix)).write_bytes(files[suffix])
    found = {}
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Fuzzed: its cache")
            with open_cache(folder, owner="Fuzzed") as opened:
                found = opened.lookup(list(rows))
                for key, row in found.items():
                    demand(np.array_equal(row, rows[key]), "another row than was kept")
                opened.store({b"new": np.arange(16, dtype=np.float32)})
                opened.store(rows)
    return len(found) == len(rows)


TARGETS = {
    "images": images,
    "hdf5": hdf5,
    "torch": torch,
    "onnx": onnx,
    "csv": csv,
    "fer2013": fer2013,
    "folders": folders,
    "cache": cache,
}
