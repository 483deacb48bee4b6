"""Device, seeds, batches and the skorch plumbing; its modules import torch, this one nothing."""
