"""The vetted constructors of torch: tensors, storages and what is made of them. Does not import torch."""
