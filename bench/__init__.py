"""Measurements that need more than the package: other schedulers, in an environment of their own."""
