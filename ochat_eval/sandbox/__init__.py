"""Untrusted work in processes of its own: model-written code, and grading that can hang."""
