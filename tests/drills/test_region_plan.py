"""The way home after a region's loss, in a model of two databases: cut short anywhere, it goes on and loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._drill import front_door
from ansible_collections.churnguard.ops.plugins.module_utils._drill import region_plan as plans
from ansible_collections.churnguard.ops.plugins.module_utils._drill.ledger import Ack
from ansible_collections.churnguard.ops.plugins.module_utils._drill.region_plan import State, next_step


@dataclass
class Server:
    """A database in the model: C(wal) is what it has, C(signal) the file that makes it a standby when it starts."""

    running: bool = True
    follows: bool = False
    signal: bool = False
    timeline: int = 1
    clean: bool = False
    broken: bool = False
    wal: list[str] = field(default_factory=lambda: ["old"])

    def state(self) -> State:
        standby = self.follows if self.running else self.signal
        return State(self.running, standby, self.timeline, len(self.wal), self.clean and not self.running, self.broken)


class World:
    """Both databases, and what was acknowledged by the one that users wrote to."""

    def __init__(self, home: Server, away: Server) -> None:
        self.home, self.away = home, away
        self.acknowledged: list[str] = []

    def write(self) -> None:
        """Users write to whichever takes it; never may both."""
        takers = [server for server in (self.home, self.away) if server.running and not server.follows]
        assert len(takers) < 2
        for server in takers:
            word = f"write {len(self.acknowledged)} on timeline {server.timeline}"
            server.wal.append(word)
            self.acknowledged.append(word)

    def act(self, step: str) -> Iterator[None]:
        """What a step does, one thing after the other: between any two the drill may die."""
        home, away = self.home, self.away
        if step == plans.START_HOME:
            self.start(home, away)
        elif step == plans.START_AWAY:
            self.start(away, home)
        elif step == plans.REBUILD_HOME:
            assert away.running and not away.follows and not home.running
            home.broken = True
            yield
            home.wal, home.timeline, home.signal = list(away.wal), away.timeline, True
            yield
            home.broken = False
        elif step == plans.SWITCH:
            away.signal = True
            yield
            away.wal.append(f"shutdown on timeline {away.timeline}")
            away.running, away.clean = False, True
            yield
            home.wal = list(away.wal)
            # Of a stopped one the start of its last record is known, of a running one the end.
            away.wal.pop()
            yield
            self.promote(home)
            yield
            self.start(away, home)
        elif step == plans.PROMOTE_HOME:
            self.promote(home)
        elif step == plans.PROMOTE_AWAY:
            self.promote(away)
        yield

    def start(self, server: Server, other: Server) -> None:
        server.running, server.follows, server.clean = True, server.signal, False
        if server.follows and other.running and not other.follows:
            server.wal, server.timeline = list(other.wal), other.timeline

    def promote(self, server: Server) -> None:
        server.follows = server.signal = False
        server.timeline += 1
        server.wal.append(f"timeline {server.timeline}")


def healthy() -> World:
    return World(Server(), Server(follows=True, signal=True))


def lost() -> World:
    return World(Server(running=False), Server(follows=True, signal=True))


def moved() -> World:
    """The second region serves, and the first one has something that never left it."""
    world = lost()
    world.home.wal.append("acknowledged by the first region, and lost")
    world.promote(world.away)
    world.write()
    return world


def go_home(world: World, dies_after: int = 10**6) -> list[str]:
    """The steps, as Homecoming makes them, until the first region is back or so many things were done."""
    steps, done = [], 0
    for _ in range(20):
        step = next_step(world.home.state(), world.away.state())
        if step in (plans.HOME, plans.STUCK):
            return [*steps, step]
        steps.append(step)
        for _ in world.act(step):
            world.write()
            done += 1
            if done == dies_after:
                return steps
    raise AssertionError(f"no end: {steps}")


@pytest.mark.parametrize("begin", [healthy, lost, moved])
@pytest.mark.parametrize("dies_after", range(1, 12))
@pytest.mark.parametrize("again", [1, 2, 3])
def test_the_way_home_may_be_cut_short_anywhere_and_loses_nothing(begin, dies_after, again):
    world = begin()
    go_home(world, dies_after)
    go_home(world, again)
    assert go_home(world)[-1] == plans.HOME
    assert world.home.running and not world.home.follows and not world.home.broken
    assert [word for word in world.acknowledged if word not in world.home.wal] == []


@pytest.mark.parametrize(
    ("begin", "steps"),
    [
        (healthy, [plans.HOME]),
        (lost, [plans.START_HOME, plans.HOME]),
        (moved, [plans.REBUILD_HOME, plans.START_HOME, plans.SWITCH, plans.HOME]),
    ],
)
def test_the_steps_of_an_undisturbed_way(begin, steps):
    assert go_home(begin()) == steps


PRIMARY, STANDBY = State(True, False, 2, 10), State(True, True, 2, 10)


@pytest.mark.parametrize(
    ("home", "away", "step"),
    [
        # Two that take writes: whichever gave way, acknowledged writes would be gone.
        (PRIMARY, PRIMARY, plans.STUCK),
        # The only one that has what was acknowledged is not there.
        (STANDBY, None, plans.STUCK),
        (State(False, True, broken=True), None, plans.STUCK),
        (State(False, True, broken=True), STANDBY, plans.STUCK),
        (State(False, False, 1), State(False, False, 2), plans.START_AWAY),
        # A switch that was cut short: the one that has more goes on, whatever was planned.
        (State(True, True, 2, 10), State(True, True, 2, 11), plans.PROMOTE_AWAY),
        (State(True, True, 2, 11), State(True, True, 2, 11), plans.PROMOTE_HOME),
        (State(True, True, 2, 11), State(False, True, 2, 10, clean=True), plans.PROMOTE_HOME),
        (State(True, True, 2, 10), State(False, True, 2, 10, clean=True), plans.START_AWAY),
        (State(True, True, 2, 11), State(False, True, 2, 10, clean=False), plans.START_AWAY),
    ],
)
def test_what_is_decided(home, away, step):
    assert next_step(home, away) == step


def test_the_state_of_a_stopped_database_is_read_from_its_control_file():
    text = (
        "Database cluster state:               shut down\n"
        "Latest checkpoint location:           1/28000028\n"
        "Latest checkpoint's TimeLineID:       2\n"
        "Min recovery ending loc's timeline:   3\n"
    )
    state = plans.control_state(text, standby=True, broken=False)
    assert state == State(False, True, 3, (1 << 32) + 0x28000028, clean=True)
    assert not plans.control_state(text.replace("shut down", "in production"), False, False).clean
    with pytest.raises(ValueError, match="checkpoint location"):
        plans.control_state(text.replace("Latest checkpoint location", "Something else"), False, False)


def test_only_the_named_settings_leave_the_file():
    text = "# kept\nwork_mem = '8MB'\nprimary_conninfo = 'host=a'\nPRIMARY_SLOT_NAME='x'\n"
    names = frozenset({"primary_conninfo", "primary_slot_name"})
    assert plans.settings_without(text, names) == "# kept\nwork_mem = '8MB'\n"


def test_the_longest_time_without_a_write_around_the_switch():
    acks = [Ack(number, at, at) for number, at in enumerate([0.0, 5.0, 5.1, 5.2, 6.0, 6.1])]
    assert plans.longest_gap(acks, 5.15, 5.9) == pytest.approx(0.8)
    # No write after the switch: nobody knows how long it took.
    assert plans.longest_gap(acks, 5.15, 7.0) is None


def test_who_gets_traffic_is_read_from_haproxy():
    text = (
        "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state\n"
        "3 region 1 a 127.0.0.1 2 0\n"
        "3 region 2 b 127.0.0.1 0 5\n"
        "3 region 3 c 127.0.0.1 2 4\n"
        "3 region 4 d 127.0.0.1 0 0\n"
    )
    assert front_door.parse_serving(text) == {"a", "c"}
