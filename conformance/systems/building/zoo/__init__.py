"""Architectures of other packages by the names they have there: a module for each package."""
