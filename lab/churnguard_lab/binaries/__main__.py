"""Command line: python -m churnguard_lab.binaries [ensure] [--assets DIR]."""

from __future__ import annotations

import sys

from churnguard_lab.binaries.ensure import main

if __name__ == "__main__":
    sys.exit(main())
