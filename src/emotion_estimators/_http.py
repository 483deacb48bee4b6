"""One GET over http or https by the standard library: the body, or whether to try again.

Imports ssl and urllib.request at once, so it is imported inside functions.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import string
from base64 import b64encode
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.client import BadStatusLine, HTTPException, HTTPMessage, HTTPResponse, IncompleteRead
from typing import IO, cast
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from emotion_estimators import __version__

__all__ = ["LostError", "RefusedError", "receive"]

_PIECE = 1 << 15  # bytes
_SCHEMES = ("http", "https")
_LONGEST = 300  # characters of what a server said, in a message

# What may have passed at the next attempt; all else is final.
_PASSING = (
    ConnectionError,  # refused, reset, aborted; RemoteDisconnected too
    TimeoutError,
    socket.gaierror,  # a name server that does not answer looks like a name that is not there
    ssl.SSLError,  # a connection cut within TLS; certificates are told apart before
    IncompleteRead,
    BadStatusLine,
)
_UNREACHABLE = (errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH)  # have no class of their own
_FAULT_BEHIND_PROXY = "Tunnel connection failed: 5"  # a status of 500 and more, as an OSError


class LostError(Exception):
    """The connection or the server failed; worth another attempt."""


class RefusedError(Exception):
    """What no further attempt would change; `status` is that of an answer, if there was one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def receive(url: str, *, timeout: float) -> Generator[bytes, None, None]:
    """Yield the body of the file at the address as it arrives; close the iterator.

    The timeout holds for the connection and between two pieces. Proxies are those of the
    environment, certificates those of the system or of ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``.
    """
    with _sorted_out():
        response = cast("HTTPResponse", _opener().open(_request(url), timeout=timeout))
    with response:
        whole = response.length  # None where the server does not say
        received = 0
        while True:
            with _sorted_out():
                # what is there, not what fills the piece: progress is seen on slow connections
                piece = response.read1(_PIECE if whole is None else min(_PIECE, whole - received))
            if not piece:
                break
            received += len(piece)
            yield piece
    # read1 takes an early end for the end
    if whole is not None and received < whole:
        raise LostError(f"the body ended after {received} of {whole} bytes")


@contextmanager
def _sorted_out() -> Iterator[None]:
    """Raise what goes wrong as LostError or RefusedError."""
    try:
        yield
    except HTTPError as error:
        error.close()
        message = _said(error)
        raise (
            LostError(message) if error.code >= 500 else RefusedError(message, error.code)
        ) from error
    except (OSError, HTTPException, ValueError) as error:
        cause: object = error.reason if isinstance(error, URLError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            _certificates.cache_clear()  # so that what the message advises helps this process
            raise RefusedError(
                f"the certificate of the server is not accepted ({cause.verify_message}). If you "
                "trust the server, or a proxy that stands in for it, set SSL_CERT_FILE to a file "
                "with the certificate of its authority; for Python from python.org on macOS, run "
                "its Install Certificates.command"
            ) from error
        raise (LostError if _may_pass(cause) else RefusedError)(_said(cause)) from error


def _may_pass(cause: object) -> bool:
    return (
        isinstance(cause, _PASSING)
        or (isinstance(cause, OSError) and cause.errno in _UNREACHABLE)
        or str(cause).startswith(_FAULT_BEHIND_PROXY)
    )


def _said(cause: object) -> str:
    """Return a cause in one line, which servers may have written."""
    text = " ".join(str(cause).split())[:_LONGEST]
    return f"{type(cause).__name__}: {text}" if isinstance(cause, HTTPException) else text


def _request(url: str) -> Request:
    """Return the request for an address, which may name a user and hold characters as people do."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        raise RefusedError(f"an address with http or https is expected, got {parts.scheme!r}")
    safe = string.punctuation  # what is escaped stays so
    bare = parts._replace(
        netloc=parts.netloc.rpartition("@")[2],
        path=quote(parts.path, safe),
        query=quote(parts.query, safe),
    )
    request = Request(bare.geturl(), headers={"User-Agent": f"emotion-estimators/{__version__}"})  # noqa: S310 - schemes are checked
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        # "unredirected": another server never sees it
        request.add_unredirected_header(
            "Authorization", f"Basic {b64encode(pair.encode()).decode()}"
        )
    return request


def _opener() -> OpenerDirector:
    """Return an opener that knows no other schemes, as urllib's own does."""
    opener = OpenerDirector()
    places = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    for handler in (
        ProxyHandler(),
        UnknownHandler(),
        HTTPHandler(),
        HTTPSHandler(context=_certificates(*places)),
        HTTPDefaultErrorHandler(),
        _Redirects(),
        HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


@lru_cache(maxsize=8)
def _certificates(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """Return the context for certificates; kept, since to read them all takes 20 ms."""
    return ssl.create_default_context()


class _Redirects(HTTPRedirectHandler):
    """Follows redirects to http and https, but never from https to http.

    Of other schemes, urllib itself refuses all but ftp before it comes here.
    """

    inf_msg = "Redirected again and again: "

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Return the next request."""
        fp.close()  # the body means nothing, may have any length, and would be read
        scheme, netloc, *_ = urlsplit(newurl)
        if "@" in netloc:
            raise RefusedError("Redirection to an address that names a user is not followed", code)
        if scheme not in _SCHEMES or (scheme, urlsplit(req.full_url).scheme) == ("http", "https"):
            raise RefusedError(f"Redirection to url {newurl[:_LONGEST]!r} is not allowed", code)
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None:
            # set for the proxy of the first address; the next one may be reached without any
            following.remove_header("Proxy-authorization")
        return following
