"""The tests that run on a device: `pytest conformance --target NAME`."""
