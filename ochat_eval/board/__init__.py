"""A web page over all runs, live: what they are, what they score, side by side, item by item."""
