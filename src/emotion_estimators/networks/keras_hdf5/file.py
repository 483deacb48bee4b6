"""A Keras HDF5 file read with suspicion: its JSON and its arrays, nothing else.

A file may come from anywhere: links out of the file, arrays stored elsewhere, filters that load
plugins and sizes that the file cannot hold are refused before anything is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emotion_estimators._untrusted import Budget, likely_reason, read_json
from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.keras_hdf5.chunks import chunks_problem
from emotion_estimators.networks.keras_hdf5.settings import Origin
from emotion_estimators.networks.keras_hdf5.texts import VariableTexts
from emotion_estimators.networks.onnx.format import MAX_BYTES

if TYPE_CHECKING:
    import h5py

__all__ = ["MAX_JSON_BYTES", "KerasFile", "StoredArray", "open_keras_file", "read_config"]

# The architecture of a thousand-layer network takes about 1 MB.
MAX_JSON_BYTES = 16 << 20
# deflate, shuffle, fletcher32: built into HDF5. Any other may load a plugin from disk.
BUILT_IN_FILTERS = frozenset({1, 2, 3})


@dataclass(frozen=True)
class StoredArray:
    """One array of the file, its size checked, its values not read yet."""

    where: str
    name: str
    dataset: h5py.Dataset
    path: Path
    budget: Budget

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return tuple(self.dataset.shape)

    @property
    def n_bytes(self) -> int:
        """Bytes that reading takes: a part is unpacked whole, though it may reach beyond."""
        shape, chunks = self.dataset.shape, self.dataset.chunks
        if chunks is not None:
            parts = (-(-length // step) for length, step in zip(shape, chunks, strict=True))
            shape = tuple(max(n, 1) * step for n, step in zip(parts, chunks, strict=True))
        itemsize = max(int(self.dataset.dtype.itemsize), 4)  # narrower ones are widened
        return int(math.prod(shape) * itemsize)

    def read(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the values as float32.

        Raises WeightsError where the stored shape is another one, or a value is not finite.
        """
        if self.dataset.dtype.kind != "f":
            raise WeightsError(
                f"{self.where}: must hold floating point numbers, got {self.dataset.dtype}"
            )
        if self.dataset.shape != shape:
            raise WeightsError(
                f"{self.where}: the layer needs an array of shape {shape}, the file holds "
                f"{self.dataset.shape}; the file was put together wrongly or belongs to another "
                "model"
            )
        self.budget.take(n_bytes=self.n_bytes, what=self.where)
        # What overflows float32 is reported below.
        with _damage_reported(self.where), np.errstate(over="ignore"):
            problem = chunks_problem(self.dataset, self.path, self.budget)
            if problem:
                raise WeightsError(
                    f"{self.where}: {problem}; the file is damaged or made to exhaust memory"
                )
            values = np.asarray(self.dataset[()], dtype=np.float32)
        if not np.isfinite(values).all():
            raise WeightsError(
                f"{self.where}: holds values that are not finite; the network's training "
                "diverged or the file is damaged"
            )
        return values


