"""Asking a container something: probe checks and preStop actions. Each call is bounded by its timeout."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from churnguard_lab.node.probes import Check, ExecCheck, HttpCheck, TcpCheck

_OUTPUT_BYTES = 512
_KILL_S = 1.0


def perform(check: Check, timeout: float, environment: Mapping[str, str], folder: Path) -> tuple[bool, str]:
    """Do one check; whether it succeeded, and if not what was answered, in the kubelet's words."""
    if isinstance(check, HttpCheck):
        return _http(check, timeout)
    if isinstance(check, TcpCheck):
        return _tcp(check, timeout)
    return _exec(check, timeout, environment, folder)


def _http(check: HttpCheck, timeout: float) -> tuple[bool, str]:
    url = f"http://{check.host}:{check.port}{check.path}"
    connection = http.client.HTTPConnection(check.host, check.port, timeout=timeout)
    headers = {"User-Agent": "churnguard-lab-probe", "Connection": "close"} | dict(check.headers)
    try:
        connection.request("GET", check.path, headers=headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return False, f'Get "{url}": {_reason(error)}'
    finally:
        connection.close()
    if 200 <= status < 400:
        return True, ""
    return False, f"HTTP probe failed with statuscode: {status}"


def _tcp(check: TcpCheck, timeout: float) -> tuple[bool, str]:
    try:
        socket.create_connection((check.host, check.port), timeout=timeout).close()
    except OSError as error:
        return False, f"dial tcp {check.host}:{check.port}: {_reason(error)}"
    return True, ""


def _exec(check: ExecCheck, timeout: float, environment: Mapping[str, str], folder: Path) -> tuple[bool, str]:
    try:
        child = subprocess.Popen(
            list(check.command),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return False, f"cannot run {check.command[:1]}: {_reason(error)}"
    try:
        output, _errors = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        # Something that left the process group may hold the pipe open: it is not waited for.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.communicate(timeout=_KILL_S)
        return False, f"command {list(check.command)} timed out after {timeout:g}s"
    if child.returncode == 0:
        return True, ""
    return False, f"exit code {child.returncode}: {output[-_OUTPUT_BYTES:].decode(errors='replace').strip()}"


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
