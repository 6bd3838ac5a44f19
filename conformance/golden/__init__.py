"""The reference: what the CPU computes in float64, and how far equally valid CPU runs are from it."""
