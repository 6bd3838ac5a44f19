"""Operators one by one, with the samples that torch has of each, through a target."""
