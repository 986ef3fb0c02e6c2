"""Turning a container's spec into a command to run: objects from the API, image, environment, volumes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from churnguard_lab import images, settings
from churnguard_lab.node import environment, logs, volumes
from churnguard_lab.node.api import ApiError, NodeApi
from churnguard_lab.node.container import Launch, StartRefused
from churnguard_lab.node.environment import ConfigError, Reference

#: Which container a process belongs to; the processes of a pod are found by it.
CONTAINER_ENVIRONMENT = "CHURNGUARD_CONTAINER"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Launcher:
    """Prepares the containers of one pod. Objects once read are kept, for restarts while the API server is away."""

    def __init__(self, lab: settings.Settings, api: NodeApi, pod_dir: Path, pod_ip: str) -> None:
        self._lab, self._api, self._pod_dir = lab, api, pod_dir
        self._context = {"pod_ip": pod_ip, "host_ip": settings.LOOPBACK}
        self._objects: dict[tuple[str, str], Mapping[str, bytes] | None] = {}

    @property
    def volumes_dir(self) -> Path:
        """The folder of the pod's volumes."""
        return self._pod_dir / "volumes"

    def write_volumes(self, pod: Mapping[str, Any]) -> None:
        """Write the files of all the pod's volumes. Raises ConfigError; OSError when the disk refuses."""
        self._fetch(pod, volumes.volume_references(pod))
        self._write(pod)

    def renew_volumes(
        self, pod: Mapping[str, Any], objects: Mapping[tuple[str, str], Mapping[str, bytes] | None]
    ) -> bool:
        """Write volumes again with new content, if it is new, and tell whether it was. Raises as write_volumes does;
        the files are then as they were."""
        self._objects.update(objects)
        return self._write(pod)

    def _write(self, pod: Mapping[str, Any]) -> bool:
        changed = False
        planned = [
            (volume, volumes.plan_volume(volume, pod, self._objects, self._context))
            for volume in pod["spec"].get("volumes") or ()
        ]
        for volume, files in planned:
            folder = self.volumes_dir / volume["name"]
            if volumes.is_scratch(volume):
                volumes.make_scratch(folder)
            elif volumes.write_volume(folder, files):
                changed = True
        return changed

    def prepare(self, pod: Mapping[str, Any], container: Mapping[str, Any], run: int) -> Launch:
        """What to run for a container's `run`-th restart. Raises StartRefused."""
        image = self._image(container)
        metadata = pod["metadata"]
        folder = self._pod_dir / "containers" / container["name"]
        identifier = container_id(metadata["uid"], container["name"], run)
        try:
            self._fetch(pod, environment.references(container))
            variables = environment.resolve_environment(
                container, pod, self._objects, self._base(pod, container, image, folder), self._context
            )
            variables[settings.MARKER_ENVIRONMENT] = str(self._lab.state_dir)
            variables[CONTAINER_ENVIRONMENT] = identifier
            command = environment.resolve_command(container, image, variables)
            arguments = [images.expand(part, lambda token: self._token(container, token)) for part in command]
        except (ConfigError, images.TokenError) as error:
            raise StartRefused("CreateContainerConfigError", str(error)) from error
        log = logs.log_path(self._lab.log_dir, metadata["namespace"], metadata["name"], container["name"])
        return Launch(arguments, variables, folder, log, f"lab://sha256:{image.digest}", identifier)

    def _image(self, container: Mapping[str, Any]) -> images.Image:
        try:
            return images.load(self._lab.state_dir, container["image"])
        except images.ImageMissing as error:
            if container.get("imagePullPolicy") == "Never":
                raise StartRefused("ErrImageNeverPull", str(error)) from error
            raise StartRefused("ErrImagePull", str(error), pull=True) from error
        except images.ImageError as error:
            raise StartRefused("InvalidImageName", str(error)) from error

    def _base(
        self, pod: Mapping[str, Any], container: Mapping[str, Any], image: images.Image, folder: Path
    ) -> dict[str, str]:
        base = {"PATH": _PATH, "HOME": str(folder), "LANG": "C.UTF-8", "HOSTNAME": pod["metadata"]["name"]}
        return base | environment.expand_image_environment(image, lambda token: self._token(container, token))

    def _token(self, container: Mapping[str, Any], token: str) -> str | None:
        name, _, mount = token.partition(":")
        if name == "mount":
            path = volumes.mount_path(container, mount, self.volumes_dir)
            return None if path is None else str(path)
        values = {
            "python": self._lab.python,
            "repository": str(self._lab.repository),
            "log_dir": str(self._lab.log_dir),
            "pod_ip": self._context["pod_ip"],
        }
        return values[name]

    def _fetch(self, pod: Mapping[str, Any], references: Iterable[Reference]) -> None:
        namespace = pod["metadata"]["namespace"]
        for reference in sorted(references):
            key = (reference.kind, reference.name)
            try:
                raw = self._api.get_object(reference.kind, namespace, reference.name)
            except ApiError as error:
                if self._objects.get(key) is not None:
                    continue
                raise ConfigError(str(error)) from error
            self._objects[key] = None if raw is None else environment.object_content(reference.kind, raw)


def container_id(uid: str, name: str, run: int) -> str:
    """The id of a container's run: the same for every agent that looks at it."""
    return "lab://" + hashlib.sha256(f"{uid}/{name}/{run}".encode()).hexdigest()
