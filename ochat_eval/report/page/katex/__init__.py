"""KaTeX 0.16.22 (MIT, LICENSE.txt) as published, its style sheet with the woff2 fonts alone."""
