"""Fixtures shared by all tests."""

import importlib.util
import os
import shutil
import signal
import ssl
import struct
import subprocess
import sys
import threading
import time
import types
import zipfile
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

_BESIDE_CHECKOUT = Path(__file__).parents[1].parent / "shared" / "data"


@pytest.fixture(autouse=True, scope="session")
def interrupts():
    """Let SIGINT reach the tests that send it: a shell's background jobs are born deaf to it."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


# before anything asks for it: the library looks there for weights, as tests do for faces
if not os.environ.get("EMOTION_ESTIMATORS_DATA"):
    os.environ["EMOTION_ESTIMATORS_DATA"] = str(_BESIDE_CHECKOUT)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of real faces, emoji, weights and photographs, or skip."""
    folder = Path(os.environ["EMOTION_ESTIMATORS_DATA"])
    if not folder.is_dir():
        pytest.skip(
            f"needs the real-data folder, and {folder} is none: set EMOTION_ESTIMATORS_DATA"
        )
    return folder


@pytest.fixture(scope="session")
def write_clip():
    """Return a function that writes frames, uint8 RGB of one size, as a file of video, or skip.

    `times` in milliseconds make the rate vary; `matrix` (a, b, c, d) is put into an .mp4, how
    cameras tell that they were turned.
    """
    av = pytest.importorskip("av", reason="reads and writes videos")

    def write(path, frames, *, rate=10, times=None, codec="mpeg4", matrix=None, ratio=None):
        with av.open(path, "w") as container:
            height, width = frames[0].shape[:2]
            stream = container.add_stream(codec, rate=rate, width=width, height=height)
            stream.bit_rate = 8_000_000
            if times is not None:
                stream.codec_context.time_base = Fraction(1, 1000)
            if ratio is not None:
                stream.codec_context.sample_aspect_ratio = ratio
            for i, pixels in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels))
                if times is not None:
                    frame.pts, frame.time_base = times[i], Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        if matrix is not None:
            data = bytearray(Path(path).read_bytes())
            start = data.index(b"tkhd") + 44
            a, b, c, d = (65536 * value for value in matrix)
            data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
            Path(path).write_bytes(data)
        return path

    return write


