"""The lab's identities: an authority, the API server's certificate, a kubeconfig for each client, and the passwords.

`python -m churnguard_lab.pki ensure` writes what is missing, about to expire, or no longer what the lab asks
for, and prints {"changed": bool, "written": [names]}.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import datetime as dt
import ipaddress
import json
import os
import secrets
import sys
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from churnguard_lab import settings as lab_settings

LIFETIME = dt.timedelta(days=3650)
RENEW_BEFORE = dt.timedelta(days=30)
CLOCK_SKEW = dt.timedelta(minutes=5)


@dataclasses.dataclass(frozen=True)
class Identity:
    """What a certificate says: subject, names it serves under (none for a client), and its use."""

    name: str
    common_name: str
    organization: str | None = None
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    @property
    def serves(self) -> bool:
        """Whether this is a server's certificate."""
        return bool(self.dns_names or self.addresses)


SERVER = Identity(
    "kube-apiserver",
    "kube-apiserver",
    dns_names=("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"),
    addresses=("127.0.0.1",),
)
ADMIN = Identity("admin", "churnguard-lab-admin", "system:masters")
#: Clients by component; the RBAC objects of the role `lab` name these users.
COMPONENTS = (
    Identity("controller-manager", "system:kube-controller-manager"),
    Identity("scheduler", "system:kube-scheduler"),
    Identity("node", "churnguard-lab:node"),
    Identity("gateway", "churnguard-lab:gateway"),
    Identity("prometheus", "churnguard-lab:prometheus"),
    Identity("kube-state-metrics", "churnguard-lab:kube-state-metrics"),
)
#: Passwords by the file that holds each, under the state directory's secrets/.
PASSWORDS = ("supervisor", "redis", "postgresql", "database", "jwt", "pgbackrest", "exporter")


@dataclasses.dataclass(frozen=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self) -> bytes:
        """The private key as unencrypted PKCS #8 PEM."""
        return private_pem(self.key)


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as unencrypted PKCS #8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def subject_of(identity: Identity) -> x509.Name:
    """The certificate subject: Kubernetes reads the user from CN and the groups from O."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, identity.common_name)]
    if identity.organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, identity.organization))
    return x509.Name(attributes)


def alternative_names(identity: Identity) -> x509.SubjectAlternativeName:
    """The names and addresses a server is reached under."""
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in identity.dns_names]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in identity.addresses]
    return x509.SubjectAlternativeName(names)


def new_authority(now: dt.datetime) -> Pair:
    """A self-signed authority, valid from `now`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "churnguard-lab authority")])
    certificate = (
        _builder(name, name, key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def issue(authority: Pair, identity: Identity, now: dt.datetime) -> Pair:
    """A certificate for `identity`, signed by `authority`, valid from `now`."""
    key = ec.generate_private_key(ec.SECP256R1())
    use = ExtendedKeyUsageOID.SERVER_AUTH if identity.serves else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _builder(subject_of(identity), authority.certificate.subject, key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    )
    if identity.serves:
        builder = builder.add_extension(alternative_names(identity), critical=False)
    return Pair(builder.sign(authority.key, hashes.SHA256()), key)


def fault(pair: Pair, identity: Identity, authority: Pair, now: dt.datetime) -> str | None:
    """Why `pair` cannot serve as `identity` under `authority` at `now`; None when it can."""
    certificate = pair.certificate
    if certificate.not_valid_after_utc - now < RENEW_BEFORE:
        return f"it is valid until {certificate.not_valid_after_utc:%Y-%m-%d} only"
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except (InvalidSignature, ValueError, TypeError):
        return "another authority signed it"
    if certificate.public_key() != pair.key.public_key():
        return "the key is not its own"
    if certificate.subject != subject_of(identity):
        return "it names another subject"
    if identity.serves and _served_names(certificate) != set(alternative_names(identity)):
        return "it names other hosts"
    return None


def kubeconfig(server: str, authority_pem: bytes, identity: Identity, pair: Pair) -> str:
    """A self-contained kubeconfig (YAML text) for one client."""

    def encoded(data: bytes) -> str:
        return base64.b64encode(data).decode("ascii")

    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "churnguard-lab",
        "clusters": [
            {
                "name": "churnguard-lab",
                "cluster": {"server": server, "certificate-authority-data": encoded(authority_pem)},
            }
        ],
        "users": [
            {
                "name": identity.name,
                "user": {
                    "client-certificate-data": encoded(pair.certificate_pem()),
                    "client-key-data": encoded(pair.key_pem()),
                },
            }
        ],
        "contexts": [{"name": "churnguard-lab", "context": {"cluster": "churnguard-lab", "user": identity.name}}],
    }
    return yaml.safe_dump(document, sort_keys=False)


def ensure(settings: lab_settings.Settings, now: dt.datetime) -> list[str]:
    """Write what is missing or no longer right under the state directory; returns what was written."""
    folder = settings.state_dir / "pki"
    written: list[str] = []
    authority = _load(folder, "ca")
    if authority is None or authority.certificate.not_valid_after_utc - now < RENEW_BEFORE:
        authority = new_authority(now)
        _store(folder, "ca", authority, written)
    server = f"https://{lab_settings.LOOPBACK}:{settings.ports.kube_apiserver}"
    for identity in (SERVER, ADMIN, *COMPONENTS):
        pair = _load(folder, identity.name)
        if pair is None or fault(pair, identity, authority, now):
            pair = issue(authority, identity, now)
            _store(folder, identity.name, pair, written)
        if not identity.serves:
            admin = identity is ADMIN
            path = settings.kubeconfig if admin else settings.component_kubeconfig(identity.name)
            text = kubeconfig(server, authority.certificate_pem(), identity, pair)
            _write(path, text.encode("utf-8"), 0o600, written)
    _ensure_account_key(folder, written)
    for name in PASSWORDS:
        if not (settings.secrets_dir / name).exists():
            _write(settings.secrets_dir / name, secrets.token_hex(20).encode("ascii"), 0o600, written)
    return written


def _ensure_account_key(folder: Path, written: list[str]) -> None:
    """The key that signs service account tokens, and its public half."""
    path = folder / "service-account.key"
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
        _write(path, private_pem(key), 0o600, written)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    _write(folder / "service-account.pub", public, 0o644, written)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
    )


