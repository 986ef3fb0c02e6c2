# Copyright (c) 2026, churnguard.ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules are run in this process, as Ansible runs them in theirs."""

from __future__ import annotations

import pytest
from ansible.module_utils import _internal


@pytest.fixture(autouse=True)
def no_controller(monkeypatch):
    """Where a controller's plugins were imported, as other tests here do, a module's warnings go to the terminal and
    not into its result; a module's own process has none of them."""
    monkeypatch.setattr(_internal, "is_controller", False)
