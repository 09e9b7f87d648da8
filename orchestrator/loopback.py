"""Whether a host is this machine, told by its name alone."""

from __future__ import annotations


def is_here(host: str) -> bool:
    """True for this machine's own names and addresses."""
    import ipaddress  # only an address that is not encrypted needs it

    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
