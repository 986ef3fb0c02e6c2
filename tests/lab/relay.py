"""A TCP relay that tests can cut: "the server is away", for one client alone."""

from __future__ import annotations

import contextlib
import socket
import threading


class Relay:
    """Passes TCP connections on to a server, until it is cut."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._up = True
        # A connection that is taken while the relay is being cut must not survive it.
        self._guard = threading.Lock()
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections and take no new ones."""
        with self._guard:
            self._up = False
            ended, self._open = self._open, set()
        for end in ended:
            _hang_up(end)

    def mend(self) -> None:
        """Take connections again."""
        with self._guard:
            self._up = True

    def _accept(self) -> None:
        while True:
            near, _address = self._listener.accept()
            try:
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            with self._guard:
                taken = self._up
                if taken:
                    self._open |= {near, far}
            if not taken:
                near.close()
                far.close()
                continue
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # cut: the other direction ends too
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            _hang_up(end)
        with self._guard:
            self._open -= {source, sink}


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):  # hung up already
        end.shutdown(socket.SHUT_RDWR)
