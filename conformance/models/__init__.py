"""Networks written here, from the papers that describe them. They need torch."""
