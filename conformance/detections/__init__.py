"""What a user sees: detections, those that a device keeps, loses and makes up, and their average precision."""
