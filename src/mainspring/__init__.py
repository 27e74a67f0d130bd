"""Mainspring: any function or program, at any instant, from a durable queue, on a fixed number of workers."""
