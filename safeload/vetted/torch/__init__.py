"""The vetted constructors of torch: tensors, storages and what is made of them. Imports nothing of torch."""
