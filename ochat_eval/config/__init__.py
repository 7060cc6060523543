"""From a command line to a `Job`; no other room knows Hydra."""
