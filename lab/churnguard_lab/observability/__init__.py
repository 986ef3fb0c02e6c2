"""What the benchmark of observability measures, and the faults that it and the live tests cause in the lab."""
