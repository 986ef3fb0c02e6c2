"""Who is in a share of users: the same everywhere and at all times, and nobody falls out when the share grows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest
from ansible_collections.churnguard.ops.plugins.module_utils._flags.model import empty_document, read_requests
from ansible_collections.churnguard.ops.plugins.module_utils._flags.plan import Wish, decide
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

FLAG = "new_dashboard_ui"
USERS = [f"user-{number}" for number in range(10_000)]

#: Murmur3 (32 bit, seed 0) of the CBOR array [flag, user], and the per cent below which the user is in the share.
#: These are what any other evaluator has to give; a change of this table moves users.
VECTORS = [
    ("new_dashboard_ui", "user-0", 0x8E89938A, 55),
    ("new_dashboard_ui", "user-4", 0x101FFE02, 6),
    ("new_dashboard_ui", "1", 0x40CEA384, 25),
    ("new_dashboard_ui", "6f9619ff-8b86-d011-b42d-00c04fc964ff", 0xC80A5309, 78),
    ("new_dashboard_ui", "k\u00e4the@example.org", 0xA764C7A9, 65),
    ("new_dashboard_ui", "x" * 300, 0x1CE02A8C, 11),
    ("advanced_analytics", "user-0", 0x55EF3DDC, 33),
    ("advanced_analytics", "user-4", 0xFECA25DC, 99),
    ("advanced_analytics", "1", 0xBABCAF5E, 72),
]


def murmur3(data: bytes) -> int:
    """MurmurHash3_x86_32 with seed 0, from its definition."""
    state = 0
    for begin in range(0, len(data) - len(data) % 4, 4):
        state ^= _mixed(int.from_bytes(data[begin : begin + 4], "little"))
        state = (_rotated(state, 13) * 5 + 0xE6546B64) & 0xFFFFFFFF
    tail = data[len(data) - len(data) % 4 :]
    if tail:
        state ^= _mixed(int.from_bytes(tail, "little"))
    state ^= len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        state = ((state ^ (state >> shift)) * factor) & 0xFFFFFFFF
    return state ^ (state >> 16)


def _rotated(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (32 - bits))) & 0xFFFFFFFF


def _mixed(word: int) -> int:
    return (_rotated((word * 0xCC9E2D51) & 0xFFFFFFFF, 15) * 0x1B873593) & 0xFFFFFFFF


def cbor(*texts: str) -> bytes:
    """An array of texts in canonical CBOR (RFC 8949, 4.2), from its definition."""
    return bytes([0x80 + len(texts)]) + b"".join(_cbor_text(text.encode()) for text in texts)


def _cbor_text(content: bytes) -> bytes:
    if len(content) < 24:
        return bytes([0x60 + len(content)]) + content
    if len(content) < 256:
        return bytes([0x78, len(content)]) + content
    return b"\x79" + len(content).to_bytes(2, "big") + content


def bucket(flag: str, user: str) -> int:
    """0 to 99: the user is in every share of more per cent than that."""
    return murmur3(cbor(flag, user)) * 100 >> 32


def evaluator(flag: str, **entry: Any) -> FlagdCore:
    """The provider's evaluator, with the flag that the module makes of an entry."""
    requests = read_requests([{"name": flag, **entry}], "the test")
    core = FlagdCore()
    core.set_flags(json.loads(json.dumps(decide(empty_document(), Wish(requests), "the test").document)))
    return core


def chosen(core: FlagdCore, flag: str, users: Iterable[str] = USERS, **attributes: str) -> set[str]:
    """The users for whom the flag is on."""
    return {
        user for user in users if core.resolve_boolean_value(flag, False, EvaluationContext(user, attributes)).value
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0),
        ("hello", 0x248BFA47),
        ("hello, world", 0x149BBB7F),
        ("The quick brown fox jumps over the lazy dog", 0x2E4FF723),
    ],
)
def test_the_hash_here_is_the_published_one(text: str, value: int) -> None:
    assert murmur3(text.encode()) == value


