"""Benchmarks of our own for ochat_eval."""
