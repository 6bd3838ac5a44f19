"""What a target compiles: the program of a model, with its taps, casts and workarounds."""
