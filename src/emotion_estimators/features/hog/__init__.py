"""HOG descriptors: a transformer, and loops in C."""
