"""Samples into a Prometheus through its remote-write receiver: version 1.0 of the protocol, with nothing but this file.

The message is protobuf, whose few fields are written by hand; its compression is snappy's block format, of which only
the uncompressed kind of piece is used.
"""

from __future__ import annotations

import struct
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping

HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
#: The receiver takes 32 MiB; more than this goes into several messages.
LARGEST_BODY = 8 * 2**20
_PIECE = 65536
_TIMEOUT_S = 120.0


class WriteError(RuntimeError):
    """The receiver refuses; the message says what it answered."""


def encode_labels(labels: Mapping[str, str]) -> bytes:
    """The labels of one series, with `__name__` among them, as a message holds them: sorted."""
    return b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in sorted(labels.items())
    )


def encode_samples(times_ms: Iterable[int], first: float, growth: float) -> bytes:
    """Samples of one series: `first`, and `growth` more with each of the times."""
    made = []
    for step, moment in enumerate(times_ms):
        value = struct.pack("<d", first + growth * step)
        made.append(_field(2, b"\x09" + value + b"\x10" + _varint(moment)))
    return b"".join(made)


def series(labels: bytes, samples: bytes) -> bytes:
    """One series of a message."""
    return _field(1, labels + samples)


def write(url: str, message: Iterable[bytes], *, largest: int = LARGEST_BODY) -> None:
    """Post series to a Prometheus that was started with --web.enable-remote-write-receiver, in messages of about
    `largest` bytes. Raises WriteError."""
    body: list[bytes] = []
    size = 0
    for one in message:
        body.append(one)
        size += len(one)
        if size > largest:
            _post(url, b"".join(body))
            body, size = [], 0
    if body:
        _post(url, b"".join(body))


def _post(url: str, content: bytes) -> None:
    request = urllib.request.Request(f"{url}/api/v1/write", snappy(content), HEADERS)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S):
            return
    except urllib.error.HTTPError as error:
        said = error.read(500).decode(errors="replace").strip()
        raise WriteError(f"{url} refuses the samples: {error.code} {said}") from error
    except OSError as error:
        raise WriteError(f"{url} takes no samples: {error}") from error


def snappy(content: bytes) -> bytes:
    """In snappy's block format, without making it smaller."""
    pieces = [_varint(len(content))]
    for start in range(0, len(content), _PIECE):
        piece = content[start : start + _PIECE]
        pieces += [b"\xf4" + struct.pack("<H", len(piece) - 1), piece]
    return b"".join(pieces)


def _field(number: int, content: bytes) -> bytes:
    """A field of protobuf that holds bytes, a text or a message."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)
