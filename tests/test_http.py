"""One GET against servers on this machine: bodies, what is lost, and what is refused."""

import errno
import socket
import ssl
import struct
import threading
import time
from contextlib import closing
from http.client import HTTPConnection

import pytest

import emotion_estimators
from emotion_estimators import _http
from emotion_estimators._http import LostError, RefusedError, receive

BODY = bytes(range(256)) * 400

# a cache of its own, short pauses, and no wishes of the user about proxies and certificates
pytestmark = pytest.mark.usefixtures("cache_home")


def get(url, timeout=10.0):
    with closing(receive(url, timeout=timeout)) as pieces:
        return b"".join(pieces)


def redirect(target, code=302):
    def answer(handler):
        handler.send_response(code)
        handler.send_header("Location", target)
        handler.end_headers()

    return answer


def chunked(*lines):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"".join(lines))

    return answer


@pytest.fixture
def responses(monkeypatch):
    """Return a list that all responses join."""
    seen = []
    ask = HTTPConnection.getresponse

    def remember(connection):
        seen.append(ask(connection))
        return seen[-1]

    monkeypatch.setattr(HTTPConnection, "getresponse", remember)
    return seen


# ---- bodies


def test_the_body_and_who_asks_for_it(http_server):
    http_server.answers = [(200, BODY)]
    assert get(http_server.url) == BODY
    asked = http_server.headers[0]
    assert asked["User-Agent"] == f"emotion-estimators/{emotion_estimators.__version__}"
    # the hash of a card is that of the file, not of what was made of it on the way
    assert asked["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        ((200, b""), b""),
        (chunked(b"3\r\nabc\r\n", b"2;x=y\r\nde\r\n", b"0\r\n\r\n"), b"abcde"),
        (lambda handler: handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\nabcde"), b"abcde"),
        # what comes after the end that was announced belongs to no file
        ((200, b"abcdefgh", 5), b"abcde"),
    ],
    ids=["empty", "chunked", "of unknown length", "more than announced"],
)
def test_bodies_of_other_kinds(http_server, answer, body):
    http_server.answers = [answer]
    assert get(http_server.url) == body


def test_the_timeout_is_for_each_piece_not_for_all(http_server):
    def trickle(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "30")
        handler.end_headers()
        for i in range(30):
            handler.wfile.write(bytes([i]))
            time.sleep(0.05)

    http_server.answers = [trickle]
    start = time.perf_counter()
    with closing(receive(http_server.url, timeout=1.0)) as pieces:
        received = list(pieces)
    assert time.perf_counter() - start > 1.0
    assert b"".join(received) == bytes(range(30))
    assert len(received) > 10  # each as it arrives: the progress bar moves


@pytest.mark.parametrize(
    ("written", "asked"),
    [("/a b/ü.onnx?x=ä", "/a%20b/%C3%BC.onnx?x=%C3%A4"), ("/a%20b?x=1&y=%26", "/a%20b?x=1&y=%26")],
)
def test_addresses_as_people_write_them(http_server, written, asked):
    http_server.files[asked] = (200, BODY)
    assert get(http_server.root + written) == BODY


def test_a_user_in_the_address_is_told_to_that_server_only(http_server, second_server):
    second_server.answers = [(200, BODY)]
    http_server.answers = [redirect(second_server.url)]
    assert get(http_server.url.replace("//", "//me:p%40ss@")) == BODY
    assert http_server.headers[0]["Authorization"] == "Basic bWU6cEBzcw=="  # me:p@ss
    assert second_server.headers[0]["Authorization"] is None


# ---- what is lost


def hang_up(handler):
    handler.connection.shutdown(socket.SHUT_RDWR)


