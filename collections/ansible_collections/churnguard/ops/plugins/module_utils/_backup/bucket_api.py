# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""S3's API for one bucket, one call for each method. Internal: may change in any release."""

from __future__ import annotations

from typing import Any

from .._aws.calls import Caller
from .._aws.errors import AwsError
from .._common.clock import Clock

_NO_OBJECT = ("404", "NoSuchKey")


class Bucket:
    """The bucket C(name); C(client) is boto3's for s3 in its region. Methods raise AwsError."""

    def __init__(self, client: Any, name: str, clock: Clock) -> None:
        self.name = name
        self._caller = Caller(client, clock)

    def versioning(self) -> str:
        """Enabled, Suspended or empty."""
        attempted = f"read the versioning of the bucket {self.name}"
        return self._caller.read(attempted, "get_bucket_versioning", Bucket=self.name).get("Status") or ""

    def list(self, prefix: str = "") -> list[dict[str, Any]]:
        """The current objects under C(prefix): C(Key), C(Size), C(ETag), C(LastModified)."""
        found: list[dict[str, Any]] = []
        token: dict[str, str] = {}
        while True:
            attempted = f"list s3://{self.name}/{prefix}"
            page = self._caller.read(attempted, "list_objects_v2", Bucket=self.name, Prefix=prefix, **token)
            found += page.get("Contents", [])
            if not page.get("IsTruncated"):
                return found
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def head(self, key: str) -> dict[str, Any] | None:
        """An object's C(ContentLength) and C(ETag); None if it does not exist."""
        try:
            return self._caller.read(f"look up s3://{self.name}/{key}", "head_object", Bucket=self.name, Key=key)
        except AwsError as error:
            if error.code in _NO_OBJECT:
                return None
            raise

    def read(self, key: str) -> bytes:
        """A small object's content."""
        answer = self._caller.read(f"read s3://{self.name}/{key}", "get_object", Bucket=self.name, Key=key)
        return answer["Body"].read()

    def write(self, key: str, content: bytes, encryption: dict[str, str]) -> dict[str, Any]:
        """Put a small object; S3 refuses it when it arrives damaged."""
        arguments = {"Bucket": self.name, "Key": key, "Body": content, "ContentType": "application/json"}
        return self._caller.write(f"write s3://{self.name}/{key}", "put_object", **arguments, **encryption)

    def copy_from(self, source: str, key: str, etag: str, target: str, encryption: dict[str, str]) -> dict[str, Any]:
        """Copy an object that still has C(etag) inside S3: C(VersionId) and C(CopyObjectResult.ETag) of the copy."""
        return self._caller.write(
            f"copy s3://{source}/{key} to s3://{self.name}/{target}",
            "copy_object",
            Bucket=self.name,
            Key=target,
            CopySource={"Bucket": source, "Key": key},
            CopySourceIfMatch=etag,
            **encryption,
        )

    def remove(self, key: str) -> None:
        """Set a delete marker: earlier versions stay."""
        self._caller.write(f"remove s3://{self.name}/{key}", "delete_object", Bucket=self.name, Key=key)
