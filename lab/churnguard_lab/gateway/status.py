"""The status that the gateway writes to GatewayClasses, Gateways and HTTPRoutes. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from churnguard_lab.gateway.model import CONTROLLER_NAME, GATEWAY_GROUP, Gateway, Key, Object, parse_gateway
from churnguard_lab.gateway.plan import Desired
from churnguard_lab.gateway.routes import Attachment, listener_problem

#: Type, whether it holds, reason, message.
Finding = tuple[str, bool, str, str]
Status = dict[str, Any]


def conditions(
    previous: Sequence[Mapping[str, Any]], findings: Iterable[Finding], generation: int, now: str
) -> list[dict[str, Any]]:
    """Conditions for `findings`; the transition time is kept where the status is the same as before."""
    known = {condition["type"]: condition for condition in previous}
    result = []
    for kind, holds, reason, message in findings:
        status = "True" if holds else "False"
        before = known.get(kind, {})
        same = before.get("status") == status
        result.append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "observedGeneration": generation,
                "lastTransitionTime": before["lastTransitionTime"] if same else now,
            }
        )
    return result


def class_status(item: Object, now: str) -> Status:
    """Status of our GatewayClass."""
    findings = [("Accepted", True, "Accepted", "served by the lab's gateway")]
    previous = (item.get("status") or {}).get("conditions") or ()
    return {"conditions": conditions(previous, findings, item["metadata"].get("generation", 0), now)}


def gateway_status(item: Object, desired: Desired, front_port: int, problem: str, now: str) -> Status:
    """Status of one of our Gateways. `problem` says why HAProxy did not take the state; empty when it did."""
    gateway = parse_gateway(item)
    before = item.get("status") or {}
    refused = [listener.name for listener in gateway.listeners if listener_problem(listener, front_port)]
    is_served = len(refused) < len(gateway.listeners)
    accepted: Finding = ("Accepted", True, "Accepted", "")
    if refused:
        text = f"listeners that cannot be served: {', '.join(refused)}"
        accepted = ("Accepted", is_served, "ListenersNotValid", text)
    return {
        "addresses": [{"type": "IPAddress", "value": "127.0.0.1"}],
        "conditions": conditions(
            before.get("conditions") or (), [accepted, _programmed(is_served, problem)], gateway.generation, now
        ),
        "listeners": _listeners(gateway, before, desired, front_port, problem, now),
    }


def _listeners(
    gateway: Gateway, before: Mapping[str, Any], desired: Desired, front_port: int, problem: str, now: str
) -> list[Status]:
    known = {listener["name"]: listener for listener in before.get("listeners") or ()}
    result = []
    for listener in gateway.listeners:
        refusal = listener_problem(listener, front_port)
        accepted = ("Accepted", refusal is None, *(refusal or ("Accepted", "")))
        resolved = ("ResolvedRefs", True, "ResolvedRefs", "")
        attached = {
            attachment.route.key
            for attachment in desired.attachments
            if attachment.accepted
            and (attachment.parent.namespace, attachment.parent.name) == (gateway.namespace, gateway.name)
            and attachment.parent.section in ("", listener.name)
        }
        result.append(
            {
                "name": listener.name,
                "supportedKinds": [{"group": GATEWAY_GROUP, "kind": "HTTPRoute"}],
                "attachedRoutes": len(attached),
                "conditions": conditions(
                    known.get(listener.name, {}).get("conditions") or (),
                    [accepted, resolved, _programmed(refusal is None, problem)],
                    gateway.generation,
                    now,
                ),
            }
        )
    return result


def route_status(
    item: Object, attachments: Sequence[Attachment], foreign: Container[Key], desired: Desired, problem: str, now: str
) -> Status:
    """Status of an HTTPRoute: our parents' entries anew, other controllers' entries untouched. `foreign` are the
    Gateways of other classes: another instance of this controller may serve them under the same controller name.

    observedGeneration is the generation that HAProxy was given, which during the propagation delay is an older one
    than the object's.
    """
    before = (item.get("status") or {}).get("parents") or []
    others = [parent for parent in before if not is_ours(parent, item, foreign)]
    known = {_parent_key(parent["parentRef"]): parent for parent in before if is_ours(parent, item, foreign)}
    ours = []
    for attachment in attachments:
        resolved: Finding = ("ResolvedRefs", True, "ResolvedRefs", "")
        if attachment.route.key in desired.unresolved:
            reason, message = desired.unresolved[attachment.route.key]
            resolved = ("ResolvedRefs", False, reason, message)
        findings = [
            ("Accepted", attachment.accepted, attachment.reason, attachment.message),
            resolved,
            _programmed(attachment.accepted, problem),
        ]
        previous = known.get(_parent_key(attachment.parent.raw), {}).get("conditions") or ()
        ours.append(
            {
                "parentRef": dict(attachment.parent.raw),
                "controllerName": CONTROLLER_NAME,
                "conditions": conditions(previous, findings, attachment.route.generation, now),
            }
        )
    return {"parents": others + ours}


def is_ours(parent: Mapping[str, Any], item: Object, foreign: Container[Key]) -> bool:
    """Whether this instance wrote that entry of a route's status."""
    reference = parent["parentRef"]
    gateway = (reference.get("namespace") or item["metadata"]["namespace"], reference["name"])
    return parent.get("controllerName") == CONTROLLER_NAME and gateway not in foreign


def _parent_key(reference: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(reference.get(field) for field in ("namespace", "name", "sectionName", "port"))


def _programmed(is_accepted: bool, problem: str) -> Finding:
    if problem:
        return "Programmed", False, "Pending", problem
    if not is_accepted:
        return "Programmed", False, "Invalid", "not accepted, hence not served"
    return "Programmed", True, "Programmed", "HAProxy runs this generation"


def attachments_by_route(desired: Desired) -> dict[Key, list[Attachment]]:
    """The judgements of each route's parentRefs."""
    found: dict[Key, list[Attachment]] = {}
    for attachment in desired.attachments:
        found.setdefault(attachment.route.key, []).append(attachment)
    return found
