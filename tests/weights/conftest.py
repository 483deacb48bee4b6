"""A server of weights on this machine, and a cache of its own for each test."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from emotion_estimators import _downloads


class Server:
    """Answers each request with the next of its answers, the last one for ever."""

    def __init__(self):
        self.answers = [
            (404, b"nothing here")
        ]  # status, body[, size claimed[, seconds in the middle]]
        self.n_requests = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                answer = outer.answers[min(outer.n_requests, len(outer.answers) - 1)]
                outer.n_requests += 1
                status, body = answer[:2]
                self.send_response(status)
                self.send_header("Content-Length", str(answer[2] if answer[2:] else len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                time.sleep(answer[3] if answer[3:] else 0)
                self.wfile.write(body[len(body) // 2 :])

            def log_message(self, *_):
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                pass  # clients that hang up are part of these tests

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/model"

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
def cache(tmp_path, monkeypatch):
    for name in ("EMOTION_ESTIMATORS_DATA", "EMOTION_ESTIMATORS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EMOTION_ESTIMATORS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(_downloads, "_PAUSES", (0.01, 0.01))
    return tmp_path / "cache" / "weights"
