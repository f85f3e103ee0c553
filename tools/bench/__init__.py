"""Measurements that are printed in docs/benchmarks.md."""