def reset(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(BODY)))
    handler.end_headers()
    handler.wfile.write(BODY[:100])
    handler.wfile.flush()
    time.sleep(0.1)  # a reset overtakes what the client has not read yet
    linger = struct.pack("hh" if hasattr(socket, "SO_EXCLUSIVEADDRUSE") else "ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.wfile.close()
    handler.rfile.close()
    handler.connection.close()


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (hang_up, "RemoteDisconnected: Remote end closed connection without response"),
        (lambda handler: handler.wfile.write(b"SSH-2.0\r\n\r\n"), "BadStatusLine: SSH-2.0"),
        (reset, "(?i)reset"),
        ((200, BODY[:99], len(BODY)), f"the body ended after 99 of {len(BODY)} bytes"),
        ((200, b"", len(BODY)), f"the body ended after 0 of {len(BODY)} bytes"),
        (chunked(b"5\r\nabc"), "IncompleteRead"),
        (chunked(b"3\r\nabc\r\n"), "IncompleteRead"),
        (chunked(b"3\r\nabc\r\nno length\r\n"), "IncompleteRead"),
        ((500, b"no"), "HTTP Error 500: Internal Server Error"),
        ((502, b"no"), "HTTP Error 502: Bad Gateway"),
        ((503, b"no"), "HTTP Error 503: Service Unavailable"),
    ],
    ids=[
        "no answer", "no HTTP", "reset", "cut off", "nothing", "cut off in a chunk",
        "cut off after a chunk", "damaged chunk", "500", "502", "503",
    ],
)  # fmt: skip
def test_what_may_pass_is_lost(http_server, responses, answer, match):
    http_server.answers = [answer]
    with pytest.raises(LostError, match=match):
        get(http_server.url)
    assert all(response.closed for response in responses)


