"""The engines that answer requests; `conf/engine/<name>.yaml` describes each."""