class Server:
    """Answers with files by their paths, else with the next of its answers, the last for ever.

    An answer is (status, body[, size claimed[, seconds in the middle]]), or a function of the
    handler that writes it.
    """

    def __init__(self, tls=None):
        self.answers = [(404, b"nothing here")]
        self.files = {}  # "/path": an answer
        self.paths = []  # of all requests
        self.headers = []  # of all requests
        self.n_requests = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                answer = outer.files.get(self.path)
                if answer is None:
                    answer = outer.answers[min(outer.n_requests, len(outer.answers) - 1)]
                outer.n_requests += 1
                outer.headers.append(self.headers)
                outer.paths.append(self.path)
                if callable(answer):
                    answer(self)
                    return
                status, body = answer[:2]
                self.send_response(status)
                self.send_header("Content-Length", str(answer[2] if answer[2:] else len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                time.sleep(answer[3] if answer[3:] else 0)
                self.wfile.write(body[len(body) // 2 :])

            do_CONNECT = do_GET  # noqa: N815 - to a proxy

            def log_message(self, *_):
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                pass  # clients that hang up are part of these tests

        self.http = Quiet(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.http.socket = tls.wrap_socket(self.http.socket, server_side=True)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()
        self.root = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.http.server_port}"
        self.url = f"{self.root}/model"

    def close(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def http_server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def second_server():
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Return a file with a key and a certificate for 127.0.0.1 that nobody trusts, or skip."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the command openssl to make a certificate")
    folder = tmp_path_factory.mktemp("certificate")
    key, signed = folder / "key.pem", folder / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=a server of these tests", "-keyout", str(key), "-out", str(signed)]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        reason = (process.stderr.strip() or "no message").splitlines()[-1]
        pytest.skip(f"needs a certificate, and openssl says: {reason}")
    with signed.open("a") as file:
        file.write(key.read_text())
    return signed


@pytest.fixture
def https_server(certificate):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    server = Server(tls)
    yield server
    server.close()


@pytest.fixture
def cache_home(tmp_path, monkeypatch):
    """Give the test a cache of its own, and no wishes of the user about data and network."""
    from emotion_estimators import _downloads

    for name in ("EMOTION_ESTIMATORS_DATA", "EMOTION_ESTIMATORS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EMOTION_ESTIMATORS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(_downloads, "_PAUSES", (0.01, 0.01))
    return tmp_path / "cache"


@pytest.fixture
def get(cache_home):
    """Return a function that downloads from an address and returns the file's bytes."""
    from emotion_estimators._downloads import download

    def get(url, **settings):
        target = cache_home / "file"
        defaults = {
            "what": "A file",
            "check": lambda _: None,
            "wrong": ValueError,
            "if_unreachable": "Do something.",
            "if_unwritable": "Do something else.",
        }
        try:
            download(url=url, target=target, **{**defaults, **settings})
        finally:
            assert [path for path in cache_home.rglob("*") if path != target] == []
        return target.read_bytes()

    return get


@pytest.fixture(scope="session")
def registry_file(tmp_path_factory):
    """Return a function that downloads a file of a package, checked by its hash, or skips."""

    def download(requirement: str, sha256: str) -> Path:
        folder = tmp_path_factory.mktemp("registry")
        pinned = folder / "requirements.txt"
        pinned.write_text(f"{requirement} --hash=sha256:{sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
        command += ["--disable-pip-version-check", "--retries=1", "--timeout=10"]
        command += ["--require-hashes", f"--requirement={pinned}", f"--dest={folder}"]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        files = [path for path in folder.iterdir() if path != pinned]
        if process.returncode or not files:
            reason = (process.stderr.strip() or "no message").splitlines()[-1]
            pytest.skip(f"needs {requirement} from a package registry, and pip says: {reason}")
        return files[0]

    return download


@pytest.fixture(scope="session")
def facenet_pytorch(registry_file):
    """Return the module models/inception_resnet_v1.py of facenet-pytorch 2.6.0, or skip.

    The package itself cannot be installed beside a current torch, and imports torchvision.
    """
    pytest.importorskip("torch", reason="the reference is a torch module")
    wheel = registry_file(
        "facenet-pytorch==2.6.0",
        "ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca",
    )
    path = wheel.with_name("inception_resnet_v1.py")
    with zipfile.ZipFile(wheel) as archive:
        path.write_bytes(archive.read("facenet_pytorch/models/inception_resnet_v1.py"))
    spec = importlib.util.spec_from_file_location("facenet_reference.models.network", path)
    module = importlib.util.module_from_spec(spec)
    # what it imports from its package, to download weights with
    stand_in = types.ModuleType("facenet_reference.models.utils.download")
    stand_in.download_url_to_file = None
    parts = stand_in.__name__.split(".")
    packages = {".".join(parts[:i]): types.ModuleType(parts[i - 1]) for i in range(1, len(parts))}
    with pytest.MonkeyPatch.context() as patch:
        for name, package in {**packages, stand_in.__name__: stand_in}.items():
            patch.setitem(sys.modules, name, package)
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def keras_layout():
    """Return `arrays` and `write`: a state dict of FaceNet to a file as keras-facenet has it."""
    return types.SimpleNamespace(arrays=_keras_arrays, write=_write_keras_weights)


def _keras_arrays(state):
    """Return the arrays of each layer by their names in Keras, from a state dict."""
    from emotion_estimators.networks.facenet.layers import (
        LAYERS,
        Block,
        all_convolutions,
    )

    arrays = {}

    def add_norm(layer, name):
        # keras-facenet leaves the scale out
        assert (state[f"{name}.weight"] == 1).all()
        parts = (
            ("beta", "bias"),
            ("moving_mean", "running_mean"),
            ("moving_variance", "running_var"),
        )
        arrays[layer] = {keras: state[f"{name}.{ours}"] for keras, ours in parts}

    for conv in all_convolutions():
        kernel = state[f"{conv.name}.conv.weight"].transpose(2, 3, 1, 0)
        arrays[conv.keras_name] = {"kernel": kernel}
        add_norm(f"{conv.keras_name}_BatchNorm", f"{conv.name}.bn")
    for layer in LAYERS:
        if isinstance(layer, Block) and layer.scale is not None:
            arrays[f"{layer.keras_name}_Conv2d_1x1"] = {
                "kernel": state[f"{layer.name}.conv2d.weight"].transpose(2, 3, 1, 0),
                "bias": state[f"{layer.name}.conv2d.bias"],
            }
    arrays["Bottleneck"] = {"kernel": state["last_linear.weight"].T}
    add_norm("Bottleneck_BatchNorm", "last_bn")
    return arrays


def _write_keras_weights(path, arrays, folder=""):
    """Write a file as ``save_weights`` of Keras 2 does."""
    import h5py

    with h5py.File(path, "w") as file:
        root = file.require_group(folder) if folder else file
        root.attrs["layer_names"] = [name.encode() for name in arrays]
        root.attrs["backend"] = b"tensorflow"
        root.attrs["keras_version"] = b"2.2.4"
        for layer, parts in arrays.items():
            group = root.create_group(layer)
            names = [f"{layer}/{part}:0" for part in parts]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, values in zip(names, parts.values(), strict=True):
                group[name] = values
    return path
