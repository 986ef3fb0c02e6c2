"""The lab: one machine that runs ChurnGuard's environment on real parts, every listener on loopback."""
