"""Valid inputs of the targets, made here, that the campaign damages."""

import functools
import io
import json
import sqlite3
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, features

from emotion_estimators.images.formats import find_reader

__all__ = ["SEEDS"]

HEIC = Path(__file__).parents[1] / "images" / "rotated.heic"


def image_seeds():
    """Return a small image in every mode and format that Pillow writes and reads."""
    rng = np.random.default_rng(0)
    rgba = Image.fromarray(rng.integers(0, 256, (9, 11, 4), dtype=np.uint8))
    modes = {mode: rgba.convert(mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")}
    modes["I;16"] = Image.fromarray(rng.integers(0, 65536, (9, 11), dtype=np.uint16))
    modes["YCbCr"] = rgba.convert("RGB").convert("YCbCr")
    exif = Image.Exif()
    exif[0x0112] = 6
    variants = {
        "png": [{}, {"exif": exif}],
        "jpeg": [{}, {"exif": exif}, {"progressive": True}],
        "tiff": [
            {"compression": c} for c in (None, "tiff_lzw", "tiff_deflate", "packbits", "jpeg")
        ],
        "jpeg2000": [{}, {"irreversible": True}],
        "gif": [{}, {"save_all": True, "append_images": [modes["P"].rotate(90), modes["P"]]}],
        "ico": [{"sizes": [(9, 9), (16, 16)]}],
        "webp": [{}, {"lossless": True}, {"save_all": True, "append_images": [modes["RGB"]]}],
        "avif": [{}],
        **{name: [{}] for name in ("bmp", "dds", "dib", "eps", "icns", "im", "mpo", "msp", "pcx")},
        **{name: [{}] for name in ("ppm", "qoi", "sgi", "spider", "tga", "xbm", "pdf")},
        "blp": [{"blp_version": "BLP1"}, {"blp_version": "BLP2"}],
    }
    for name, options in variants.items():
        if name in ("webp", "avif") and not features.check(name):
            continue
        for mode, image in modes.items():
            for option in options:
                file = io.BytesIO()
                try:
                    image.save(file, name, **option)
                except (OSError, ValueError, KeyError, NotImplementedError, AttributeError):
                    continue  # the format does not know the mode
                yield f"{name} {mode}", file.getvalue()
    if find_reader("HEIF") is not None:  # nothing here writes it
        yield "heif", HEIC.read_bytes()


def hdf5_seeds():
    """Return small models in the layouts that Keras has written, and may write."""
    import h5py

    config = {
        "class_name": "Sequential",
        "config": {
            "name": "model",
            "layers": [
                {
                    "class_name": "Conv2D",
                    "config": {
                        "name": "conv",
                        "filters": 2,
                        "kernel_size": [3, 3],
                        "activation": "relu",
                        "batch_input_shape": [None, 6, 6, 1],
                    },
                },
                {"class_name": "Flatten", "config": {"name": "flat"}},
                {
                    "class_name": "Dense",
                    "config": {"name": "scores", "units": 2, "activation": "softmax"},
                },
            ],
        },
    }
    weights = {
        "conv": {"conv/kernel:0": (3, 3, 1, 2), "conv/bias:0": (2,)},
        "scores": {"scores/kernel:0": (32, 2), "scores/bias:0": (2,)},
    }
    rng = np.random.default_rng(0)
    layouts = {
        "earliest": ({"libver": "earliest"}, {}, bytes),
        "latest": ({"libver": "latest"}, {}, bytes),
        "chunks": ({"libver": "earliest"}, {"chunks": True, "compression": "gzip"}, str),
        "filters": (
            {"libver": "latest"},
            {"chunks": True, "compression": "gzip", "shuffle": True, "fletcher32": True},
            str,
        ),
        "resizable": ({"libver": "latest"}, {"maxshape": None, "chunks": True}, bytes),
    }
    for name, (of_file, of_array, kind) in layouts.items():
        file = io.BytesIO()
        with h5py.File(file, "w", **of_file) as h5:
            # fixed length, or variable length, which lies in a heap of its own
            text = json.dumps(config)
            h5.attrs["model_config"] = np.bytes_(text) if kind is bytes else text
            h5.attrs["keras_version"] = np.bytes_("2.2.4") if kind is bytes else "2.2.4"
            root = h5.create_group("model_weights")
            for layer, shapes in weights.items():
                group = root.create_group(layer)
                group.attrs["weight_names"] = [
                    kind(n.encode()) if kind is bytes else n for n in shapes
                ]
                for weight, shape in shapes.items():
                    options = dict(of_array)
                    if "maxshape" in options:
                        options["maxshape"] = (None,) * len(shape)
                    values = rng.standard_normal(shape).astype(np.float32)
                    group.create_dataset(weight, data=values, **options)
        yield name, file.getvalue()


def torch_seeds():
    """Return state dicts in both formats, and one with the protocol of newer pickles."""
    import torch

    base = torch.arange(24.0).reshape(4, 6)
    state = {
        "plain": base,
        "part": base[1:, 2:5],
        "parameter": torch.nn.Parameter(base + 1),
        "half": base.half(),
        "bfloat16": base.bfloat16(),
        "turned": base.bfloat16().T,
        "counter": torch.tensor(7),
        "none": torch.zeros(0, 3),
    }
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    for name, content in {"dict": state, "network": network.state_dict()}.items():
        for zipped in (True, False):
            for protocol in (2, 4):
                file = io.BytesIO()
                torch.save(
                    content,
                    file,
                    pickle_protocol=protocol,
                    _use_new_zipfile_serialization=zipped,
                )
                kind = "zip" if zipped else "before 1.6"
                yield f"{name} {kind}, pickle {protocol}", file.getvalue()


def csv_seeds():
    """Return tables for files `0.png` to `3.png`, in several encodings and dialects."""
    header = ["Image_Name", "Classes", "boat", "bus"]
    rows = [[f"{i}.png", "boat, bus", str(i % 2), "NA" if i == 3 else "1.0"] for i in range(4)]
    for delimiter in (",", ";", "\t", "|"):
        lines = [delimiter.join(f'"{cell}"' for cell in row) for row in (header, *rows)]
        text = "\r\n".join(lines)
        for encoding in ("utf-8", "utf-8-sig", "utf-16"):
            yield f"{delimiter!r} {encoding}", text.encode(encoding)


def fer2013_seeds():
    """Return faces and both tables of votes; the first line says which."""
    pixels = " ".join(str(value % 256) for value in range(48 * 48))
    rows = [["3", pixels, "Training"], ["0", pixels, "PublicTest"]]
    for order in ((0, 1, 2), (0, 2, 1)):
        header = [("emotion", "pixels", "Usage")[i] for i in order]
        lines = [",".join(header), *(",".join(row[i] for i in order) for row in rows)]
        yield f"faces {order}", ("faces\n" + "\n".join(lines)).encode()
    votes = "neutral,happy,surprise,sad,angry,disgust,fear,contempt,unknown,no_face"
    yield "ours", f"votes\nfile,{votes}\na/0.png,1,9{',0' * 8}\nb/0.png{',1' * 10}\n".encode()
    votes = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    lines = [f"Usage,Image name,{votes}", f"Training,0.png{',1' * 10}", f"PublicTest,{',0.5' * 10}"]
    yield "FER+", ("votes\r\n" + "\r\n".join(lines)).encode()


def folder_seeds():
    """Return zip files, lists of paths and a table of emoji; the first line says which."""
    for compression in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
        zipfile.ZIP_LZMA,
        zipfile.ZIP_BZIP2,
    ):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", compression) as archive:
            for name in ("train/happy/0.png", "train/happy/1.jpg", "train/Anger/a/2.png"):
                archive.writestr(name, b"no image: nothing is decoded " * 3)
            archive.writestr("train/notes.txt", b"left out")
        yield f"zip {compression}", b"zip\n" + file.getvalue()
    tree = [
        b"happy/0.png",
        b"happy/1.JPG",
        b"Anger/deep/2.png",
        b"Anger/link -> ../happy",
        b"fear/up -> ..",
        b"sad/none -> nowhere.png",
        b"sad/loop -> loop",
    ]
    yield "tree", b"tree\n" + b"\n".join(tree)
    yield "nested tree", b"tree\n" + b"\n".join(b"a/b/" + line for line in tree)
    emoji = [
        {
            "category": "Smileys & Emotion",
            "subcategory": "face-smiling",
            "name": "GRINNING FACE",
            "unified": code,
            "image": f"{code.lower()}.png",
            "has_img_apple": True,
        }
        for code in ("1F600", "1F642-200D-2194-FE0F", "2639-FE0F")
    ]
    yield "emoji", b"emoji\n" + json.dumps(emoji).encode()


def cache_seeds():
    """Return files of a cache, closed, and open with its log; the first line says which it is."""
    with tempfile.TemporaryDirectory() as folder:
        fill_cache(folder).close()
        yield "database", b"database\n" + Path(folder, CACHE_FILE).read_bytes()
    for suffix, content in open_cache_files().items():
        yield f"open{suffix}", f"open{suffix}\n".encode() + content
    # what SQLite itself holds in order, and no cache wrote
    for name, statement in {
        "no table": "DROP TABLE entries",
        "other columns": "ALTER TABLE entries RENAME COLUMN value TO other",
        "texts": "UPDATE entries SET last_used='now', value='text'",
        "text for a time": "UPDATE entries SET last_used='now'",
        "no time": "UPDATE entries SET last_used=NULL",
        "nothing": "UPDATE entries SET last_used=NULL, value=NULL, checksum=NULL",
        "a huge value": "UPDATE entries SET value=zeroblob(2000000)",
    }.items():
        with tempfile.TemporaryDirectory() as folder:
            fill_cache(folder).close()
            path = Path(folder, CACHE_FILE)
            connection = sqlite3.connect(path)
            with connection:
                connection.execute(statement)
            connection.close()
            yield name, b"database\n" + path.read_bytes()


CACHE_FILE = "embeddings-v2.sqlite3"


@functools.cache
def open_cache_files():
    """Return the database, its log and the log's index, by suffix, while a process writes."""
    with tempfile.TemporaryDirectory() as folder:
        cache = fill_cache(folder)
        files = {s: Path(folder, f"{CACHE_FILE}{s}").read_bytes() for s in ("", "-wal", "-shm")}
        cache.close()
    return files


def fill_cache(folder):
    """Return an open cache of a folder that holds `cache_rows`."""
    from emotion_estimators.features._cache_folder import FolderCache

    cache = FolderCache(folder, max_bytes=2**20, owner="Seed")
    cache.store(cache_rows())
    return cache


def cache_rows():
    """Return the rows that are in the seeds."""
    rng = np.random.default_rng(0)
    return {b"key%03d" % i: rng.standard_normal(16).astype(np.float32) for i in range(40)}


ONNX_WEIGHTS = np.arange(36, dtype=np.float32).tobytes()  # of the file beside a model


def onnx_seeds():
    """Return a model in one file that describes itself, and one whose weights lie beside it."""
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.frombuffer(ONNX_WEIGHTS, np.float32).reshape(12, 3), "w")
    elsewhere = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[12, 3])
    elsewhere.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "w.bin"), ("offset", "0"), ("length", "144")):
        elsewhere.external_data.add(key=key, value=value)
    about = {"classes": ["a", "b", "c"], "image_size": [4, 3], "color": "grey", "scaling": [0, 1]}
    for kind, tensor in (("one file", weights), ("two files", elsewhere)):
        nodes = [
            helper.make_node("Flatten", ["x"], ["f"]),
            helper.make_node("MatMul", ["f", "w"], ["s"]),
            helper.make_node("Softmax", ["s"], ["p"]),
            helper.make_node("Identity", ["p"], ["y"]),
        ]
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (("x", ["n", 4, 3]), ("y", ["n", 3]))
        ]
        graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [tensor])
        opset = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        helper.set_model_props(model, {key: json.dumps(value) for key, value in about.items()})
        yield kind, model.SerializeToString()


SEEDS = {
    "images": image_seeds,
    "hdf5": hdf5_seeds,
    "torch": torch_seeds,
    "csv": csv_seeds,
    "fer2013": fer2013_seeds,
    "folders": folder_seeds,
    "cache": cache_seeds,
    "onnx": onnx_seeds,
}
