"""Plain data: what is to be tested and what came of it. No torch, and nothing of the other packages."""