class KerasFile:
    """The parts of an open Keras HDF5 file that the reader uses."""

    def __init__(self, file: h5py.File, path: Path, budget: Budget, texts: VariableTexts) -> None:
        self.source = budget.name
        self._file = file
        self._path = path
        self._budget = budget
        self._variable_texts = texts

    def origin(self) -> Origin:
        """Return which Keras wrote the file."""
        with _damage_reported(self.source):
            # both where the weights are, and one or both beside the architecture
            owners = (self._file, self._layers())
            texts = []
            for name in ("keras_version", "backend"):
                owner = next((each for each in owners if name in each.attrs), None)
                texts.append("" if owner is None else self._text(owner, name))
        return Origin(*texts)

    def model_config(self) -> dict[str, Any] | None:
        """Return the architecture; None where the file holds weights only.

        Raises WeightsError where its JSON cannot be read.
        """
        with _damage_reported(self.source):
            if "model_config" not in self._file.attrs:
                return None
            text = self._text(self._file, "model_config")
        return read_config(text, f"{self.source}: 'model_config'")

    def layers_with_weights(self) -> list[str]:
        """Return the names of the layers that the file holds weights of, in Keras' order."""
        with _damage_reported(self.source):
            group = self._layers()
            names = self._numbered_texts(group, "layer_names")
            return [name for name in names if self._names_in(group, name)]

    def variables_root(self) -> str | None:
        """Return where layers lie in the layout of Keras 3, None of a file in another one."""
        roots = ("layers", "_layer_checkpoint_dependencies")  # the second until Keras 2.13
        with _damage_reported(self.source):
            if "layer_names" in self._file.attrs or "model_weights" in self._file:
                return None
            return next((root for root in roots if root in self._file), None)

    def variables(self, path: str) -> list[StoredArray] | None:
        """Return the arrays of a layer in the layout of Keras 3; None where there is no such layer.

        They are called "0", "1" and so on.
        """
        import h5py

        with _damage_reported(self.source):
            group = self._follow(self._file, path)
            if not isinstance(group, h5py.Group):
                return None
            self._budget.take(n_parts=len(group), what=f"the group {path!r:.80}")
            return [self._stored(group, path, str(number)) for number in range(len(group))]

    def layer_arrays(self, layer_name: str) -> list[StoredArray]:
        """Return the arrays of one top-level layer, in the order of its ``weight_names``."""
        with _damage_reported(self.source):
            group = self._layers()
            names = self._names_in(group, layer_name)
            return [self._stored(group[layer_name], layer_name, name) for name in names]

    def _layers(self) -> h5py.Group:
        """Return what the layers lie in: save_weights leaves out the group that save has."""
        import h5py

        group = self._follow(self._file, "model_weights")
        return group if isinstance(group, h5py.Group) else self._file

    def _names_in(self, group: h5py.Group, layer_name: str) -> list[str]:
        """Return the names of a layer's weights, none where the file has no such layer."""
        import h5py

        layer = self._follow(group, layer_name)
        if layer is None:
            return []
        if not isinstance(layer, h5py.Group):
            raise WeightsError(f"{self.source}: {layer_name!r} must be a group of weights")
        return self._numbered_texts(layer, "weight_names")

    def _numbered_texts(self, group: h5py.Group, name: str) -> list[str]:
        """Return the texts of an attribute; Keras splits lists above 64 KB into numbered ones."""
        if name in group.attrs:
            return self._texts(group, name)
        texts: list[str] = []
        part = 0
        while f"{name}{part}" in group.attrs:
            texts += self._texts(group, f"{name}{part}")
            part += 1
        return texts

    def _stored(self, group: h5py.Group, layer_name: str, weight_name: str) -> StoredArray:
        import h5py

        where = f"{self.source}, layer {layer_name!r:.80}, weight {weight_name!r:.80}"
        dataset = self._follow(group, weight_name)
        if not isinstance(dataset, h5py.Dataset):
            raise WeightsError(f"{where}: is named but not in the file; the file is damaged")
        properties = dataset.id.get_create_plist()
        filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
        if dataset.is_virtual or dataset.external:
            raise WeightsError(f"{where}: lies in another file; weights must be in the file itself")
        if not filters <= BUILT_IN_FILTERS:
            raise WeightsError(
                f"{where}: is stored with a filter that HDF5 does not have built in "
                f"({sorted(filters - BUILT_IN_FILTERS)}); save the model again without it"
            )
        if dataset.shape is None:
            raise WeightsError(f"{where}: has no shape; the file is damaged")
        array = StoredArray(where, weight_name, dataset, self._path, self._budget)
        self._budget.take(n_parts=1, what=where)
        if array.n_bytes > self._budget.bytes_left:
            raise WeightsError(
                f"{where}: declares shape {dataset.shape}, more than is left of the "
                f"{self._budget.max_bytes} bytes that may come of a file of this size; the file "
                "is damaged or made to exhaust memory"
            )
        return array

    def _follow(self, group: h5py.Group, path: str) -> h5py.Group | h5py.Dataset | None:
        """Walk a path of hard links; links elsewhere are an error, a missing name is None."""
        import h5py

        here: Any = group
        # a group may lie in itself; each step asks HDF5 twice
        self._budget.take(n_parts=2 * (path.count("/") + 1), what=f"the path {path!r:.80}")
        for step in path.split("/"):
            if step in {"", ".", ".."}:
                raise WeightsError(f"{self.source}: {path!r} is not a name of a layer or weight")
            if not isinstance(here, h5py.Group):
                return None
            link = here.get(step, getlink=True)
            if link is None:
                return None
            if not isinstance(link, h5py.HardLink):
                raise WeightsError(
                    f"{self.source}: {path!r} is a link to another place ({type(link).__name__}); "
                    "weights must be in the file itself"
                )
            here = here[step]
        return here

    def _text(self, owner: h5py.Group, name: str) -> str:
        texts = self._texts(owner, name)
        if len(texts) != 1:
            raise WeightsError(f"{self.source}: the attribute {name!r} must be one text")
        return texts[0]

    def _texts(self, owner: h5py.Group, name: str) -> list[str]:
        """Return the texts of an attribute, after a look at its type and size.

        HDF5 crashes on some damaged types when their values are read.
        """
        import h5py

        identifier = owner.attrs.get_id(name)
        shape = identifier.shape  # None where the attribute is empty
        if shape is not None and 0 in shape:
            return []  # Keras writes an empty list of names as one of floats
        kind = identifier.get_type()
        if shape is None or not isinstance(kind, h5py.h5t.TypeStringID):
            raise WeightsError(f"{self.source}: the attribute {name!r} must hold text")
        if kind.is_variable_str():
            header = h5py.h5o.get_info(owner.id).addr
            values = self._variable_texts.read(header, name, math.prod(shape))
        else:
            n_texts = math.prod(shape)
            self._budget.take(
                n_bytes=n_texts * kind.get_size(),
                n_parts=n_texts,
                what=f"the attribute {name!r}",
            )
            values = np.asarray(owner.attrs[name]).ravel().tolist()
        return [v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in values]


