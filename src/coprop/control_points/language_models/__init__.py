"""Language models that hear: in this process, or behind a server."""
