"""Pipelines by name: what can be named, what a name stands for, and pipelines in folders."""
