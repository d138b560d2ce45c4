"""The handshake that any ZeroMQ peer can do: a REQ socket sends `HELLO`, a gateway answers `OK_FROM_MT5`.

It is older than the protocol of this package and stays outside of it, so that one line of any language tells
whether a gateway is there. This module imports nothing: a bare checkout uses it with pyzmq alone.
"""

HELLO = b"Hello"
"""What a peer sends, as one frame."""

OK_FROM_MT5 = b"OK_FROM_MT5"
"""What the gateway answers, as one frame."""
