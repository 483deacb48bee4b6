"""download() against servers on this machine: bodies, what is tried again, what is refused."""

import errno
import logging
import select
import socket
import ssl
import struct
import threading
import time
import traceback
from http.client import HTTPConnection

import pytest

import emotion_estimators

BODY = bytes(range(256)) * 400


def redirect(target, code=302):
    def answer(handler):
        handler.send_response(code)
        handler.send_header("Location", target)
        handler.end_headers()

    return answer


def raw(*lines):
    return lambda handler: handler.wfile.write(b"".join(lines))


def chunked(*lines):
    return raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *lines)


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


def test_the_body_and_who_asks_for_it(get, http_server, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password pass\n")
    monkeypatch.setenv("NETRC", str(netrc))
    http_server.answers = [(200, BODY)]
    assert get(http_server.url) == BODY
    asked = http_server.headers[0]
    assert asked["User-Agent"] == f"emotion-estimators/{emotion_estimators.__version__}"
    # the hash of a card is that of the file, not of what was made of it on the way
    assert asked["Accept-Encoding"] == "identity"
    # passwords that the user keeps for other programs are not told to a server of files
    assert asked["Authorization"] is None


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        ((200, b""), b""),
        (chunked(b"3\r\nabc\r\n", b"2;x=y\r\nde\r\n", b"0\r\n\r\n"), b"abcde"),
        (raw(b"HTTP/1.0 200 OK\r\n\r\nabcde"), b"abcde"),
        (raw(b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\nabcde"), b"abcde"),
        # what comes after the end that was announced belongs to no file
        ((200, b"abcdefgh", 5), b"abcde"),
    ],
    ids=["empty", "chunked", "of unknown length", "said to be packed", "more than announced"],
)
def test_bodies_of_other_kinds(get, http_server, answer, body):
    http_server.answers = [answer]
    assert get(http_server.url) == body


def test_the_timeout_is_for_each_piece_not_for_all(get, http_server):
    def trickle(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "30")
        handler.end_headers()
        for i in range(30):
            handler.wfile.write(bytes([i]))
            time.sleep(0.05)

    http_server.answers = [trickle]
    start = time.perf_counter()
    assert get(http_server.url, timeout=1.0) == bytes(range(30))
    assert time.perf_counter() - start > 1.0


@pytest.mark.parametrize(
    ("written", "asked"),
    [("/a b/ü.onnx?x=ä", "/a%20b/%C3%BC.onnx?x=%C3%A4"), ("/a%20b?x=1&y=%26", "/a%20b?x=1&y=%26")],
)
def test_addresses_as_people_write_them(get, http_server, written, asked):
    http_server.files[asked] = (200, BODY)
    http_server.files["/here"] = redirect(written.encode().decode("latin-1"))
    assert get(http_server.root + written) == BODY
    assert get(f"{http_server.root}/here") == BODY


def test_a_user_in_the_address_is_told_to_that_server_only(get, http_server, second_server):
    second_server.answers = [(200, BODY)]
    http_server.answers = [redirect(second_server.url)]
    assert get(http_server.url.replace("//", "//me:p%40€@")) == BODY
    assert http_server.headers[0]["Authorization"] == "Basic bWU6cEDigqw="  # me:p@€
    assert second_server.headers[0]["Authorization"] is None


# ---- what is tried three times


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
        (raw(b"SSH-2.0\r\n\r\n"), "BadStatusLine: SSH-2.0"),
        (reset, "[Rr]eset"),
        ((200, BODY[:99], len(BODY)), f"the body ended after 99 of {len(BODY)} bytes"),
        ((200, b"", len(BODY)), f"the body ended after 0 of {len(BODY)} bytes"),
        (chunked(b"5\r\nabc"), "IncompleteRead"),
        (chunked(b"3\r\nabc\r\n"), "IncompleteRead"),
        (chunked(b"3\r\nabc\r\nno length\r\n"), "IncompleteRead"),
        (chunked(b"-5\r\nabc\r\n"), "IncompleteRead"),
        (raw(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 200, b"\r\n"), "more than 100 headers"),
        ((500, b"no"), "HTTP Error 500: Internal Server Error"),
        ((503, b"no"), "HTTP Error 503: Service Unavailable"),
    ],
    ids=[
        "no answer", "no HTTP", "reset", "cut off", "nothing", "cut off in a chunk",
        "cut off after a chunk", "damaged chunk", "negative chunk", "many headers", "500", "503",
    ],
)  # fmt: skip
def test_what_may_pass_is_tried_three_times(get, http_server, responses, answer, match):
    http_server.answers = [answer]
    with pytest.raises(ConnectionError, match=rf"^A file cannot be downloaded from .*{match}"):
        get(http_server.url)
    assert http_server.n_requests == 3
    assert all(response.closed for response in responses)


