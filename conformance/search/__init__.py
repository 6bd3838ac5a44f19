"""What else is right, or wrong: other shapes, other settings, passes that are left out."""
