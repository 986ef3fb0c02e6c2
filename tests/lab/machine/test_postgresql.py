"""Where the database cluster may live, and its creation with the real initdb."""

from __future__ import annotations

import dataclasses
import os
import pwd
import stat
from pathlib import Path

import pytest
from churnguard_lab import postgresql, settings
from lab_document import DOCUMENT

PROGRAMS = Path("/usr/lib/postgresql/15/bin")


def status(mode: int, uid: int = 0, gid: int = 0) -> os.stat_result:
    return os.stat_result((stat.S_IFDIR | mode, 0, 0, 1, uid, gid, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "expected"),
    [
        (0o755, 0, 0, True),
        (0o700, 0, 0, False),
        (0o701, 0, 0, True),
        (0o700, 101, 0, True),
        (0o077, 101, 0, False),  # the owner's bits count, even when others may
        (0o710, 0, 104, True),
        (0o701, 0, 104, False),  # so do the group's
        (0o744, 0, 0, False),  # to list a folder is not to pass through it
    ],
)
def test_may_enter(mode: int, uid: int, gid: int, expected: bool) -> None:
    assert postgresql.may_enter(status(mode, uid, gid), uid=101, gids=frozenset({104})) is expected


@pytest.mark.parametrize(
    ("private", "expected"),
    [(None, True), ("/srv/checkout/.lab", False), ("/srv/checkout", False), ("/srv", False), ("/", False)],
)
def test_every_folder_on_the_way_counts(private: str | None, expected: bool) -> None:
    def look(path: Path) -> os.stat_result:
        return status(0o700 if str(path) == private else 0o755)

    assert postgresql.reachable(Path("/srv/checkout/.lab"), 101, frozenset(), look) is expected


@pytest.fixture
def account() -> pwd.struct_passwd:
    """The tests' own user plays PostgreSQL's: its permission bits are read like those of any other."""
    return pwd.getpwuid(os.getuid())


@pytest.fixture
def public(tmp_path: Path, account: pwd.struct_passwd) -> Path:
    """A state directory that the user may reach."""
    (tmp_path / "lab").mkdir()
    return tmp_path / "lab"


@pytest.fixture
def private(public: Path) -> Path:
    """A state directory whose own bits keep its user out."""
    public.chmod(0o677)
    return public


def test_cluster_lives_in_the_state_directory_when_its_user_gets_there(
    public: Path, account: pwd.struct_passwd
) -> None:
    home = postgresql.prepare_home(public, account, root=public.parent)
    assert home == public / "postgresql"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert postgresql.prepare_home(public, account, root=public.parent) == home


needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root's lab runs PostgreSQL as another user, and only root passes a closed folder"
)


@needs_root
def test_cluster_lives_elsewhere_when_its_user_does_not_get_there(
    private: Path, account: pwd.struct_passwd, tmp_path: Path
) -> None:
    root = tmp_path / "var"
    root.mkdir()
    home = postgresql.prepare_home(private, account, root)
    assert home == postgresql.fallback_home(private, root)
    assert (private / "postgresql").readlink() == home
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert postgresql.prepare_home(private, account, root) == home
    private.chmod(0o755)  # a cluster that is there is not left behind
    assert postgresql.prepare_home(private, account, root) == home
    assert postgresql.purge(private, root) is True
    assert postgresql.purge(private, root) is False
    assert postgresql.prepare_home(private, account, root) == home  # the link that is left leads nowhere


@needs_root
def test_cluster_that_its_user_no_longer_reaches_is_named(
    public: Path, account: pwd.struct_passwd, tmp_path: Path
) -> None:
    postgresql.prepare_home(public, account, tmp_path)
    public.chmod(0o677)
    with pytest.raises(postgresql.ClusterError, match=f"user {account.pw_name} cannot reach the cluster in {public}"):
        postgresql.prepare_home(public, account, tmp_path)


@pytest.mark.parametrize("kind", ["link", "file", "foreign"])
def test_what_somebody_else_put_there_is_refused(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
        target.symlink_to(tmp_path / "elsewhere")
    elif kind == "file":
        target.touch()
    else:
        target.mkdir()
    owner = os.getuid() + 1 if kind == "foreign" else os.getuid()
    with pytest.raises(postgresql.ClusterError, match="exists and is not a folder of user"):
        postgresql.claim(target, owner, os.getgid())


def test_each_state_directory_has_its_own_place() -> None:
    one, two = (postgresql.fallback_home(Path(path)) for path in ("/a/.lab", "/b/.lab"))
    assert one != two
    assert one.parent == Path("/var/tmp")


@pytest.fixture
def lab(tmp_path: Path) -> settings.Settings:
    """Below a folder that only the tests' user may enter."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "postgresql").write_text("word")
    return dataclasses.replace(settings.parse(DOCUMENT), state_dir=tmp_path)


def test_cluster_is_created_once(lab: settings.Settings) -> None:
    lab.state_dir.parent.chmod(0o700)
    try:
        first = postgresql.init(lab, PROGRAMS)
        home = Path(str(first["home"]))
        assert first["changed"] is True
        assert (lab.state_dir / "postgresql" / "data" / "PG_VERSION").read_text() == "15\n"
        assert sorted(path.name for path in home.iterdir()) == ["data"]
        if os.geteuid() == 0:
            assert first["user"] == "postgres"
            assert home.parent == Path("/var/tmp")
            assert (home / "data").owner() == "postgres"
        rules = [line for line in (home / "data" / "pg_hba.conf").read_text().splitlines() if line[:1] not in ("#", "")]
        assert rules
        assert all(line.split()[-1] == "scram-sha-256" for line in rules)
        assert postgresql.init(lab, PROGRAMS) == first | {"changed": False}
    finally:
        postgresql.purge(lab.state_dir)


def test_interrupted_creation_is_cleared_away(lab: settings.Settings) -> None:
    try:
        with pytest.raises(postgresql.ClusterError, match=r"there is no /nowhere/initdb: run lab/install_packages"):
            postgresql.init(lab, Path("/nowhere"))
        home = (lab.state_dir / "postgresql").resolve()
        assert not (home / "data").exists()
        postgresql.init(lab, PROGRAMS)
        assert sorted(path.name for path in home.iterdir()) == ["data"]
    finally:
        postgresql.purge(lab.state_dir)


def test_missing_account_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgresql, "SYSTEM_USER", "nobody-of-this-name")
    with pytest.raises(postgresql.ClusterError, match=r"no user nobody-of-this-name: run lab/install_packages"):
        postgresql.system_account()
