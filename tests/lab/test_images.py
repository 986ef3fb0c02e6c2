"""Lab images: names, files, command line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from churnguard_api.faults import FaultError, Faults, parse
from churnguard_lab import images, settings

SETTINGS = {
    "python": "/python",
    "repository": "/checkout",
    "kubeconfig": "/k",
    "ports": {
        name: 20000 + number for number, name in enumerate(field.name for field in dataclasses.fields(settings.Ports))
    },
    "node": {"name": "n", "pod_network": "127.0.16.0/20"},
    "gateway": {"class": "c", "sync_delay_s": 1.0},
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A lab.json whose state is in a folder of the test."""
    path = tmp_path / "lab.json"
    path.write_text(json.dumps({**SETTINGS, "state_dir": str(tmp_path)}))
    return path


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("churnguard/api:v2", ("churnguard/api", "v2")),
        ("api", ("api", "latest")),
        ("registry.example:5000/a/b", ("registry.example:5000/a/b", "latest")),
        ("registry.example:5000/a/b:V_1.2-3", ("registry.example:5000/a/b", "V_1.2-3")),
    ],
)
def test_references(reference: str, expected: tuple[str, str]) -> None:
    assert images.parse_reference(reference) == expected


@pytest.mark.parametrize(
    "reference", ["", "a:", "a:b/c:", "../x:v1", "/x:v1", "a//b", "A:v1", "a:-x", "a@sha256:00", "a b"]
)
def test_bad_references(reference: str) -> None:
    with pytest.raises(images.ImageError, match="image"):
        images.parse_reference(reference)


def test_build_load_remove(tmp_path: Path) -> None:
    assert images.build(tmp_path, "churnguard/api:v2")
    assert not images.build(tmp_path, "churnguard/api:v2")
    image = images.load(tmp_path, "churnguard/api:v2")
    assert image.command[:3] == ("{python}", "-m", "gunicorn")
    assert image.env["APP_VERSION"] == "v2"
    assert "CHURNGUARD_FAULTS" not in image.env
    assert images.build(tmp_path, "churnguard/api:v2", wrong=Faults(latency_s=1))
    assert images.load(tmp_path, "churnguard/api:v2").digest != image.digest
    assert images.references(tmp_path) == ["churnguard/api:v2"]
    assert images.remove(tmp_path, "churnguard/api:v2")
    assert not images.remove(tmp_path, "churnguard/api:v2")
    with pytest.raises(images.ImageMissing, match="images build churnguard/api:v2"):
        images.load(tmp_path, "churnguard/api:v2")


def test_faults_travel_with_the_image(tmp_path: Path) -> None:
    wrong = Faults(0.2, 0.25, True, 3, 20)
    images.build(tmp_path, "a:v3", "testserver", wrong)
    assert parse(images.load(tmp_path, "a:v3").env["CHURNGUARD_FAULTS"]) == wrong


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"command": []}', '{"command": [1]}', '{"command": ["a"], "env": {"A": 1}}']
)
def test_a_broken_image_is_named(content: str) -> None:
    with pytest.raises(images.ImageError, match='"a:v1"'):
        images.parse("a:v1", content.encode())


def test_tokens() -> None:
    values = {"python": "/p", "mount:config": "/v"}.get
    assert images.expand('{python} {mount:config}/x {"json": 1} {other}', values) == '/p /v/x {"json": 1} {other}'
    with pytest.raises(images.TokenError, match="pod_ip"):
        images.expand("{pod_ip}", values)


@pytest.mark.parametrize(
    ("kind", "wrong", "command", "message"),
    [
        ("command", Faults(), (), "needs its --command"),
        ("command", Faults(never_ready=True), ("a",), "no built-in faults"),
        ("api", Faults(), ("a",), "--kind command"),
    ],
)
def test_what_does_not_go_together(kind: str, wrong: Faults, command: tuple[str, ...], message: str) -> None:
    with pytest.raises(images.ImageError, match=message):
        images.document("a:v1", kind, wrong, command)


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        '{"unknown": 1}',
        '{"error_ratio": 2}',
        '{"error_ratio": "1"}',
        '{"latency_s": -1}',
        '{"never_ready": 1}',
    ],
)
def test_bad_faults(text: str) -> None:
    with pytest.raises(FaultError):
        parse(text)


def test_no_faults() -> None:
    assert parse(None) == parse("") == parse("{}") == Faults()
    assert Faults().settings() == {}


def test_the_error_ratio_is_kept() -> None:
    draws = [number / 100 for number in range(100)]
    assert sum(Faults(error_ratio=0.2).injects_error(lambda value=value: value) for value in draws) == 20
    assert not Faults().injects_error(lambda: 0.0)
    assert Faults(error_ratio=1).injects_error(lambda: 0.999)


def test_command_line(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["--config", str(config)]
    assert images.main([*run, "build", "churnguard/api:v2", "--error-ratio", "0.2"]) == 0
    assert images.main([*run, "build", "churnguard/api:v2", "--error-ratio", "0.2"]) == 0
    assert images.main([*run, "build", "lab/true:1", "--kind", "command", "--command", "sh", "-c", "true"]) == 0
    assert images.main([*run, "list"]) == 0
    assert images.main([*run, "remove", "lab/true:1"]) == 0
    assert images.main([*run, "remove", "lab/true:1"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "built churnguard/api:v2",
        "unchanged churnguard/api:v2",
        "built lab/true:1",
        'churnguard/api:v2\t{"error_ratio": 0.2}',
        "lab/true:1\t",
        "removed lab/true:1",
        "absent lab/true:1",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "../x:v1"], "'../x:v1'"),
        (["build", "a:v1", "--error-ratio", "7"], "error_ratio is 7"),
        (["build", "a:v1", "--kind", "command"], "needs its --command"),
    ],
)
def test_command_line_errors(
    config: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert images.main(["--config", str(config), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_no_lab(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert images.main(["--config", str(tmp_path / "none.json"), "list"]) == 1
    assert "make lab-up" in capsys.readouterr().err
