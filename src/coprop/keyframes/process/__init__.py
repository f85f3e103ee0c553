"""Models that live in another Python environment.

The other interpreter runs `worker.py`; `launch` says how it is started, `running` is one process
of it, `client` starts it when it is needed, `network` stands in for what it has, and `model` is
what users see.
"""
