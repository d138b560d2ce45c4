"""Host keys that are some, and nobody's."""

import base64
import struct


def host_key(number: int) -> str:
    """Return a public key, another for each number."""
    kind, key = b"ssh-ed25519", bytes((number + place) % 256 for place in range(32))
    blob = struct.pack(">I", len(kind)) + kind + struct.pack(">I", len(key)) + key
    return f"{kind.decode()} {base64.b64encode(blob).decode()}"
