"""What this host is, what it can run, and what is missing. Nothing heavy is imported to find out."""
