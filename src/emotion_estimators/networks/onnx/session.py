"""Sessions of ONNX Runtime: the same numbers at every start."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from emotion_estimators.exceptions import WeightsError, shorten
from emotion_estimators.networks.onnx.reader import check_self_contained

__all__ = [
    "CPU",
    "TwoThreadSession",
    "choose_providers",
    "first_words",
    "import_onnxruntime",
    "quiet_run",
    "start_session",
]

CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
# Only algorithms chosen by shape, in full single precision: the same numbers at every start.
_OPTIONS = {_CUDA: {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}}


def import_onnxruntime() -> Any:
    """Import ONNX Runtime such that it tells its makers nothing, unless the user wants it to.

    Its builds since 1.32 send events as they are imported, and keep an identifier of the machine
    in the user's cache; only this variable keeps them from it.
    """
    if "onnxruntime" not in sys.modules:
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


def choose_providers(device: str | Sequence[str], *, needed_by: str) -> tuple[str, ...]:
    """Return the execution providers of ONNX Runtime to use; "name:1" is the second device of one.

    Raises ValueError if `device` names none, or one that the installed build does not have.
    """
    available = import_onnxruntime().get_available_providers()
    if device == "auto":
        return (_CUDA, CPU) if _CUDA in available else (CPU,)
    kind, _, number = device.partition(":") if isinstance(device, str) else ("", "", "")
    if device == "cpu":
        providers: tuple[str, ...] = (CPU,)
    elif kind == "cuda" and (number.isdecimal() or device == "cuda"):
        providers = (f"{_CUDA}:{number or 0}",)
    else:
        providers = () if isinstance(device, str) else tuple(device)
    known = [isinstance(one, str) and one.partition(":")[0] in available for one in providers]
    if not known or not all(known):
        raise ValueError(
            f"{needed_by} expected device to be 'auto', 'cpu', a CUDA device such as 'cuda' or "
            "'cuda:1', or a list of execution providers of ONNX Runtime that are installed "
            f"({', '.join(available)}), got {shorten(repr(device))}. CUDA needs onnxruntime-gpu; "
            "device='auto' falls back to the CPU."
        )
    return providers


def _with_options(provider: str) -> tuple[str, dict[str, str]]:
    """Return the name of a provider, and its options."""
    name, _, number = provider.partition(":")
    return name, _OPTIONS.get(name, {}) | ({"device_id": number} if number else {})


def start_session(
    serialised: bytes,
    path: Path,
    providers: tuple[str, ...],
    *,
    n_threads: int = 1,
    keep_memory: bool = True,
) -> Any:
    """Start ONNX Runtime so that each run takes a thread and gives the same every time.

    Raises WeightsError if ONNX Runtime cannot load it, or its weights lie in another file.
    """
    onnxruntime = import_onnxruntime()
    check_self_contained(serialised, path)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.enable_cpu_mem_arena = keep_memory
    options.log_severity_level = 3  # errors only
    # Threads that share a run wait busily between two layers, but not between two runs, when
    # others need the processor.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return onnxruntime.InferenceSession(
            serialised, options, providers=[*map(_with_options, providers)]
        )
    except Exception as error:  # its errors share no base class
        raise WeightsError(
            f"{path}: ONNX Runtime cannot load the network: {first_words(error)}"
        ) from error


def quiet_run() -> Any:
    """Return options of a run whose failure is raised only, not written to standard error."""
    options = import_onnxruntime().RunOptions()
    options.log_severity_level = 4  # fatal errors only
    return options


def first_words(error: Exception) -> str:
    """Return the beginning of a message of ONNX Runtime, which may hold whole names of a file."""
    return "".join(c if c.isprintable() else " " for c in str(error))[:500]


class TwoThreadSession:
    """A second session, whose runs are shared by two threads, for single images in a row."""

    def __init__(self, start: Callable[[], Any]) -> None:
        self.start = start
        self.session: Any = None
        self.asked_before = False
        self.lock = threading.Lock()

    def get(self) -> Any:
        """Return the session, or None at the first call: one image does not pay for its start."""
        with self.lock:
            if self.session is None and self.asked_before:
                self.session = self.start()
            self.asked_before = True
            return self.session
