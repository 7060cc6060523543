"""Digests of the public files that the benchmarks read, per repository and commit."""
