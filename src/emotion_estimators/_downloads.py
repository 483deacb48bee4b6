"""Files from a server to disk, whole and checked or not at all; the cache and offline switch.

Imports requests inside functions, so that files on disk need no network library.
"""

from __future__ import annotations

import errno
import os
import re
import string
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, BinaryIO
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from emotion_estimators import __version__
from emotion_estimators._files import whole_file
from emotion_estimators._progress import progress_bar

__all__ = [
    "CutOffError",
    "NotThereError",
    "cache_folder",
    "check_address",
    "download",
    "is_offline",
    "passes",
    "readable_address",
]

_PAUSES = (0.5, 2.0)  # seconds before the second and the third attempt
_PIECE = 1 << 15  # bytes
_LARGEST = 1 << 30  # bytes of a file of which nothing is known
_SLOWEST = 20_000  # bytes a second that a server must send on average
_SHORTEST_LIMIT, _UNKNOWN_LIMIT = 60.0, 3600.0  # seconds for all of a download
_SCHEMES = ("http", "https")
_REDIRECTS = (301, 302, 303, 307, 308)
_N_REDIRECTS = 10
_NOT_FOUND = (404, 410)
_MAX_TEXT = 300  # characters of what a server said, in a message


class CutOffError(Exception):
    """A check found the body shorter than the file; worth another attempt."""


class NotThereError(ConnectionError):
    """The server answers, and has no such file."""


class _FailedError(Exception):
    """An attempt failed: what to say of it, and whether the next one may do better."""

    def __init__(self, said: str, *, may_pass: bool = False, is_gone: bool = False) -> None:
        super().__init__(said)
        self.may_pass = may_pass
        self.is_gone = is_gone


def cache_folder(part: str = "") -> Path:
    """Return the cache or a folder in it; nothing is made."""
    named = os.environ.get("EMOTION_ESTIMATORS_CACHE")
    return (Path(named) if named else _user_cache()) / part


def _user_cache() -> Path:
    """Return the folder for caches that the system gives the user."""
    import platformdirs

    name = "emotion_estimators"
    try:
        folder = Path(platformdirs.user_cache_dir(name))
        if folder.is_absolute():
            return folder
        # a relative XDG_CACHE_HOME, which its specification wants ignored
        return Path("~/.cache").expanduser() / name
    except RuntimeError as error:
        raise OSError(
            "The cache is expected below the user's home folder, and there is none "
            f"({error}). Set EMOTION_ESTIMATORS_CACHE to a folder that can be written."
        ) from error


def is_offline() -> bool:
    """Return whether ``EMOTION_ESTIMATORS_OFFLINE`` forbids to use the network."""
    return os.environ.get("EMOTION_ESTIMATORS_OFFLINE", "0") not in ("", "0")


def readable_address(url: str) -> str:
    """Return an address as messages may show it: without user, password and query."""
    try:
        parts = _split(url)
    except ValueError:  # nobody knows what is a password in it
        return "an address that cannot be read"
    _, user, host = parts.netloc.rpartition("@")
    shown = parts._replace(
        netloc=f"***{user}{host}" if user else host, query="***" * bool(parts.query), fragment=""
    ).geturl()
    return _printable(shown if host else re.sub(".*@", "***@", shown))


