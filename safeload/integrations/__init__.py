"""Where safeload works inside other programs: in the place of torch.load, with git, and on CI runners."""
