"""FaceNet: one table of layers, its backends, readers of its weights."""
