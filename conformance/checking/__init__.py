"""One model, checked from a command, a test of its owner's, or a notebook."""
