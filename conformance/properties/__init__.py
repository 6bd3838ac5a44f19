"""Small random programs of what vision models are made of: generated, run, shrunk, printed, kept."""