@pytest.mark.parametrize(
    "sent",
    [b"", b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhalf"],
    ids=["before its answer", "in the middle"],
)
def test_a_server_that_stops(http_server, responses, sent):
    over = threading.Event()

    def stop(handler):
        handler.wfile.write(sent)
        handler.wfile.flush()
        over.wait(20)

    http_server.answers = [stop]
    start = time.perf_counter()
    with pytest.raises(LostError, match="timed out"):
        get(http_server.url, timeout=0.2)
    assert time.perf_counter() - start < 10  # 0.2 s and what a busy machine adds
    over.set()
    assert all(response.closed for response in responses)


@pytest.mark.parametrize(
    ("error", "match"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "Temporary"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "unreachable"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "No route"),
        (OSError(errno.ENETDOWN, "Network is down"), "is down"),
        (ssl.SSLError("record layer failure"), "record layer"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "refused"),
        (TimeoutError("timed out"), "timed out"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_a_network_that_is_not_there_is_lost(monkeypatch, error, match):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(socket, "create_connection", fail)
    with pytest.raises(LostError, match=match):
        get("http://server.invalid/file")


# ---- what is refused


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 429])
def test_other_answers_are_final(http_server, responses, code):
    http_server.answers = [(code, b"no")]
    with pytest.raises(RefusedError, match=f"HTTP Error {code}") as caught:
        get(http_server.url)
    assert caught.value.status == code
    assert [response.closed for response in responses] == [True]


@pytest.mark.parametrize(
    ("url", "match"),
    [
        (__file__, "with http or https is expected, got ''"),
        ("file:///etc/hostname", "with http or https is expected, got 'file'"),
        ("ftp://127.0.0.1/file", "with http or https is expected, got 'ftp'"),
        ("data:,abc", "with http or https is expected, got 'data'"),
        ("http:///file", "no host given"),
        ("http://[::1/file", "Invalid IPv6 URL"),
        ("http://127.0.0.1:port/file", "nonnumeric port: 'port'"),
    ],
)
def test_addresses_that_are_refused(url, match):
    with pytest.raises(RefusedError, match=match):
        get(url)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed(http_server, second_server, responses, code):
    second_server.files["/there"] = (200, BODY)
    http_server.files["/here"] = redirect("/next", code)
    http_server.files["/next"] = redirect(f"{second_server.root}/there", code)
    assert get(f"{http_server.root}/here") == BODY
    assert second_server.headers[0]["User-Agent"].startswith("emotion-estimators/")
    assert [response.closed for response in responses] == [True] * 3


@pytest.mark.parametrize(
    "target", ["file:///etc/hostname", "ftp://127.0.0.1/file", "data:,abc", "gopher://127.0.0.1/"]
)
def test_redirects_to_other_schemes_are_refused(http_server, responses, target):
    http_server.answers = [redirect(target)]
    with pytest.raises(RefusedError, match=f"Redirection to url '{target}' is not allowed"):
        get(http_server.url)
    assert [response.closed for response in responses] == [True]


def test_redirects_to_another_user_are_refused(http_server, responses):
    http_server.answers = [redirect("http://user:secret@127.0.0.1/there")]
    with pytest.raises(RefusedError, match="names a user is not followed"):
        get(http_server.url)
    assert [response.closed for response in responses] == [True]


def test_redirects_in_a_circle_are_refused(http_server):
    http_server.answers = [redirect("/model")]
    with pytest.raises(RefusedError, match="HTTP Error 302: Redirected again and again: Found"):
        get(http_server.url)


def test_the_body_of_a_redirect_is_not_read(http_server):
    read = []

    def answer(handler):
        redirect("/there")(handler)
        for _ in range(500):  # 50 MB, unless the client hangs up
            handler.wfile.write(BODY)
        read.append(handler)

    http_server.files["/there"] = (200, BODY)
    http_server.answers = [answer]
    assert get(http_server.url) == BODY
    assert read == []


# ---- TLS


def test_a_certificate_nobody_knows_is_refused_until_it_is_named(
    https_server, certificate, monkeypatch
):
    https_server.answers = [(200, BODY)]
    with pytest.raises(RefusedError, match=r"not accepted \(self.signed .*set SSL_CERT_FILE"):
        get(https_server.url)
    assert https_server.n_requests == 0
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert get(https_server.url) == BODY


def test_a_certificate_that_comes_later_is_seen(https_server, certificate, tmp_path, monkeypatch):
    https_server.answers = [(200, BODY)]
    trusted = tmp_path / "trusted.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with pytest.raises(RefusedError, match="certificate of the server is not accepted"):
        get(https_server.url)
    trusted.write_bytes(certificate.read_bytes())
    assert get(https_server.url) == BODY


def test_a_certificate_for_another_name_is_refused(https_server, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(RefusedError, match=r"not accepted \(Hostname mismatch"):
        get(https_server.url.replace("127.0.0.1", "localhost"))


def test_redirects_between_https_and_http(http_server, https_server, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    https_server.files["/file"] = (200, BODY)
    https_server.files["/same"] = redirect("/file")
    https_server.files["/down"] = redirect(http_server.url)
    http_server.files["/up"] = redirect(f"{https_server.root}/same")
    assert get(f"{http_server.root}/up") == BODY
    with pytest.raises(RefusedError, match=f"url '{http_server.url}' is not allowed"):
        get(f"{https_server.root}/down")
    assert http_server.paths == ["/up"]


def test_a_connection_that_breaks_within_tls_is_lost(https_server, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    https_server.answers = [(200, BODY[:99], len(BODY))]
    with pytest.raises(LostError, match="ended after 99 of"):
        get(https_server.url)


# ---- proxies


def test_a_proxy_of_the_environment_is_asked(http_server, monkeypatch):
    http_server.files["http://weights.invalid/model"] = (200, BODY)
    monkeypatch.setenv("http_proxy", http_server.root)
    assert get("http://weights.invalid/model") == BODY
    assert http_server.n_requests == 1


def test_a_proxy_is_not_asked_for_what_no_proxy_names(http_server, second_server, monkeypatch):
    second_server.answers = [(200, BODY)]
    monkeypatch.setenv("http_proxy", http_server.root)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert get(second_server.url) == BODY
    assert http_server.n_requests == 0


def test_only_the_proxy_learns_its_password(http_server, second_server, monkeypatch):
    second_server.answers = [(200, BODY)]
    http_server.files["http://weights.invalid/model"] = redirect(second_server.url)
    monkeypatch.setenv("http_proxy", http_server.root.replace("//", "//me:pass@"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert get("http://weights.invalid/model") == BODY
    assert http_server.headers[0]["Proxy-Authorization"] == "Basic bWU6cGFzcw=="  # me:pass
    assert second_server.headers[0]["Proxy-Authorization"] is None


@pytest.mark.parametrize(("code", "error"), [(407, RefusedError), (503, LostError)])
def test_a_proxy_that_opens_no_tunnel(http_server, monkeypatch, code, error):
    http_server.answers = [(code, b"")]
    monkeypatch.setenv("https_proxy", http_server.root)
    with pytest.raises(error, match=f"Tunnel connection failed: {code}"):
        get("https://weights.invalid/model")
    assert http_server.paths == ["weights.invalid:443"]


def test_a_proxy_of_another_kind_is_refused(monkeypatch):
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:9")
    with pytest.raises(RefusedError, match="unknown url type: socks5"):
        get("http://weights.invalid/model")


# ---- closing


def test_who_stops_in_the_middle_closes_the_connection(http_server, responses):
    http_server.answers = [(200, BODY)]
    with closing(receive(http_server.url, timeout=10)) as pieces:
        next(pieces)
        assert not responses[0].closed
    assert responses[0].closed


def test_certificates_are_read_once(http_server):
    http_server.answers = [(200, b"")]
    _http._certificates.cache_clear()
    for _ in range(3):
        get(http_server.url)
    assert _http._certificates.cache_info().misses == 1
