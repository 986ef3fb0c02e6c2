"""Stand-ins: for the servers that publish releases, with what they publish, and for Go."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Answer = Callable[["Handler"], None]


def program(text: str) -> bytes:
    """An executable that prints `text`, whatever it is asked."""
    return f"#!/bin/sh\necho '{text}'\n".encode()


def archive(files: dict[str, bytes]) -> bytes:
    """A .tar.gz of these files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as content:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            content.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def sha256(data: bytes) -> str:
    """The checksum that is published for `data`."""
    return hashlib.sha256(data).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Answers as the test has laid down for each path; 404 for any other."""

    files: dict[str, bytes | Answer]

    def do_GET(self) -> None:
        content = self.files.get(self.path)
        if content is None:
            self.send_error(404)
        elif callable(content):
            content(self)
        else:
            self.reply(content)

    def reply(self, content: bytes, length: int | None = None) -> None:
        """200 with this body; `length` is what the header claims."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        """Nothing is logged."""


def hang(released: threading.Event) -> Answer:
    """Begins an answer and then falls silent."""

    def answer(handler: Handler) -> None:
        handler.reply(b"x", length=1000)
        handler.wfile.flush()
        released.wait(30)

    return answer


def cut(content: bytes) -> Answer:
    """Ends in the middle of the body."""
    return lambda handler: handler.reply(content[: len(content) // 2], length=len(content))


@contextmanager
def serving(files: dict[str, bytes | Answer]) -> Iterator[str]:
    """Serves on a free loopback port; the base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"files": files}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


#: Tells what it was called with, and makes what a build of these arguments would make.
GO = """#!/bin/sh
case "$1" in
version) echo "go version go1.VERSION.0 linux/amd64" ;;
list) echo "go: downloading example.com/one v1.0.0" >&2; printf 'one\\ntwo\\nthree\\n' ;;
build)
    printf '%s\\n' "$CGO_ENABLED $GOTOOLCHAIN $PWD" "$@" >"$GO_CALLS"
    while [ "$1" != -o ]; do shift; done
    target=$2
    shift 2
    printf 'two\\nthree\\n' >&2
    FAIL
    case "$target" in
    */) for package; do name=${package%/v2}; files="$files $target${name##*/}"; done ;;
    *) files=$target ;;
    esac
    for file in $files; do
        printf '#!/bin/sh\\necho 1.36.3 3.13.5 2.20.0\\n' >"$file"
        chmod +x "$file"
    done
    ;;
esac
"""


def go_script(folder: Path, minor: int = 26, fail: str = "") -> Path:
    """Writes that Go, of version 1.`minor`, into a folder; `fail` is what it does instead of a build."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "go"
    path.write_text(GO.replace("VERSION", str(minor)).replace("FAIL", fail))
    path.chmod(0o755)
    return path
