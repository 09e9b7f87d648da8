"""Which addresses are of the inside. The rest is the public internet.

`ipaddress` alone is not enough: in Python 3.11 it takes the metadata address 192.0.0.192, multicast, 6to4, NAT64 and
IPv4 inside IPv6 for public. What is written here follows the IANA registries of special-purpose addresses.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_V4 = tuple(
    (IPv4Network(network), why)
    for network, why in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a provider (CGNAT)"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud's metadata service"),
        ("169.254.169.254/32", "a cloud's metadata service"),
        ("169.254.170.2/32", "a cloud's metadata service"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_V6 = tuple(
    (IPv6Network(network), why)
    for network, why in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4 inside IPv6"),
        ("64:ff9b:1::/48", "NAT64 of a local network"),
        ("fd00:ec2::254/128", "a cloud's metadata service"),
        ("fd20:ce::254/128", "a cloud's metadata service"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "reserved for protocols"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
    )
)
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_PUBLIC_V6 = IPv6Network("2000::/3")
_ISATAP = (0x00005EFE, 0x02005EFE)
_NEVER = "a cloud's metadata service"


def refusal(address: str) -> str | None:
    """Why an address is not reached, in a few words; None if it is of the public internet.

    IPv4 inside IPv6 is judged by the IPv4 address where networks do hand out such addresses (mapped, and the well-known
    prefix of NAT64), and refused where nobody needs it (6to4, Teredo, ISATAP, compatible addresses).
    """
    try:
        read = ip_address(address)
    except ValueError:
        return "no address"
    return _v4(read) if isinstance(read, IPv4Address) else _v6(read)


def is_metadata(address: str) -> bool:
    """True for the addresses at which clouds hand out credentials: no setting opens those."""
    return refusal(address) in (_NEVER, "link-local")


def _v4(address: IPv4Address) -> str | None:
    return next((why for network, why in _V4 if address in network), None)


def _v6(address: IPv6Address) -> str | None:
    if address.scope_id is not None:
        return "of one network interface"
    number = int(address)
    if address in _MAPPED or address in _NAT64:
        return _v4(IPv4Address(number & 0xFFFFFFFF))
    if (number >> 32) & 0xFFFFFFFF in _ISATAP:
        return "ISATAP"
    why = next((why for network, why in _V6 if address in network), None)
    return why or (None if address in _PUBLIC_V6 else "reserved")
