"""What `trust="torch.nn"` allows: classes of torch, what a module may hold, and attributes that older files lack."""
