"""Runs the collection's modules as processes of their own, the way Ansible does: arguments in, JSON out.

python module_driver.py SOCKET MODULE...     serves until its standard input ends

It imports the modules once and forks for each run, since the import of the Kubernetes library is most of what a short
run takes. A request is a line of JSON {"module", "arguments", "output", "errors"} (the last two are files to write);
the answers are a line with the process's id and, at its end, a line with its exit code (negative: the signal).
"""

from __future__ import annotations

import importlib
import json
import os
import selectors
import signal
import socket
import sys
from pathlib import Path
from types import ModuleType

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "collections"))

from ansible.module_utils.testing import patch_module_args  # noqa: E402


def load(title: str) -> ModuleType:
    """The module of a full name such as churnguard.ops.rollout."""
    namespace, collection, name = title.split(".")
    return importlib.import_module(f"ansible_collections.{namespace}.{collection}.plugins.modules.{name}")


def run(request: dict) -> None:
    """Be the module: this process does nothing else."""
    for path, number in ((os.devnull, 0), (request["output"], 1), (request["errors"], 2)):
        file = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
    with patch_module_args(request["arguments"]):
        load(request["module"]).main()


def attend(connection: socket.socket) -> None:
    """Start what one client asks for, and tell it the end."""
    with connection, connection.makefile("rw", encoding="utf-8") as channel:
        request = json.loads(channel.readline())
        pid = os.fork()
        if pid == 0:
            connection.close()
            _leave(run, request)
        print(pid, file=channel, flush=True)
        _pid, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), file=channel, flush=True)


def _leave(function, *arguments) -> None:
    """Do it and end the process, as the interpreter would at the end of a program."""
    code = 1
    try:
        function(*arguments)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BrokenPipeError:
        pass  # the client is gone and does not want to know
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    path, *titles = sys.argv[1:]
    for title in titles:
        load(title)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    print("ready", flush=True)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while all(key.fileobj is listener for key, _events in selector.select()):
            connection, _address = listener.accept()
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _leave(attend, connection)
            connection.close()


if __name__ == "__main__":
    # Who attends to a client is not waited for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    main()
