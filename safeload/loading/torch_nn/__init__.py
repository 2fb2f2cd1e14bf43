"""What `trust="torch.nn"` allows: the classes of torch, what a module may hold, and what older files lack."""
