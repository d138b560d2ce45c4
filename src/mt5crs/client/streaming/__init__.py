"""Streams at the client: a core that has the rules (`stream.py`, `feeds.py`), a driver for each client."""
