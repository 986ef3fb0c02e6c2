"""A TCP relay that tests can cut: "the server is away", for one client alone."""

from __future__ import annotations

import socket
import threading


class Relay:
    """Passes TCP connections on to the API server, until it is cut."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._up = True
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections and take no new ones."""
        self._up = False
        for end in self._open:
            _hang_up(end)
        self._open.clear()

    def mend(self) -> None:
        """Take connections again."""
        self._up = True

    def _accept(self) -> None:
        while True:
            near, _address = self._listener.accept()
            if not self._up:
                near.close()
                continue
            far = socket.create_connection(self._target)
            self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass  # cut: the other direction ends too
        _hang_up(source)
        _hang_up(sink)


def _hang_up(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # hung up already
