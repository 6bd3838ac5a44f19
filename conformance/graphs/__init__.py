"""What a model computes and what a compiler made of it, as graphs that can be compared."""
