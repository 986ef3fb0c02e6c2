# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of the kubeconfig file.
      - Without O(kubeconfig), O(context) and O(host), the service account of the pod is used, else C(~/.kube/config).
    type: path
  context:
    description:
      - Name of the context in the kubeconfig file.
    type: str
  host:
    description:
      - URL of the API server, with O(api_key), instead of a kubeconfig file.
    type: str
  api_key:
    description:
      - Bearer token for O(host).
    type: str
  ca_cert:
    description:
      - Path of the certificate authority that the API server's certificate is checked against.
    type: path
  validate_certs:
    description:
      - Whether the API server's certificate is checked.
      - Unset means what the kubeconfig file says, else V(true).
    type: bool
requirements:
  - kubernetes >= 24.2.0
notes:
  - Each of these options can also come from the environment, under the names that kubernetes.core and AWX's Kubernetes
    credential use - E(K8S_AUTH_KUBECONFIG), E(K8S_AUTH_CONTEXT), E(K8S_AUTH_HOST), E(K8S_AUTH_API_KEY),
    E(K8S_AUTH_SSL_CA_CERT), E(K8S_AUTH_VERIFY_SSL).
"""
