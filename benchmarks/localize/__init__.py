"""How good `conformance localize` is: planted faults, real ones, and the localisers of others on the same."""