def _usage(**true: bool) -> x509.KeyUsage:
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement "
        "key_cert_sign crl_sign encipher_only decipher_only"
    )
    return x509.KeyUsage(**{name: true.get(name, False) for name in names.split()})


def _served_names(certificate: x509.Certificate) -> set[x509.GeneralName]:
    try:
        return set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return set()


def _load(folder: Path, name: str) -> Pair | None:
    """The stored pair; None when it is absent or unreadable as such (it is then issued anew)."""
    try:
        certificate = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
        key = serialization.load_pem_private_key((folder / f"{name}.key").read_bytes(), password=None)
    except (FileNotFoundError, ValueError):
        return None
    return Pair(certificate, key) if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _store(folder: Path, name: str, pair: Pair, written: list[str]) -> None:
    _write(folder / f"{name}.key", pair.key_pem(), 0o600, written)
    _write(folder / f"{name}.crt", pair.certificate_pem(), 0o644, written)


def _write(path: Path, content: bytes, mode: int, written: list[str]) -> None:
    """Put `content` in place at once, never readable by more than `mode` allows; note the name if changed."""
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    temporary.replace(path)
    written.append(path.name)


def main() -> int:
    """Command line: ensure [--config lab.json]."""
    parser = argparse.ArgumentParser(prog="python -m churnguard_lab.pki", description=__doc__)
    parser.add_argument("command", choices=["ensure"])
    parser.add_argument("--config", help="lab.json; default: $CHURNGUARD_LAB_CONFIG, else .lab/lab.json")
    arguments = parser.parse_args()
    try:
        written = ensure(lab_settings.load(arguments.config), dt.datetime.now(dt.UTC))
    except (lab_settings.SettingsError, OSError) as error:
        print(f"cannot write the lab's certificates: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"changed": bool(written), "written": written}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
