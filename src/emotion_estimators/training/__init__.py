"""Training sets, device, seeds, batches and the skorch plumbing.

`training_set` takes NumPy and scikit-learn; the other modules import torch, this one nothing.
"""
