"""Faults planted in models that are right, and which accuracy gates notice them: `python -m benchmarks.power`."""
