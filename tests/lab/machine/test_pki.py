"""Certificates, kubeconfigs and passwords: what is issued, when anew, and that a TLS server and client accept it."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest
import yaml
from churnguard_lab import pki, settings
from lab_document import DOCUMENT

NOW = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)


@pytest.fixture
def lab(tmp_path: Path) -> settings.Settings:
    return dataclasses.replace(settings.parse(DOCUMENT), state_dir=tmp_path, kubeconfig=tmp_path / "kubeconfig")


def test_everything_is_written_once(lab: settings.Settings) -> None:
    written = pki.ensure(lab, NOW)
    assert {"ca.crt", "kube-apiserver.key", "kubeconfig", "node.kubeconfig", "service-account.pub", "jwt"} <= set(
        written
    )
    assert pki.ensure(lab, NOW) == []


def test_only_the_owner_reads_keys_kubeconfigs_and_passwords(lab: settings.Settings) -> None:
    pki.ensure(lab, NOW)
    private = [*lab.state_dir.rglob("*.key"), *lab.state_dir.rglob("*kubeconfig"), *lab.secrets_dir.iterdir()]
    files = [path for path in private if path.is_file()]
    assert len(files) == 10 + 7 + len(pki.PASSWORDS)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    for folder in ("pki", "secrets", "kubeconfigs"):
        assert stat.S_IMODE((lab.state_dir / folder).stat().st_mode) == 0o700


def test_passwords_differ_and_are_kept(lab: settings.Settings) -> None:
    pki.ensure(lab, NOW)
    words = {name: lab.secret(name) for name in pki.PASSWORDS}
    assert len(set(words.values())) == len(words)
    assert min(map(len, words.values())) >= 32
    pki.ensure(lab, NOW + dt.timedelta(days=10000))
    assert {name: lab.secret(name) for name in pki.PASSWORDS} == words


def test_moved_port_rewrites_the_kubeconfigs_and_no_certificate(lab: settings.Settings) -> None:
    pki.ensure(lab, NOW)
    moved = dataclasses.replace(lab, ports=dataclasses.replace(lab.ports, kube_apiserver=4443))
    written = pki.ensure(moved, NOW)
    assert sorted(written) == sorted(["kubeconfig", *(f"{identity.name}.kubeconfig" for identity in pki.COMPONENTS)])
    assert yaml.safe_load(lab.kubeconfig.read_text())["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:4443"


def test_certificates_are_renewed_before_they_end(lab: settings.Settings) -> None:
    pki.ensure(lab, NOW)
    account_key = (lab.state_dir / "pki" / "service-account.key").read_bytes()
    assert pki.ensure(lab, NOW + pki.LIFETIME - pki.RENEW_BEFORE) == []
    assert "ca.crt" in pki.ensure(lab, NOW + pki.LIFETIME - pki.RENEW_BEFORE + dt.timedelta(seconds=1))
    assert (lab.state_dir / "pki" / "service-account.key").read_bytes() == account_key


@pytest.mark.parametrize("damage", ["node.crt", "node.key"])
def test_damaged_file_is_replaced(lab: settings.Settings, damage: str) -> None:
    pki.ensure(lab, NOW)
    (lab.state_dir / "pki" / damage).write_text("damaged")
    assert set(pki.ensure(lab, NOW)) == {"node.crt", "node.key", "node.kubeconfig"}


def test_kubeconfig_names_the_user_and_groups(lab: settings.Settings) -> None:
    pki.ensure(lab, NOW)
    user = yaml.safe_load(lab.kubeconfig.read_text())["users"][0]["user"]
    certificate = pki.x509.load_pem_x509_certificate(base64.b64decode(user["client-certificate-data"]))
    assert certificate.subject.rfc4514_string() == "CN=churnguard-lab-admin,O=system:masters"
    component = yaml.safe_load(lab.component_kubeconfig("gateway").read_text())["users"][0]["user"]
    certificate = pki.x509.load_pem_x509_certificate(base64.b64decode(component["client-certificate-data"]))
    assert certificate.subject.rfc4514_string() == "CN=churnguard-lab:gateway"


AUTHORITY = pki.new_authority(NOW)


def test_good_pair_has_no_fault() -> None:
    for identity in (pki.SERVER, pki.ADMIN, *pki.COMPONENTS):
        assert pki.fault(pki.issue(AUTHORITY, identity, NOW), identity, AUTHORITY, NOW) is None


def test_faults_are_found() -> None:
    pair = pki.issue(AUTHORITY, pki.SERVER, NOW)

    def fault(**changes: object) -> str | None:
        given = {"pair": pair, "identity": pki.SERVER, "authority": AUTHORITY, "now": NOW} | changes
        return pki.fault(**given)

    assert fault(now=NOW + pki.LIFETIME) == "it is valid until 2036-11-18 only"
    assert fault(authority=pki.new_authority(NOW)) == "another authority signed it"
    assert fault(pair=dataclasses.replace(pair, key=AUTHORITY.key)) == "the key is not its own"
    assert fault(identity=dataclasses.replace(pki.SERVER, common_name="other")) == "it names another subject"
    assert fault(identity=dataclasses.replace(pki.SERVER, addresses=("127.0.0.2",))) == "it names other hosts"
    assert fault(identity=dataclasses.replace(pki.SERVER, dns_names=("more", *pki.SERVER.dns_names)))


def test_tls_server_and_client_accept_each_other(lab: settings.Settings) -> None:
    pki.ensure(lab, dt.datetime.now(dt.UTC))
    folder = lab.state_dir / "pki"
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.crt")
    serving.load_cert_chain(folder / "kube-apiserver.crt", folder / "kube-apiserver.key")
    serving.verify_mode = ssl.CERT_REQUIRED
    asking = ssl.create_default_context(cafile=folder / "ca.crt")
    asking.load_cert_chain(folder / "node.crt", folder / "node.key")
    seen: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with serving.wrap_socket(connection, server_side=True) as secured:
                seen.append(dict(pair[0] for pair in secured.getpeercert()["subject"])["commonName"])
                secured.sendall(b"hello")

        thread = threading.Thread(target=serve)
        thread.start()
        with (
            socket.create_connection(listener.getsockname(), timeout=5) as plain,
            asking.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            assert secured.recv(5) == b"hello"
        thread.join(5)
    assert seen == ["churnguard-lab:node"]
