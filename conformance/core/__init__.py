"""Errors, text, files, the cache, what is installed: imports nothing else of ours."""
