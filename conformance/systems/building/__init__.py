"""What makes the models that the systems declare: imported when one is made."""
