"""What whole packages of architectures meet on a device: each looked at once, in a process that may die of it."""
