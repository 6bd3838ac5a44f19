"""Programs of two and three operators that real models have next to each other."""
