"""What a user saved of a model with Keras: one file, an archive, or weights beside a JSON."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_estimators._untrusted import Budget, open_zip
from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.keras_hdf5.file import (
    MAX_JSON_BYTES,
    KerasFile,
    open_keras_file,
    read_config,
)
from emotion_estimators.networks.keras_hdf5.settings import Origin
from emotion_estimators.networks.onnx.format import MAX_BYTES

__all__ = ["SavedModel", "architecture_beside", "open_saved"]

_WEIGHTS = "model.weights.h5"
# what zipfile raises on damaged archives, some of it undocumented
_DAMAGE = (
    zipfile.BadZipFile, EOFError, NotImplementedError, OverflowError, RuntimeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class SavedModel:
    """An architecture, which Keras wrote it, and the file of its weights."""

    config: dict[str, Any]
    origin: Origin
    file: KerasFile


@contextmanager
def open_saved(path: Path, architecture: Path | None) -> Iterator[SavedModel]:
    """Open a model that Keras saved; `architecture` is the JSON where the file has weights only.

    Raises OSError where a file is not there, or may not be read; WeightsError where one is damaged
    or too large, or there is no architecture.
    """
    with path.open("rb") as stream:
        is_archive = stream.read(4) == b"PK\x03\x04"
    if is_archive:
        with _open_archive(path) as saved:
            yield saved
        return
    with open_keras_file(path) as file:
        config, origin = file.model_config(), file.origin()
        if config is not None and architecture is not None:
            raise WeightsError(
                f"{path}: holds the whole model; pass it without {architecture}, whose "
                "architecture may be another"
            )
        if config is None:
            architecture = architecture or _beside(path)
            if architecture is None:
                names = " or ".join(map(repr, dict.fromkeys(each.name for each in _places(path))))
                raise WeightsError(
                    f"{path}: has no attribute 'model_config', so it holds weights without the "
                    "architecture; save the whole model with model.save(...), not save_weights, "
                    f"or put what model.to_json() gives beside it, as {names}"
                )
            config = _read_json(architecture)
            words = (config.get(key) for key in ("keras_version", "backend"))
            version, backend = (word if isinstance(word, str) else "" for word in words)
            version = origin.version or version
            if not version and file.variables_root() is not None:
                version = "3"  # which says it in archives only
            origin = Origin(version, origin.backend or backend)
        yield SavedModel(config, origin, file)


def architecture_beside(path: Path) -> Path | None:
    """Return the JSON beside a file of weights that holds their architecture, if there is one.

    None, too, where the file needs none, or is none of Keras.
    """
    beside = _beside(path)
    if beside is None:
        return None
    try:
        with open_keras_file(path) as file:
            return beside if file.model_config() is None else None
    except WeightsError:
        return None


def _places(path: Path) -> tuple[Path, Path]:
    """Return where a JSON of the same stem may lie; Keras 3 calls weights name.weights.h5."""
    return path.with_suffix(".json"), path.with_name(f"{path.stem.removesuffix('.weights')}.json")


def _beside(path: Path) -> Path | None:
    return next((place for place in _places(path) if place.is_file()), None)


def _read_json(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        text = stream.read(MAX_JSON_BYTES + 1)
    return read_config(text.removeprefix(b"\xef\xbb\xbf"), str(path))


@contextmanager
def _open_archive(path: Path) -> Iterator[SavedModel]:
    """Open a ``.keras`` archive: config.json, metadata.json, and the weights in HDF5."""
    budget = Budget.of_weights(str(path), path.stat().st_size, most=MAX_BYTES)
    with tempfile.TemporaryDirectory(prefix="emotion_estimators") as folder:
        weights = Path(folder, "weights.h5")
        try:
            with (
                path.open("rb", buffering=0) as stream,
                open_zip(stream, max_table_bytes=MAX_JSON_BYTES) as archive,
            ):
                config = read_config(_member(archive, "config.json", budget), f"{path}: its config")
                metadata = read_config(
                    _member(archive, "metadata.json", budget), f"{path}: its metadata"
                )
                info = _info(archive, _WEIGHTS, budget)
                budget.take(n_bytes=info.file_size, what=_WEIGHTS)
                with archive.open(info) as source, weights.open("wb") as target:
                    shutil.copyfileobj(source, target)
        except WeightsError:
            raise
        except _DAMAGE as error:
            raise WeightsError(
                f"{path}: is damaged ({type(error).__name__}: {error}); fetch or save it again"
            ) from error
        version = metadata.get("keras_version")
        with open_keras_file(weights, budget) as file:
            yield SavedModel(config, Origin(version if isinstance(version, str) else ""), file)


def _info(archive: zipfile.ZipFile, name: str, budget: Budget) -> zipfile.ZipInfo:
    found = [info for info in archive.infolist() if info.filename == name]
    if len(found) != 1:
        raise WeightsError(
            f"{budget.name}: expected an archive that Keras saved, with one {name}, got "
            f"{len(found)}; save the model again as .keras or .h5"
        )
    if found[0].compress_type != zipfile.ZIP_STORED or found[0].flag_bits & 1:
        raise WeightsError(f"{budget.name}: its {name} is compressed, which Keras never does")
    return found[0]


def _member(archive: zipfile.ZipFile, name: str, budget: Budget) -> bytes:
    info = _info(archive, name, budget)
    if info.file_size > MAX_JSON_BYTES:
        raise WeightsError(f"{budget.name}: its {name} has {info.file_size} bytes, too many")
    return archive.read(info)
