"""KaTeX's fonts."""
