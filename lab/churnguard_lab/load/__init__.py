"""Open-loop load with a ledger: a fixed schedule whatever the replies do, and one line for every request.

schedule and summary are pure; ledger reads and writes the file; client sends one request; run joins them.
"""

from __future__ import annotations

from churnguard_lab.load.summary import summarise

__all__ = ["summarise"]
