"""What was measured of single operators, by package version. Importing it needs no torch."""
