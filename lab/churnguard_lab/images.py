"""Lab images: a JSON file says which command a container image stands for, and in which environment it runs.

    python -m churnguard_lab.images build churnguard/api:v2 --error-ratio 0.2
    python -m churnguard_lab.images list
    python -m churnguard_lab.images remove churnguard/api:v2

The file of `<repository>:<tag>` is `.lab/images/<repository>/<tag>.json`. An image without a file cannot be
"pulled": its pod shows ErrImagePull, as with a real registry.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from churnguard_api import faults

from churnguard_lab import settings

_REPOSITORY = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?::[0-9]+)?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_TOKEN = re.compile(r"\{(python|repository|log_dir|pod_ip|mount:[a-z0-9]([-a-z0-9]*[a-z0-9])?)\}")
_PYTHONPATH = "{repository}/lab:{repository}/lab/app"
KINDS = ("api", "testserver", "command")


class ImageError(Exception):
    """An image cannot be named, built or read; the message says why and what to do."""


class ImageMissing(ImageError):
    """There is no lab image of that name."""


class TokenError(ImageError):
    """A token of an image's command has no value in this pod."""


@dataclasses.dataclass(frozen=True)
class Image:
    """One lab image. `digest` is the SHA-256 of its file, in hexadecimal."""

    reference: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    digest: str


def parse_reference(reference: str) -> tuple[str, str]:
    """Repository and tag of an image reference; the tag defaults to `latest`. Raises ImageError."""
    if "@" in reference:
        raise ImageError(f"image {reference!r} is named by digest: lab images are named by tag")
    head, colon, tail = reference.rpartition(":")
    repository, tag = (head, tail) if colon and "/" not in tail else (reference, "latest")
    if not _REPOSITORY.fullmatch(repository) or not _TAG.fullmatch(tag):
        raise ImageError(f"image {reference!r} is not <repository>:<tag>")
    return repository, tag


def image_path(state_dir: Path, reference: str) -> Path:
    """The file of an image. Raises ImageError."""
    repository, tag = parse_reference(reference)
    return state_dir / "images" / repository / f"{tag}.json"


def load(state_dir: Path, reference: str) -> Image:
    """Read an image. Raises ImageMissing or ImageError."""
    path = image_path(state_dir, reference)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ImageMissing(
            f'lab image "{reference}" does not exist: no file {path}; '
            f"build it with python -m churnguard_lab.images build {reference}"
        ) from error
    except OSError as error:
        raise ImageError(f"cannot read lab image {path}: {error.strerror}") from error
    return parse(reference, content)


def parse(reference: str, content: bytes) -> Image:
    """An image from the content of its file. Raises ImageError."""
    try:
        document = json.loads(content)
    except ValueError as error:
        raise ImageError(f'lab image "{reference}" is not JSON: {error}') from error
    command = document.get("command") if isinstance(document, dict) else None
    env = document.get("env", {}) if isinstance(document, dict) else None
    if not isinstance(command, list) or not command or not all(isinstance(part, str) for part in command):
        raise ImageError(f'lab image "{reference}" has no "command", a list of texts')
    if not isinstance(env, dict) or not all(isinstance(value, str) for value in env.values()):
        raise ImageError(f'lab image "{reference}" has an "env" that is not an object of texts')
    return Image(reference, tuple(command), env, hashlib.sha256(content).hexdigest())


def expand(text: str, values: Callable[[str], str | None]) -> str:
    """Replace the tokens in `text`; `values` gives a token's value. Raises TokenError when it has none."""

    def replace(match: re.Match[str]) -> str:
        value = values(match.group(1))
        if value is None:
            raise TokenError(f"token {match.group(0)} has no value in this pod")
        return value

    return _TOKEN.sub(replace, text)


