"""The WSGI application that gunicorn's worker loads: settings from the process's environment."""

from __future__ import annotations

import os

from churnguard_api.app import create_app
from churnguard_api.config import load

app = create_app(load(os.environ))
