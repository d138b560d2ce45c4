"""The commands that let a gateway's clients in at its machine's firewall, and nobody else."""

from collections.abc import Iterable
from ipaddress import ip_address

RULE = "mt5crs-gateway"
"""The rule's name on Windows: the same that `deploy/windows/mt5crs.ps1` makes and removes."""


def windows_rule(ports: Iterable[object], clients: Iterable[str]) -> str:
    """Return the PowerShell command, for an administrator."""
    return (
        f"New-NetFirewallRule -Name {RULE} -DisplayName 'MT5-CRS gateway' -Direction Inbound -Action Allow "
        f"-Protocol TCP -LocalPort {','.join(map(str, ports))} -RemoteAddress {','.join(clients)}"
    )


def linux_rule(ports: Iterable[object], clients: Iterable[str]) -> str:
    """Return the nft command, for a table `inet filter` with a chain `input`."""
    sources = list(clients)
    family = "ip6" if all(":" in each for each in sources) else "ip"
    return (
        f"nft add rule inet filter input {family} saddr {{ {', '.join(sources)} }} "
        f"tcp dport {{ {', '.join(map(str, ports))} }} accept"
    )


def is_address(text: str) -> bool:
    """Return whether a text is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether an address, or the name of one, is this machine's own alone."""
    return ip_address(host).is_loopback if is_address(host) else host == "localhost"
