"""Many runs from one command: several models, or a series of checkpoints; a process each."""