@pytest.mark.parametrize(("flag", "user", "value", "place"), VECTORS)
def test_fixed_vectors(flag: str, user: str, value: int, place: int) -> None:
    assert (murmur3(cbor(flag, user)), bucket(flag, user)) == (value, place)
    assert chosen(evaluator(flag, percentage=place), flag, [user]) == set()
    if place < 99:  # 100 % is no share any more
        assert chosen(evaluator(flag, percentage=place + 1), flag, [user]) == {user}


def test_the_provider_draws_exactly_the_users_of_the_definition() -> None:
    for percentage in (10, 50):
        expected = {user for user in USERS if bucket(FLAG, user) < percentage}
        assert chosen(evaluator(FLAG, percentage=percentage), FLAG) == expected


def test_a_growing_share_keeps_everybody_who_was_in_it() -> None:
    before: set[str] = set()
    for percentage in (0, 1, 5, 10, 25, 50, 75, 99, 100):
        now = chosen(evaluator(FLAG, percentage=percentage), FLAG)
        assert before <= now, f"{len(before - now)} of 10000 fell out at {percentage} %"
        # Five standard deviations of a binomial share of 10,000.
        assert abs(len(now) / len(USERS) - percentage / 100) <= 5 * (percentage * (100 - percentage) / 1e8) ** 0.5
        before = now
    assert before == set(USERS)


def test_a_growing_share_under_a_condition_keeps_them_too() -> None:
    before: set[str] = set()
    for percentage in (10, 50, 100):
        core = evaluator(FLAG, percentage=percentage, conditions={"subscription_tier": ["enterprise"]})
        now = chosen(core, FLAG, subscription_tier="enterprise")
        assert before < now
        assert chosen(core, FLAG, USERS[:500], subscription_tier="starter") == set()
        before = now
    assert before == set(USERS)


def test_shares_of_different_flags_are_different_users() -> None:
    first, second = (
        chosen(evaluator("first", percentage=10), "first"),
        chosen(evaluator("second", percentage=10), "second"),
    )
    both = len(first & second)
    assert 50 <= both <= 150, f"{both} of 10000 are in both; independent draws give 100"


def test_a_variant_between_two_others_loses_users() -> None:
    """Why the shorthand has one share, at the beginning: b's users become a's."""

    def variant_of(parts: list[Any]) -> dict[str, str | None]:
        entry = {"variants": {"a": True, "b": True, "off": False}, "targeting": {"fractional": parts}}
        core = evaluator(FLAG, **entry)
        return {user: core.resolve_boolean_value(FLAG, False, EvaluationContext(user)).variant for user in USERS[:1000]}

    before, after = variant_of([["a", 10], ["b", 10], ["off", 80]]), variant_of([["a", 20], ["b", 20], ["off", 60]])
    assert any(before[user] == "b" and after[user] == "a" for user in before)


def test_another_process_draws_the_same_users() -> None:
    program = (
        "import json, sys\n"
        "from openfeature.contrib.tools.flagd.core import FlagdCore\n"
        "from openfeature.evaluation_context import EvaluationContext as Context\n"
        "given = json.load(sys.stdin)\n"
        "core = FlagdCore()\n"
        "core.set_flags(given['document'])\n"
        "answer = lambda user: core.resolve_boolean_value(given['flag'], False, Context(user)).value\n"
        "print(json.dumps([user for user in given['users'] if answer(user)]))\n"
    )
    wish = Wish(read_requests([{"name": FLAG, "percentage": 25}], "the test"))
    given = {"document": decide(empty_document(), wish, "the test").document, "flag": FLAG, "users": USERS[:1000]}
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            input=json.dumps(given),
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    }
    expected = [user for user in USERS[:1000] if bucket(FLAG, user) < 25]
    assert [json.loads(answer) for answer in answers] == [expected]
