"""The records: written as they come, read back as one."""
