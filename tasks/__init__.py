"""The benchmarks: one file each, named by `conf/task/<name>.yaml`."""