def check_address(owner: str, argument: str, url: str) -> None:
    """Raise ValueError unless an address is one of the web."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(
            f"{owner} expected {argument} to begin with http:// or https://, got "
            f"{readable_address(url)!r}."
        )


def download(
    *,
    what: str,
    url: str,
    target: Path,
    check: Callable[[BinaryIO], None],
    wrong: type[Exception],
    if_unreachable: str,
    if_unwritable: str,
    size: int | None = None,
    largest: int = _LARGEST,
    timeout: float = 30.0,
    seconds: float | None = None,
    verbose: bool = False,
) -> None:
    """Download a file into a part beside the target, check it, and give it its name.

    `what` begins the messages, `if_unreachable` and `if_unwritable` end them. `check` raises
    CutOffError for half a file, or an error that is final; `wrong` is raised for a body longer
    than `size`, or `largest` where that is not known. The timeout holds for the connection and
    between two pieces, `seconds` for all together. Lost connections, timeouts and server errors
    are tried three times.
    """
    if not timeout > 0:
        raise ValueError(f"{what}: expected timeout to be above 0 s, got {timeout!r}.")
    most = size or largest
    if seconds is None:
        seconds = max(_SHORTEST_LIMIT, most / _SLOWEST)
        seconds = seconds if size else min(seconds, _UNKNOWN_LIMIT)
    ends = time.monotonic() + seconds
    timeout = min(timeout, seconds)
    address = readable_address(url)
    too_long = wrong(
        f"{what}: {address} sends more than the {most} bytes of the file. Nothing was kept."
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():  # seen before the download, not after it
            raise IsADirectoryError(errno.EISDIR, f"{target.name} is a folder there")
        with (
            whole_file(target, what="the file") as file,
            progress_bar(
                is_shown=verbose, total=size, desc=target.name, unit="B", unit_scale=True
            ) as bar,
        ):
            for pause in (*_PAUSES, None):
                failure = _receive(url, file, most, too_long, bar, timeout=timeout, ends=ends)
                failure = failure or _checked(file, check)
                if failure is None:
                    return
                left = ends - time.monotonic()
                if left < 0.01:  # a clock of another thread has cut it
                    failure = _FailedError(f"it takes longer than {seconds:.0f} s")
                if pause is None or not failure.may_pass:
                    # outside of any "except": what the libraries say has passwords in it
                    raise (NotThereError if failure.is_gone else ConnectionError)(
                        f"{what} cannot be downloaded from {address}: {failure}. {if_unreachable}"
                    )
                time.sleep(min(pause, left))
    except OSError as error:
        if error.errno is None:  # not the disk's
            raise
        raise OSError(
            error.errno,
            f"{what} cannot be stored in {target.parent}: {error.strerror}. {if_unwritable}",
        ) from error


def passes(path: Path, check: Callable[[BinaryIO], None]) -> bool:
    """Return whether a file is there that passes a check, which raises as that of `download`."""
    try:
        with path.open("rb") as file:
            check(file)
    except (OSError, CutOffError):  # DownloadError, too
        return False
    return True


def _checked(file: BinaryIO, check: Callable[[BinaryIO], None]) -> _FailedError | None:
    """Return why a file is not whole, or None."""
    file.flush()
    file.seek(0)
    try:
        check(file)
    except CutOffError as error:
        return _FailedError(str(error), may_pass=True)
    return None


def _receive(
    url: str,
    file: BinaryIO,
    most: int,
    too_long: Exception,
    bar: Any,
    *,
    timeout: float,
    ends: float,
) -> _FailedError | None:
    """Write what the server sends to the file; return why it failed, or None."""
    bar.reset()
    file.seek(0)
    file.truncate()
    received = 0
    with closing(_pieces(url, timeout=timeout, ends=ends)) as pieces:
        while True:
            try:
                piece = next(pieces, b"")
            except Exception as error:
                return _explained(error)
            if not piece:
                return None
            received += len(piece)
            if received > most:
                raise too_long
            file.write(piece)
            bar.update(len(piece))


def _pieces(url: str, *, timeout: float, ends: float) -> Generator[bytes, None, None]:
    """Yield the body as it arrives; nothing of the connection outlives the end."""
    line = _open_line()
    clock = threading.Timer(max(0.0, ends - time.monotonic()), line.hang_up)
    clock.daemon = True
    clock.start()
    try:
        with closing(_within(ends, lambda: _ask(line, url, timeout))) as response:
            # what is there, not what fills the piece: progress is seen on slow connections
            while piece := response.raw.read1(_PIECE, decode_content=False):
                yield piece
        if line.is_over:  # a body of unknown length seems to end where it is cut
            raise TimeoutError
    finally:
        clock.cancel()
        line.hang_up()
        line.close()  # what it keeps open for a next request


def _within(ends: float, call: Callable[[], Any]) -> Any:
    """Return what a call returns, or leave it to itself when the time is over.

    In a thread, as no client bounds how long it looks for an address and reads headers.
    """
    outcome: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            outcome.put((call(), None))
        except BaseException as error:  # to be raised by who waits
            outcome.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    while True:
        left = ends - time.monotonic()
        try:
            result, error = outcome.get(timeout=min(max(0.0, left), 0.5))  # Windows: for Ctrl-C
            break
        except Empty:
            if left <= 0:
                raise TimeoutError from None
    try:
        if error is not None:
            raise error
        return result
    finally:
        del error  # it knows this frame: neither would go, nor what was open where it was raised


def _ask(line: Any, url: str, timeout: float) -> Any:
    """Return the answer at the end of all redirects, its body unread."""
    try:
        parts = _split(url)
    except ValueError:
        raise _FailedError("an address like https://server/file is expected") from None
    if parts.scheme not in _SCHEMES:
        raise _FailedError(f"an address with http or https is expected, got {parts.scheme!r}")
    user = parts.username
    password = parts.password or ""
    # only this server sees them; latin-1, which requests takes for text, has too few characters
    auth = user and (unquote(user).encode(), unquote(password).encode())
    for _ in range(_N_REDIRECTS + 1):
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        response = line.get(url, auth, timeout)
        code = response.status_code
        if code not in _REDIRECTS or "Location" not in response.headers:
            break
        response.close()  # the body means nothing, and may have any length
        parts = _redirected(url, response.headers["Location"])
        auth = None
    else:
        raise _FailedError(f"it redirects more than {_N_REDIRECTS} times")
    if not 200 <= code < 300:
        response.close()
        raise _FailedError(
            _one_line(f"HTTP Error {code}: {response.reason}"),
            may_pass=code >= 500,
            is_gone=code in _NOT_FOUND,
        )
    return response


def _redirected(url: str, location: str) -> SplitResult:
    """Return where a server redirects to, if it may."""
    # the bytes as they came, what does not belong into an address escaped
    escaped = quote(location.encode("latin-1", "replace"), safe=string.punctuation)
    try:
        there = urljoin(url, escaped)
        parts = _split(there)
    except ValueError:
        raise _FailedError("a redirection to what is no address is not followed") from None
    if "@" in parts.netloc:
        raise _FailedError("a redirection to an address that names a user is not followed")
    if parts.scheme not in _SCHEMES or (urlsplit(url).scheme, parts.scheme) == ("https", "http"):
        raise _FailedError(f"a redirection to {readable_address(there)!r} is not followed")
    return parts


def _open_line() -> Any:
    """Return an adapter of requests that trusts what the system trusts and can hang up."""
    import socket
    import ssl

    import truststore
    from requests import Request, Response, Session
    from requests.adapters import HTTPAdapter

    class Line(HTTPAdapter):
        """Connections that another thread can cut, wherever they wait."""

        def __init__(self) -> None:
            self.ends: list[socket.socket] = []
            self.is_over = False
            super().__init__()

        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            super().init_poolmanager(*args, ssl_context=context, **kwargs)

        def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
            kwargs["ssl_context"] = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            if proxy.lower().startswith("https"):
                kwargs["proxy_ssl_context"] = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            return super().proxy_manager_for(proxy, **kwargs)

        def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
            pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
            line = self

            class Connection(pool.ConnectionCls):
                def _tunnel(self) -> None:
                    super()._tunnel()
                    if line.is_over:  # http.client takes a cut for the end of the headers
                        raise TimeoutError

                def _new_conn(self) -> socket.socket:
                    sock: socket.socket = super()._new_conn()
                    # a second handle: TLS and the end of the headers take the first one away
                    line.ends.append(socket.fromfd(sock.fileno(), sock.family, sock.type))
                    if line.is_over:
                        line.hang_up()
                    return sock

            pool.ConnectionCls = Connection
            return pool

        def get(self, url: str, auth: Any, timeout: float) -> Response:
            headers = {
                "User-Agent": f"emotion-estimators/{__version__}",
                "Accept-Encoding": "identity",  # a hash is that of the file
            }
            request = Request("GET", url, headers=headers, auth=auth).prepare()
            # not sent by a session: that would read ~/.netrc and the bodies of redirects
            with Session() as session:
                settings: Any = session.merge_environment_settings(
                    url, {}, True, os.environ.get("SSL_CERT_FILE") or True, None
                )
            return self.send(request, timeout=timeout, **settings)

        def hang_up(self) -> None:
            """Cut all connections; what reads from them meets the end."""
            self.is_over = True
            while self.ends:
                with suppress(IndexError, OSError), self.ends.pop() as end:
                    end.shutdown(socket.SHUT_RDWR)

    return Line()


def _explained(error: Exception) -> _FailedError:
    """Return why a request failed by what lies beneath it; raise what is no matter of requests."""
    import ssl
    from http.client import HTTPException

    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError, IncompleteRead, LocationParseError

    if isinstance(error, _FailedError):
        return error
    if not isinstance(error, RequestException | HTTPError | HTTPException | OSError | ValueError):
        raise error
    causes = list(_causes(error))
    cause = causes[-1]
    for certificate in causes:
        if isinstance(certificate, ssl.SSLCertVerificationError):
            return _FailedError(
                f"the certificate of the server is not accepted "
                f"({_one_line(certificate.verify_message)}). If you trust the server, or a proxy "
                "that stands in for it, set SSL_CERT_FILE to a file with the certificate of its "
                "authority"
            )
    if isinstance(cause, LocationParseError) or not isinstance(
        cause, RequestException | HTTPError | HTTPException | OSError
    ):  # who knows what is a password in it
        said = "its address, or that of a proxy in the environment, cannot be read"
    elif isinstance(cause, IncompleteRead) and isinstance(cause.partial, int):
        said = f"the body ended after {cause.partial} of {cause.partial + cause.expected} bytes"
    else:
        name = f"{type(cause).__name__}: " if isinstance(cause, HTTPException) else ""
        said = _one_line(f"{name}{cause}")
    refused = "Tunnel connection failed: "  # a proxy's status, which has no class of its own
    return _FailedError(
        said,
        may_pass=isinstance(error, RequestException | HTTPError)
        and not any(isinstance(cause, ValueError) for cause in causes)  # addresses, settings
        and (refused not in said or f"{refused}5" in said),
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was made of, the root last."""
    inner: BaseException | None = error
    while inner is not None:
        yield inner
        parts = (getattr(inner, "reason", None), *inner.args, inner.__cause__)
        inner = next((part for part in parts if isinstance(part, BaseException)), None)


def _split(url: str) -> SplitResult:
    """Return the parts of an address; ValueError where it cannot be read."""
    parts = urlsplit(url)
    parts.port  # noqa: B018 - looks at it
    return parts


def _one_line(text: str) -> str:
    """Return text of a server in one line, without controls, passwords and queries."""
    return re.sub(r"\?\S+", "?***", re.sub(r"//\S*@", "//***@", _printable(text)))


def _printable(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_MAX_TEXT]
