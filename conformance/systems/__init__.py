"""Models under test, one file a family. Importing them needs neither torch nor the package they come from."""