def read_config(text: str | bytes, name: str) -> dict[str, Any]:
    """Return the architecture that JSON holds, or JSON in the text of a JSON, as some write it."""
    try:
        config = read_json(text, max_bytes=MAX_JSON_BYTES, name=name)
        if isinstance(config, str):
            config = read_json(config, max_bytes=MAX_JSON_BYTES, name=name)
    except ValueError as error:
        raise WeightsError(str(error)) from None
    if not isinstance(config, dict):
        raise WeightsError(f"{name} must be a JSON object, got {type(config).__name__}")
    return config


@contextmanager
def open_keras_file(path: str | Path, budget: Budget | None = None) -> Iterator[KerasFile]:
    """Open a Keras HDF5 file; whatever h5py finds wrong with it becomes a WeightsError.

    The file may be part of another one, which gave the budget and its name.

    Raises OSError where there is no such file, or it may not be read; WeightsError where it is not
    HDF5, or damaged.
    """
    import h5py

    path = Path(path)
    name = str(path) if budget is None else budget.name
    with path.open("rb") as stream:
        head = stream.read(64)
    if not h5py.is_hdf5(path):
        reason = likely_reason(head) or "a model saved by Keras as .h5 or .hdf5 is expected"
        raise WeightsError(f"{name}: is not an HDF5 file; {reason}")
    with _damage_reported(name):
        file = h5py.File(path, "r")
        properties = file.id.get_create_plist()
        layout = properties.get_userblock(), *properties.get_sizes()
    if budget is None:
        budget = Budget.of_weights(name, path.stat().st_size, most=MAX_BYTES)
    texts = VariableTexts(path, budget)
    with file, closing(texts):
        if layout != (0, 8, 8):
            raise WeightsError(
                f"{name}: has an unusual layout (user block, bytes of addresses and sizes: "
                f"{layout}); save the model again with Keras"
            )
        yield KerasFile(file, path, budget, texts)


@contextmanager
def _damage_reported(where: str) -> Iterator[None]:
    """Turn what h5py raises on a damaged file into a WeightsError that names the place."""
    try:
        yield
    except WeightsError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{where}: cannot be read, the file is truncated or damaged; fetch or save it again "
            f"({error})"
        ) from error
