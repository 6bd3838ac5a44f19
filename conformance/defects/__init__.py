"""Known compiler bugs, one file a mechanism: all about a bug in one place. Importing them needs no torch."""
