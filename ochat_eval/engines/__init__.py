"""The engines that answer requests; `conf/engine/<name>.yaml` chooses and describes one."""