def document(reference: str, kind: str, wrong: faults.Faults, command: tuple[str, ...] = ()) -> dict[str, Any]:
    """The content of an image's file. Raises ImageError when kind, faults and command do not go together."""
    _repository, tag = parse_reference(reference)
    if kind not in KINDS:
        raise ImageError(f"unknown kind of image {kind!r}; known are {', '.join(KINDS)}")
    if kind == "command":
        if not command:
            raise ImageError("an image of kind command needs its --command")
        if wrong.settings():
            raise ImageError("an image of kind command has no built-in faults: its command is its own")
        return {"command": list(command), "env": {}}
    if command:
        raise ImageError(f"an image of kind {kind} has its own command; use --kind command")
    commands = {
        "api": [
            "{python}",
            "-m",
            "gunicorn",
            "--config",
            "python:churnguard_api.server",
            "churnguard_api.wsgi:app",
        ],
        "testserver": ["{python}", "-m", "churnguard_lab.testserver"],
    }
    env = {
        "PYTHONPATH": _PYTHONPATH,
        "APP_VERSION": tag,
        "CHURNGUARD_CONFIG_DIR": "{mount:config}",
        "CHURNGUARD_FLAGS_FILE": "{mount:flags}/flags.json",
        "TMPDIR": "{mount:tmp}",
    }
    if kind == "api":
        env["CHURNGUARD_TRACES_DIR"] = "{log_dir}/traces"
    if wrong.settings():
        env[faults.ENVIRONMENT] = wrong.to_json()
    return {"command": commands[kind], "env": env}


def build(
    state_dir: Path,
    reference: str,
    kind: str = "api",
    wrong: faults.Faults | None = None,
    command: tuple[str, ...] = (),
) -> bool:
    """Write an image's file and tell whether it changed. Raises ImageError."""
    path = image_path(state_dir, reference)
    content = document(reference, kind, wrong or faults.Faults(), command)
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    try:
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise ImageError(f"cannot write lab image {path}: {error.strerror}") from error
    return True


def remove(state_dir: Path, reference: str) -> bool:
    """Delete an image's file and tell whether there was one. Running containers go on. Raises ImageError."""
    path = image_path(state_dir, reference)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ImageError(f"cannot remove lab image {path}: {error.strerror}") from error
    return True


def references(state_dir: Path) -> list[str]:
    """The names of all images."""
    root = state_dir / "images"
    return [f"{path.parent.relative_to(root)}:{path.stem}" for path in sorted(root.glob("**/*.json"))]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m churnguard_lab.images", description="Build and list lab images.")
    parser.add_argument(
        "--config", type=Path, help="the lab's lab.json (default: $CHURNGUARD_LAB_CONFIG, .lab/lab.json)"
    )
    actions = parser.add_subparsers(dest="action", required=True)
    builder = actions.add_parser("build", help="write an image")
    builder.add_argument("reference", help="<repository>:<tag>, such as churnguard/api:v2")
    builder.add_argument("--kind", choices=KINDS, default="api", help="what the image runs (default: api)")
    builder.add_argument("--error-ratio", type=float, default=0.0, help="share of API requests that fail, 0 to 1")
    builder.add_argument("--latency", type=float, default=0.0, help="seconds added to every API request")
    builder.add_argument("--never-ready", action="store_true", help="/ready always answers 503")
    builder.add_argument("--crash-after", type=float, help="seconds from start to a crash")
    builder.add_argument("--slow-shutdown", type=float, default=0.0, help="seconds it lingers after SIGTERM")
    builder.add_argument("--command", nargs=argparse.REMAINDER, default=[], help="last: what kind command runs")
    actions.add_parser("list", help="list the images")
    remover = actions.add_parser("remove", help="delete an image")
    remover.add_argument("reference")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Command line; the exit code is 0, or 1 when it could not be done."""
    options = _parser().parse_args(arguments)
    try:
        state_dir = settings.load(options.config).state_dir
        if options.action == "list":
            for reference in references(state_dir):
                print(f"{reference}\t{load(state_dir, reference).env.get(faults.ENVIRONMENT, '')}")
        elif options.action == "remove":
            removed = remove(state_dir, options.reference)
            print(f"{'removed' if removed else 'absent'} {options.reference}")
        else:
            wrong = faults.Faults(
                error_ratio=options.error_ratio,
                latency_s=options.latency,
                never_ready=options.never_ready,
                crash_after_s=options.crash_after,
                slow_shutdown_s=options.slow_shutdown,
            )
            changed = build(state_dir, options.reference, options.kind, wrong, tuple(options.command))
            print(f"{'built' if changed else 'unchanged'} {options.reference}")
    except (ImageError, faults.FaultError, settings.SettingsError) as error:
        print(f"churnguard_lab.images: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
