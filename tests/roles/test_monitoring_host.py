"""The role monitoring on a host: what it writes, and what a running Prometheus does with it."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
for folder in ("", "lab", "collections"):
    sys.path.append(str(ROOT / folder))

from tests.roles.prometheus_host import Host, get  # noqa: E402

BROKEN_RULES = {"groups": [{"name": "broken", "rules": [{"alert": "Broken", "expr": "sum by (job"}]}]}
EXTRA = {"job_name": "extra", "static_configs": [{"targets": ["127.0.0.1:1"]}]}
PROBES = [
    {"module": "http_2xx", "targets": ["http://127.0.0.1:1/health"]},
    {"module": "certificate", "targets": ["127.0.0.1:2"]},
]
MODULES = {"http_2xx": {"prober": "http"}, "certificate": {"prober": "tcp", "timeout": "3s", "tcp": {"tls": True}}}
#: What the running programs are led to: of every kind of file something differs from the defaults.
CHANGED = {
    "monitoring_extra_jobs": [EXTRA],
    "monitoring_rule_files": ["application", "meta", "redis"],
    "monitoring_thresholds": {"error_ratio": 0.0217},
    "monitoring_blackbox_modules": MODULES,
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host whose programs run with what the role wrote before they were started."""
    made = Host(tmp_path_factory.mktemp("host"))
    made.play().passed()
    made.start()
    yield made
    made.stop()


def test_programs_start_from_what_the_first_run_wrote(host: Host) -> None:
    assert {"HighErrorRate", "NodeHighCPU", "RedisDown", "Watchdog", "SloBurnFast"} <= host.loaded()["rules"]
    assert {"postgres-exporter", "redis-exporter", "node-exporter", "prometheus", "alertmanager"} <= host.loaded()[
        "jobs"
    ]


def test_changes_are_taken_without_a_restart(host: Host) -> None:
    started = json.loads(get(f"{host.url}/api/v1/status/runtimeinfo"))["data"]["startTime"]
    run = host.running("--diff", **CHANGED).passed()
    # The threshold, the sets of rules that go, the configuration with its reload, the modules with theirs.
    assert run.changed == 1 + 1 + 2 + 2, run.output
    assert "+  - job_name: extra" in run.output
    assert "extra" in host.loaded()["jobs"]
    assert {path.stem for path in host.rules.iterdir()} == {"application", "meta", "redis", "slo"}
    assert "NodeHighCPU" not in host.loaded()["rules"]
    groups = json.loads(get(f"{host.url}/api/v1/rules"))["data"]["groups"]
    (query,) = [rule["query"] for group in groups for rule in group["rules"] if rule["name"] == "HighErrorRate"]
    assert "> 0.0217" in query
    assert "timeout: 3s" in get(f"{host.blackbox_url}/config")
    assert json.loads(get(f"{host.url}/api/v1/status/runtimeinfo"))["data"]["startTime"] == started


def test_second_run_changes_nothing_and_reloads_nothing(host: Host) -> None:
    before, taken = host.files(), host.taken()
    assert host.running(**CHANGED).passed().changed == 0
    assert (host.files(), host.taken()) == (before, taken)


def refused(host: Host, **variables: Any) -> str:
    """What a run says that has to fail and leave files and programs as they were."""
    before, taken, loaded = host.files(), host.taken(), host.loaded()
    run = host.running(**{**CHANGED, **variables})
    assert run.code != 0
    assert (host.files(), host.taken(), host.loaded()) == (before, taken, loaded)
    return run.text


def test_a_broken_rule_file_changes_nothing(host: Host) -> None:
    """That of somebody else in the same folder: the running Prometheus would refuse ours along with it."""
    foreign = host.rules / "foreign.yml"
    foreign.write_text(yaml.safe_dump(BROKEN_RULES))
    try:
        words = refused(host, monitoring_thresholds={"error_ratio": 0.03})
    finally:
        foreign.unlink()
    assert "foreign.yml" in words
    assert "unclosed left parenthesis" in words
    assert "Nothing was changed" in words


def test_a_broken_configuration_changes_nothing(host: Host) -> None:
    words = refused(host, monitoring_scrape_timeout="20s", monitoring_thresholds={"error_ratio": 0.03})
    assert "scrape timeout greater than scrape interval" in words


def test_modules_that_the_exporter_does_not_know_change_nothing(host: Host) -> None:
    words = refused(host, monitoring_blackbox_modules={"it": {"probes": "smoke"}}, monitoring_extra_jobs=[])
    assert "field probes not found" in words


