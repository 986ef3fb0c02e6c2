# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - amazon.aws, the Ansible collection
  - boto3 >= 1.34.0
  - botocore >= 1.34.0
options:
  region:
    description:
      - Region of AWS.
      - The environment variables E(AWS_REGION) or E(AWS_DEFAULT_REGION) may also be used.
    type: str
    aliases: [aws_region]
  access_key:
    description:
      - Access key id. The environment variables E(AWS_ACCESS_KEY_ID) or E(AWS_ACCESS_KEY) may also be used.
    type: str
    aliases: [aws_access_key_id, aws_access_key]
  secret_key:
    description:
      - Secret access key. The environment variables E(AWS_SECRET_ACCESS_KEY) or E(AWS_SECRET_KEY) may also be used.
    type: str
    aliases: [aws_secret_access_key, aws_secret_key]
  session_token:
    description:
      - Session token of temporary credentials. The environment variable E(AWS_SESSION_TOKEN) may also be used.
    type: str
    aliases: [aws_session_token]
  profile:
    description:
      - Named profile with credentials, instead of O(access_key), O(secret_key) and O(session_token).
      - The environment variables E(AWS_PROFILE) or E(AWS_DEFAULT_PROFILE) may also be used.
    type: str
    aliases: [aws_profile]
  endpoint_url:
    description:
      - Address to use instead of that of AWS. The environment variables E(AWS_URL) or E(AWS_ENDPOINT_URL) may also be
        used.
    type: str
    aliases: [aws_endpoint_url]
  validate_certs:
    description:
      - Whether the certificates of AWS are verified.
    type: bool
    default: true
  aws_ca_bundle:
    description:
      - File with the certificate authorities to trust. The environment variable E(AWS_CA_BUNDLE) may also be used.
    type: path
  aws_config:
    description:
      - Settings of botocore's client, as botocore.config.Config takes them.
    type: dict
  debug_botocore_endpoint_logs:
    description:
      - Whether to return the requests that were sent, as C(resource_actions). The environment variable
        E(ANSIBLE_DEBUG_BOTOCORE_LOGS) may also be used.
    type: bool
    default: false
notes:
  - Environment and configuration files are those of the host that the task runs on.
"""
