"""Sample items, written for this project: a few for each benchmark, in its own form."""