def test_what_only_the_running_one_refuses_is_taken_back(host: Host) -> None:
    """A file that Prometheus cannot write into; promtool does not look."""
    before, loaded = host.files(), host.loaded()
    job = {**EXTRA, "job_name": "told", "scrape_failure_log_file": str(host.folder / "nowhere" / "log")}
    run = host.running(**{**CHANGED, "monitoring_extra_jobs": [job], "monitoring_rule_files": ["meta", "node"]})
    assert run.code != 0
    assert f"did not take {host.config}" in run.text
    assert "the former files are back in their place" in run.text
    assert (host.files(), host.loaded()) == (before, loaded)
    assert "prometheus_config_last_reload_successful 1\n" in get(f"{host.url}/metrics")


def test_check_mode_checks_and_writes_nothing(host: Host) -> None:
    before, taken = host.files(), host.taken()
    run = host.running("--check", "--diff", **{**CHANGED, "monitoring_probes": PROBES}).passed()
    assert run.changed == 1
    assert "+  - job_name: blackbox" in run.output
    assert (host.files(), host.taken()) == (before, taken)


def test_nobody_answers(host: Host) -> None:
    before = host.files()
    run = host.running(monitoring_url=f"http://127.0.0.1:{host.nobody}")
    assert run.code != 0
    assert "Connection refused" in run.text
    assert "start it where it does not run" in run.text
    assert host.files() == before


def test_files_of_a_run_that_was_killed_are_taken_by_the_next(host: Host) -> None:
    changed = {**CHANGED, "monitoring_extra_jobs": [{**EXTRA, "job_name": "late"}]}
    assert host.play(**changed).passed().changed == 1
    assert "late" not in host.loaded()["jobs"]
    assert host.running(**changed).passed().changed == 1  # the reload
    assert "late" in host.loaded()["jobs"]


def test_the_prometheus_of_somebody_else_is_not_reloaded(host: Host, tmp_path: Path) -> None:
    taken = host.taken()
    run = Host(tmp_path).play(monitoring_url=host.url)
    assert run.code != 0
    assert f"It reads {host.config}" in run.text
    assert host.taken() == taken


def test_check_mode_of_a_new_host(tmp_path: Path) -> None:
    """It has neither folders nor programs yet."""
    missing = {name: str(tmp_path / name) for name in ("monitoring_promtool", "monitoring_blackbox_program")}
    run = Host(tmp_path).play("--check", **missing).passed()
    assert run.changed == 1  # the folders
    assert list(tmp_path.iterdir()) == []


def test_guide_s_jobs_find_pods_and_nodes_through_kubernetes(tmp_path: Path) -> None:
    """promtool has accepted it."""
    place = Host(tmp_path)
    place.play(
        monitoring_discovery_kubeconfig="/etc/prometheus/kubeconfig",
        monitoring_discover_nodes=True,
        monitoring_application_namespaces=["shop"],
        monitoring_application_selector="app=churnguard-api",
        monitoring_kube_state_targets=["127.0.0.1:1"],
        monitoring_probes=[*PROBES, {**PROBES[0], "service": {"namespace": "shop", "name": "churnguard-api"}}],
    ).passed()
    jobs = {job["job_name"]: job for job in yaml.safe_load(place.config.read_text())["scrape_configs"]}
    (pods,) = jobs["churnguard-api"]["kubernetes_sd_configs"]
    assert (pods["role"], pods["namespaces"]) == ("pod", {"names": ["shop"]})
    assert jobs["node-exporter"]["relabel_configs"][0]["regex"] == r"(.+):\d+"
    assert jobs["pushgateway"]["honor_labels"]
    assert jobs["kube-state-metrics"]["honor_labels"]
    assert [one["labels"]["__param_module"] for one in jobs["blackbox"]["static_configs"]] == [
        "http_2xx",
        "certificate",
    ]
    assert jobs["blackbox-shop-churnguard-api"]["params"]["target"] == PROBES[0]["targets"]


def test_passwords_are_in_files_of_their_owner_alone(tmp_path: Path) -> None:
    place, folder = Host(tmp_path), tmp_path / "default"
    folder.mkdir()
    run = place.play(
        "--diff",
        "-v",
        entry="main",
        monitoring_place="host",
        monitoring_install=False,
        monitoring_manage_services=False,
        monitoring_environment_dir=str(folder),
        monitoring_postgres_password='first "ke\\y',
        monitoring_redis_password="second$key",
    ).passed()
    assert "ke\\y" not in run.output
    assert "second$key" not in run.output
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert len(list(folder.iterdir())) == 6
    assert 'DATA_SOURCE_PASS="first \\"ke\\\\y"' in (folder / "prometheus-postgres-exporter").read_text()
    assert 'REDIS_PASSWORD="second$key"' in (folder / "prometheus-redis-exporter").read_text()
    assert "--web.enable-lifecycle" in (folder / "prometheus").read_text()
    assert place.config.is_file()
