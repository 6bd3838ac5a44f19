"""What makes the model that a user names."""
