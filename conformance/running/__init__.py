"""Cases are run here: a parent that records, a child process that compiles."""
