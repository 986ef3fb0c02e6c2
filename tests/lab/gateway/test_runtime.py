"""Answers of the runtime API, and commands: carried out on a model of HAProxy, they lead where they should."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from churnguard_lab.gateway.plan import Desired, PlannedRoute, PlannedRule, thresholds
from churnguard_lab.gateway.pools import DRAIN, INITIAL_SLOTS, UP, Pool, Slot
from churnguard_lab.gateway.runtime import (
    Actual,
    Process,
    RuntimeAnswerError,
    Server,
    commands,
    differences,
    handover_commands,
    parse_map,
    parse_processes,
    parse_servers,
    parse_structure,
)

PROCESSES = """\
#<PID>          <type>          <reloads>       <uptime>        <version>
1238            master          3 [failed: 0]   0d00h04m33s     2.6.12-1+deb12u4
# workers
17466           worker          0               0d00h00m02s     2.6.12-1+deb12u4
# old workers
7786            worker          1               0d00h01m02s     2.6.12-1+deb12u4
# programs

"""
SERVERS = (
    "1\n"
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_port\n"
    "3 shop_a_80 1 s1 0.0.0.0 0 5 1 1\n"
    "3 shop_a_80 2 s2 127.0.0.9 2 4 0 5000\n"
)


def test_answers() -> None:
    assert parse_processes(PROCESSES) == [
        Process(1238, "master", False),
        Process(17466, "worker", False),
        Process(7786, "worker", True),
    ]
    assert parse_map("0x557f7bbc8b50 shop/r/0 1:2\n0x1 shop_a_80 1\n\n") == {"shop/r/0": "1:2", "shop_a_80": "1"}
    assert parse_servers(SERVERS) == {
        ("shop_a_80", "s1"): Server("0.0.0.0", 1, 1, True),
        ("shop_a_80", "s2"): Server("127.0.0.9", 5000, 0, False),
    }
    assert parse_structure("Name: HAProxy\ndescription: churnguard-gateway abc\n") == "abc"
    assert parse_structure("Name: HAProxy\ndescription: somebody else\n") == ""


@pytest.mark.parametrize("text", ["", "Unknown command: 'show proc'\n"])
def test_an_answer_without_a_master_is_an_error(text: str) -> None:
    with pytest.raises(RuntimeAnswerError):
        parse_processes(text)


def desired(weights: list[int], pools: dict[str, Pool]) -> Desired:
    rule = PlannedRule("shop/r/0", tuple(sorted(pools)), thresholds(weights))
    return Desired(routes=(PlannedRoute(("shop", "r"), ("shop.lab",), (), (rule,)),), pools=pools)


def empty(pools: dict[str, Pool]) -> Actual:
    free = Server("0.0.0.0", 1, 1, True)
    servers = {(name, f"s{n}"): free for name, pool in pools.items() for n in range(1, len(pool) + 1)}
    return Actual("x", {}, servers)


def execute(command: str, state: Actual) -> Actual:
    """What HAProxy does at one command."""
    verb, kind, target, *rest = command.split()
    entries, servers = dict(state.entries), dict(state.servers)
    if kind == "map":
        key, value = rest
        assert (verb == "add") == (key not in entries), command
        entries[key] = value
        return Actual(state.structure, entries, servers)
    assert verb == "set"
    backend, name = target.split("/")
    server = servers[backend, name]
    if rest[0] == "addr":
        server = Server(rest[1], int(rest[3]), server.weight, server.is_maintenance)
    elif rest[0] == "weight":
        server = Server(server.ip, server.port, int(rest[1]), server.is_maintenance)
    else:
        server = Server(server.ip, server.port, server.weight, {"ready": False, "maint": True}[rest[1]])
    servers[backend, name] = server
    return Actual(state.structure, entries, servers)


def prefixes(target: Desired, state: Actual) -> Iterator[Actual]:
    for command in commands(target, state):
        state = execute(command, state)
        yield state


def usable(state: Actual, backend: str) -> int:
    return sum(
        server.weight > 0 and not server.is_maintenance
        for (name, _), server in state.servers.items()
        if name == backend
    )


def random_pool(chance: random.Random, tag: str) -> Pool:
    return tuple(
        chance.choice((None, Slot(f"{tag}{n}", f"127.0.0.{chance.randrange(9)}", 5000, chance.choice((UP, DRAIN)))))
        for n in range(INITIAL_SLOTS)
    )


def test_commands_converge_and_are_complete() -> None:
    chance = random.Random(4)
    state = empty({"a": (None,) * INITIAL_SLOTS, "b": (None,) * INITIAL_SLOTS})
    for _ in range(300):
        target = desired([chance.randrange(3), chance.randrange(3)], {n: random_pool(chance, n) for n in "ab"})
        states = list(prefixes(target, state))
        assert all(differences(target, earlier) for earlier in [state, *states[:-1]] if states)
        state = states[-1] if states else state
        assert differences(target, state) == []
        assert commands(target, state) == []


def test_no_step_sends_requests_to_an_empty_pool() -> None:
    """Weights move from a to b while b fills and a empties, in one go: at every step who has weight has pods."""
    up = (Slot("u", "127.0.0.2", 5000, UP),)
    drained = (Slot("u", "127.0.0.2", 5000, DRAIN),)
    before = desired([100, 0], {"a": up, "b": (None,)})
    *_, state = prefixes(before, empty({"a": up, "b": (None,)}))
    for after in (desired([0, 100], {"a": drained, "b": up}), desired([0, 100], {"a": (None,), "b": up})):
        for step in prefixes(after, state):
            has_weight = "a" if step.entries["shop/r/0"].startswith("1000000") else "b"
            assert usable(step, has_weight), step
            assert step.entries[has_weight] == "1", step


def test_a_worker_without_a_server_is_told_apart_not_commanded() -> None:
    target = desired([1], {"a": (Slot("u", "127.0.0.2", 5000, UP),)})
    state = Actual("x", {}, {})
    assert [command for command in commands(target, state) if "server" in command] == []
    assert "server a/s1 does not exist" in differences(target, state)


def test_a_leaving_worker_is_told_once_to_hand_over() -> None:
    assert handover_commands(Actual("x", {"handover": "0"}, {})) == ["set map gateway.map handover 1"]
    assert handover_commands(Actual("x", {"handover": "1"}, {})) == []
