"""What a node did not do."""

from mt5crs.errors import BridgeError


class NodeError(BridgeError):
    """A node did not do what it was asked for.

    Attributes:
        node: Its name.
        kind: Names the kind for programs: `unreachable`, `forbidden` (by the node that it is reached
            through), `host-key`, `login`, `lost` (the connection, on the way), `sftp`, `python`, `path`,
            `permission`, `read-only`, or what the node says, such as `no-space`.
    """

    code = "node"

    def __init__(self, node: str, message: str, *, hint: str = "", kind: str = "failed") -> None:
        super().__init__(f"{node}: {message}", hint=hint)
        self.node = node
        self.kind = kind
