"""How much of a model runs on a device when only some parts of it are compiled, and what is left for the CPU."""
