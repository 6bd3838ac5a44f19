"""From tensors to a verdict."""
