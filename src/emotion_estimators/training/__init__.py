"""Training sets, device, seeds, batches and the skorch plumbing.

`checkpoints` takes NumPy, `targets` scikit-learn, too; the other modules import torch, this
one nothing.
"""
