"""The Python API: what `import ochat_eval` gives, over the rooms that the commands use."""
