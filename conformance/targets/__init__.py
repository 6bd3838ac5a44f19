"""Devices under test, one file each. They know no system; what they are given is a Program."""
