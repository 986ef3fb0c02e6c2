"""A container's environment and command, resolved without I/O from its spec and what it refers to."""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from churnguard_lab import images

_VARIABLE = re.compile(r"\$(\$|\(([-._a-zA-Z][-._a-zA-Z0-9]*)\))")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")

CONFIG_MAP, SECRET = "configmap", "secret"


class ConfigError(Exception):
    """A container cannot be configured as its pod asks; the message is the kubelet's."""


@dataclasses.dataclass(frozen=True, order=True)
class Reference:
    """A ConfigMap or a Secret of the pod's namespace that a container or a volume needs."""

    kind: str
    name: str
    optional: bool = False


#: Name of each fetched object (kind, name) and its content; None when it does not exist.
Objects = Mapping[tuple[str, str], Mapping[str, bytes] | None]


def object_content(kind: str, raw: Mapping[str, Any]) -> dict[str, bytes]:
    """The keys and values of a ConfigMap or Secret as the API server returns it."""
    content = {key: base64.b64decode(value) for key, value in (raw.get("binaryData") or {}).items()}
    for key, value in (raw.get("data") or {}).items():
        content[key] = base64.b64decode(value) if kind == SECRET else value.encode()
    return content


def references(container: Mapping[str, Any]) -> set[Reference]:
    """What the environment of a container refers to."""
    found = set()
    for source in container.get("envFrom") or ():
        for field, kind in (("configMapRef", CONFIG_MAP), ("secretRef", SECRET)):
            if source.get(field):
                found.add(Reference(kind, source[field]["name"], bool(source[field].get("optional"))))
    for variable in container.get("env") or ():
        origin = variable.get("valueFrom") or {}
        for field, kind in (("configMapKeyRef", CONFIG_MAP), ("secretKeyRef", SECRET)):
            if origin.get(field):
                found.add(Reference(kind, origin[field]["name"], bool(origin[field].get("optional"))))
    return found


def resolve_environment(
    container: Mapping[str, Any],
    pod: Mapping[str, Any],
    objects: Objects,
    base: Mapping[str, str],
    context: Mapping[str, str],
) -> dict[str, str]:
    """The environment of a container.

    `base` are the image's variables; `context` holds pod_ip and host_ip, which the API server may not know yet.
    Raises ConfigError for a missing object, key or field.
    """
    namespace = pod["metadata"]["namespace"]
    result = dict(base)
    for source in container.get("envFrom") or ():
        prefix = source.get("prefix") or ""
        for field, kind in (("configMapRef", CONFIG_MAP), ("secretRef", SECRET)):
            if not source.get(field):
                continue
            content = _content(objects, kind, source[field])
            result.update({prefix + key: _text(value, key, namespace) for key, value in (content or {}).items()})
    for variable in container.get("env") or ():
        origin = variable.get("valueFrom")
        if not origin:
            result[variable["name"]] = expand(variable.get("value") or "", result)
            continue
        value = _from(origin, pod, objects, context)
        if value is not None:
            result[variable["name"]] = value
    return result


def resolve_command(container: Mapping[str, Any], image: images.Image, environment: Mapping[str, str]) -> list[str]:
    """The command line of a container: `command` replaces the image's, `args` follow it."""
    arguments = [expand(part, environment) for part in container.get("args") or ()]
    if container.get("command"):
        return [expand(part, environment) for part in container["command"]] + arguments
    return list(image.command) + arguments


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace $(NAME) as Kubernetes does: unknown names stay as they are, $$ is a dollar sign."""

    def replace(match: re.Match[str]) -> str:
        if match.group(1) == "$":
            return "$"
        return values.get(match.group(2), match.group(0))

    return _VARIABLE.sub(replace, text)


def expand_image_environment(image: images.Image, values: Callable[[str], str | None]) -> dict[str, str]:
    """The image's variables; one that needs a volume which the pod does not mount is left out."""
    result = {}
    for name, text in image.env.items():
        try:
            result[name] = images.expand(text, values)
        except images.TokenError:
            continue
    return result


def field_value(path: str, pod: Mapping[str, Any], context: Mapping[str, str]) -> str:
    """The value of a downward-API field. Raises ConfigError for a field that this node does not know."""
    metadata, spec = pod["metadata"], pod["spec"]
    subscript = _SUBSCRIPT.fullmatch(path)
    if subscript:
        return (metadata.get(subscript.group(1)) or {}).get(subscript.group(2), "")
    fields: dict[str, Callable[[], str]] = {
        "metadata.name": lambda: metadata["name"],
        "metadata.namespace": lambda: metadata["namespace"],
        "metadata.uid": lambda: metadata["uid"],
        "metadata.labels": lambda: _lines(metadata.get("labels")),
        "metadata.annotations": lambda: _lines(metadata.get("annotations")),
        "spec.nodeName": lambda: spec.get("nodeName", ""),
        "spec.serviceAccountName": lambda: spec.get("serviceAccountName", ""),
        "status.podIP": lambda: context["pod_ip"],
        "status.podIPs": lambda: context["pod_ip"],
        "status.hostIP": lambda: context["host_ip"],
        "status.hostIPs": lambda: context["host_ip"],
    }
    if path not in fields:
        raise ConfigError(f"field {path!r} is not known to the lab's node")
    return fields[path]()


def _lines(pairs: Mapping[str, str] | None) -> str:
    return "\n".join(f'{key}="{value}"' for key, value in sorted((pairs or {}).items()))


def _from(
    origin: Mapping[str, Any], pod: Mapping[str, Any], objects: Objects, context: Mapping[str, str]
) -> str | None:
    if origin.get("fieldRef"):
        return field_value(origin["fieldRef"]["fieldPath"], pod, context)
    namespace = pod["metadata"]["namespace"]
    for field, kind, title in (("configMapKeyRef", CONFIG_MAP, "ConfigMap"), ("secretKeyRef", SECRET, "Secret")):
        reference = origin.get(field)
        if not reference:
            continue
        content = _content(objects, kind, reference)
        key = reference["key"]
        if content is not None and key in content:
            return _text(content[key], key, namespace)
        if reference.get("optional"):
            return None
        raise ConfigError(f"couldn't find key {key} in {title} {namespace}/{reference['name']}")
    raise ConfigError(f"the lab's node does not know the environment source {_names(origin)}")


def _content(objects: Objects, kind: str, reference: Mapping[str, Any]) -> Mapping[str, bytes] | None:
    content = objects.get((kind, reference["name"]))
    if content is None and not reference.get("optional"):
        raise ConfigError(f'{kind} "{reference["name"]}" not found')
    return content


def _text(value: bytes, key: str, namespace: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"key {key} in namespace {namespace} is not text: it cannot be a variable") from error


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
