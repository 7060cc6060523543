"""What a benchmark must provide, and what benchmarks share."""