@pytest.mark.parametrize(
    "sent",
    [b"", b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhalf"],
    ids=["before its answer", "in the middle"],
)
def test_a_server_that_stops(get, http_server, responses, sent):
    over = threading.Event()

    def stop(handler):
        handler.wfile.write(sent)
        handler.wfile.flush()
        over.wait(20)

    http_server.answers = [stop]
    start = time.perf_counter()
    with pytest.raises(ConnectionError, match="timed out"):
        get(http_server.url, timeout=0.2)
    assert time.perf_counter() - start < 10  # 0.6 s and what a busy machine adds
    over.set()
    assert all(response.closed for response in responses)


@pytest.mark.parametrize(
    ("error", "match"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "Temporary"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "unreachable"),
        (ssl.SSLError("record layer failure"), "record layer"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "refused"),
        (TimeoutError("timed out"), "timed out"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_a_network_that_is_not_there_may_come(get, monkeypatch, error, match):
    attempts = []

    def fail(*_, **__):
        attempts.append(None)
        raise error

    monkeypatch.setattr("urllib3.util.connection.create_connection", fail)
    with pytest.raises(ConnectionError, match=match):
        get("http://server.invalid/file")
    assert len(attempts) == 3


# ---- what is final


@pytest.mark.parametrize("code", [204, 304, 400, 401, 403, 404, 410, 429])
def test_other_answers_are_final(get, http_server, responses, code):
    http_server.answers = [(code, b"no")]
    if code == 204:  # a success, of nothing
        assert get(http_server.url) == b""
    else:
        with pytest.raises(ConnectionError, match=f"HTTP Error {code}"):
            get(http_server.url)
    assert [response.closed for response in responses] == [True]


@pytest.mark.parametrize(
    ("url", "match"),
    [
        (__file__, "with http or https is expected, got ''"),
        ("file:///etc/hostname", "with http or https is expected, got 'file'"),
        ("ftp://127.0.0.1/file", "with http or https is expected, got 'ftp'"),
        ("data:,abc", "with http or https is expected, got 'data'"),
        ("http:///file", "No host supplied"),
        ("http://[::1/file", "an address like https://server/file is expected"),
        ("http://127.0.0.1:port/file", "an address like https://server/file is expected"),
        ("http://.../file", "URL has an invalid label"),
    ],
)
def test_addresses_that_are_refused(get, url, match):
    with pytest.raises(ConnectionError, match=match):
        get(url)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed(get, http_server, second_server, responses, code):
    second_server.files["/there"] = (200, BODY)
    http_server.files["/here"] = redirect("/next", code)
    http_server.files["/next"] = redirect(f"{second_server.root}/there", code)
    assert get(f"{http_server.root}/here") == BODY
    assert second_server.headers[0]["User-Agent"].startswith("emotion-estimators/")
    assert [response.closed for response in responses] == [True] * 3


@pytest.mark.parametrize(
    ("target", "match"),
    [
        ("file:///etc/hostname", "to 'file:///etc/hostname' is not followed"),
        ("ftp://127.0.0.1/file", "to 'ftp://127.0.0.1/file' is not followed"),
        ("data:,abc", "to 'data:,abc' is not followed"),
        ("http://[::1/file", "to what is no address is not followed"),
        ("http://user:secret@127.0.0.1/there", "that names a user is not followed"),
        ("/model", "redirects more than 10 times"),
    ],
)
def test_redirects_that_are_refused(get, http_server, responses, target, match):
    http_server.answers = [redirect(target)]
    with pytest.raises(ConnectionError, match=match):
        get(http_server.url)
    assert http_server.n_requests == (11 if target == "/model" else 1)
    assert all(response.closed for response in responses)


def test_the_body_of_a_redirect_is_not_read(get, http_server):
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


# ---- servers that would go on for ever


def drip(begin, piece):
    """Return an answer that never ends: one piece after another, slowly, for 20 s."""

    def answer(handler):
        handler.wfile.write(begin)
        for _ in range(400):
            handler.wfile.write(piece)
            time.sleep(0.05)

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        drip(b"", b"H"),
        drip(b"HTTP/1.1 200 OK\r\n", b"x"),
        drip(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
        drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x"),
        drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
        drip(b"HTTP/1.1 302 Found\r\nLocation: /model\r\n\r\n", b"x"),
        drip(b"HTTP/1.1 503 Later\r\n\r\n", b"x"),
        redirect("/model"),
        (503, b"later"),
    ],
    ids=[
        "status", "header", "headers", "continue", "body", "body of unknown length", "chunk size",
        "trailers", "redirect", "error", "redirects", "errors",
    ],
)  # fmt: skip
def test_a_download_ends_in_its_time(get, http_server, answer):
    threads = threading.active_count()
    http_server.answers = [answer]
    start = time.perf_counter()
    with pytest.raises(ConnectionError, match=r"takes longer than 1 s|more than 10|Error 503"):
        get(http_server.url, timeout=0.5, seconds=0.6)
    assert time.perf_counter() - start < 5  # 0.6 s and what a busy machine adds
    while threading.active_count() > threads:  # the server's, and none of ours, end on their own
        assert time.perf_counter() - start < 10
        time.sleep(0.05)


def test_a_name_server_that_does_not_answer(get, monkeypatch):
    over = threading.Event()

    def stop(*_, **__):
        over.wait(20)
        raise OSError("too late")

    monkeypatch.setattr("urllib3.util.connection.create_connection", stop)
    start = time.perf_counter()
    with pytest.raises(ConnectionError, match="longer than 0 s"):
        get("http://server.invalid/file", seconds=0.2)
    assert time.perf_counter() - start < 5
    over.set()


def test_what_a_server_says_cannot_write_to_the_terminal(get, http_server):
    http_server.answers = [raw(b"HTTP/1.1 404 \x1b[2J\x9b1m\x07No\xe2\x80\xae\r\n\r\n")]
    with pytest.raises(ConnectionError, match=r"HTTP Error 404: \[2J 1m No") as caught:
        get(http_server.url)
    assert str(caught.value).isprintable()
    http_server.answers = [redirect("ftp://x/\x1b[2J" + "a" * 5000)]
    with pytest.raises(ConnectionError, match=r"to 'ftp://x/%1B\[2Jaa") as caught:
        get(http_server.url)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "url",
    [
        "http://user:SECRET@127.0.0.1:1/x",
        "http://SECRET@127.0.0.1:1/x",
        "http://user:x@SECRET@127.0.0.1:1/x",
        "http://user:SEC%20RET@127.0.0.1:1/x",
        "http://user:SECRET/more@127.0.0.1:1/x",
        "http://user:SECRET@127.0.0.1:port/x",
        "http://user:SECRET@[::1/x",
        "http://user:SECRET@/x",
        "http://127.0.0.1:1/x?token=SECRET",
        "http://127.0.0.1:1/x#SECRET",
        "ftp://user:SECRET@127.0.0.1/x",
        "user:SECRET@127.0.0.1/x",
    ],
)
@pytest.mark.parametrize("proxy", [None, "http://me:SECRET@127.0.0.1:1", "http://me:SEC/RET@[::"])
def test_passwords_stand_nowhere(get, monkeypatch, caplog, url, proxy):
    if proxy is not None:
        monkeypatch.setenv("http_proxy", proxy)
    caplog.set_level(logging.INFO)
    with pytest.raises(ConnectionError, match="A file cannot be downloaded from") as caught:
        get(url)
    error = caught.value
    told = "".join(traceback.format_exception(error)).split("Error: A file")[1] + caplog.text
    assert "SEC" not in told
    assert "RET" not in told
    assert error.__cause__ is error.__context__ is None


@pytest.mark.parametrize("answer", [(404, b""), (200, BODY), (503, b""), redirect("ftp://x")])
def test_passwords_stand_nowhere_when_a_server_answers(get, http_server, answer):
    http_server.answers = [answer]
    with pytest.raises((ConnectionError, ValueError), match="A file") as caught:
        get(http_server.url.replace("//", "//me:SECRET@") + "?token=SECRET", size=9)
    assert "SECRET" not in str(caught.value)
    assert "http://***@127.0.0.1:" in str(caught.value)


# ---- TLS


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_certificate_nobody_knows_is_refused_until_it_is_named(
    get, https_server, certificate, monkeypatch, name
):
    https_server.answers = [(200, BODY)]
    with pytest.raises(ConnectionError, match=r"not accepted \(self.signed .*set SSL_CERT_FILE"):
        get(https_server.url)
    assert https_server.n_requests == 0
    monkeypatch.setenv(name, str(certificate))
    assert get(https_server.url) == BODY


def test_a_certificate_that_comes_later_is_seen(
    get, https_server, certificate, tmp_path, monkeypatch
):
    https_server.answers = [(200, BODY)]
    trusted = tmp_path / "trusted.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with pytest.raises(ConnectionError, match=r"certificate bundle, invalid path: .*trusted.pem"):
        get(https_server.url)
    trusted.write_bytes(certificate.read_bytes())
    assert get(https_server.url) == BODY


def test_a_certificate_for_another_name_is_refused(get, https_server, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(ConnectionError, match=r"not accepted \(Hostname mismatch"):
        get(https_server.url.replace("127.0.0.1", "localhost"))


def test_redirects_between_https_and_http(get, http_server, https_server, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    https_server.files["/file"] = (200, BODY)
    https_server.files["/same"] = redirect("/file")
    https_server.files["/down"] = redirect(http_server.url)
    http_server.files["/up"] = redirect(f"{https_server.root}/same")
    assert get(f"{http_server.root}/up") == BODY
    with pytest.raises(ConnectionError, match=f"to '{http_server.url}' is not followed"):
        get(f"{https_server.root}/down")
    assert http_server.paths == ["/up"]


def test_a_connection_that_breaks_within_tls(get, https_server, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    https_server.answers = [(200, BODY[:99], len(BODY))]
    with pytest.raises(ConnectionError, match="ended after 99 of"):
        get(https_server.url)
    assert https_server.n_requests == 3


def test_dripping_within_tls(get, https_server, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    https_server.answers = [drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x")]
    start = time.perf_counter()
    with pytest.raises(ConnectionError, match="takes longer than 1 s"):
        get(https_server.url, seconds=0.6)
    assert time.perf_counter() - start < 5


# ---- proxies


def test_a_proxy_of_the_environment_is_asked(get, http_server, monkeypatch):
    http_server.files["http://weights.invalid/model"] = (200, BODY)
    monkeypatch.setenv("http_proxy", http_server.root)
    assert get("http://weights.invalid/model") == BODY
    assert http_server.n_requests == 1


def test_a_proxy_is_not_asked_for_what_no_proxy_names(get, http_server, second_server, monkeypatch):
    second_server.answers = [(200, BODY)]
    monkeypatch.setenv("http_proxy", http_server.root)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert get(second_server.url) == BODY
    assert http_server.n_requests == 0


def test_only_the_proxy_learns_its_password(get, http_server, second_server, monkeypatch):
    second_server.answers = [(200, BODY)]
    http_server.files["http://weights.invalid/model"] = redirect(second_server.url)
    monkeypatch.setenv("http_proxy", http_server.root.replace("//", "//me:pass@"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert get("http://weights.invalid/model") == BODY
    assert http_server.headers[0]["Proxy-Authorization"] == "Basic bWU6cGFzcw=="  # me:pass
    assert second_server.headers[0]["Proxy-Authorization"] is None


def tunnel(handler):
    """Answer as a proxy does that is asked for a connection: pass on what both sides say."""
    host, port = handler.path.split(":")
    here = handler.connection
    with socket.create_connection((host, int(port))) as there:
        here.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            for side in select.select([here, there], [], [], 10)[0]:
                said = side.recv(1 << 16)
                if not said:
                    return
                (there if side is here else here).sendall(said)


def test_tls_through_the_tunnel_of_a_proxy(
    get, http_server, https_server, certificate, monkeypatch
):
    monkeypatch.setenv("https_proxy", http_server.root.replace("//", "//me:pass@"))
    http_server.answers = [tunnel]
    https_server.answers = [(200, BODY)]
    with pytest.raises(ConnectionError, match=r"not accepted \(self.signed .*set SSL_CERT_FILE"):
        get(https_server.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert get(https_server.url) == BODY
    assert http_server.headers[-1]["Proxy-Authorization"] == "Basic bWU6cGFzcw=="  # me:pass
    assert https_server.headers[-1]["Proxy-Authorization"] is None


@pytest.mark.parametrize(("code", "n_requests"), [(407, 1), (503, 3)])
def test_a_proxy_that_opens_no_tunnel(get, http_server, monkeypatch, code, n_requests):
    http_server.answers = [(code, b"")]
    monkeypatch.setenv("https_proxy", http_server.root)
    with pytest.raises(ConnectionError, match=f"Tunnel connection failed: {code}"):
        get("https://weights.invalid/model")
    assert http_server.paths == ["weights.invalid:443"] * n_requests


def test_a_proxy_that_would_go_on_for_ever(get, http_server, monkeypatch):
    http_server.answers = [drip(b"HTTP/1.1 200 OK\r\n", b"x")]
    monkeypatch.setenv("https_proxy", http_server.root)
    start = time.perf_counter()
    with pytest.raises(ConnectionError, match="takes longer than 1 s"):
        get("https://weights.invalid/model", seconds=0.6)
    assert time.perf_counter() - start < 5


def test_a_proxy_of_another_kind_is_refused(get, monkeypatch):
    monkeypatch.setenv("http_proxy", "gopher://127.0.0.1:9")
    with pytest.raises(ConnectionError, match="Proxy URL had unsupported scheme gopher"):
        get("http://weights.invalid/model")
