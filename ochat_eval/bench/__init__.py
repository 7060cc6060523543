"""`make bench`: what the harness costs, as ratios of sides that run in turn; a file each."""
