"""Other spellings of what a compiler gets wrong: a file for each kind, and the mode that puts them in place."""
