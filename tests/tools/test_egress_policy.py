"""Which addresses and hosts a policy of HTTP lets pass, before anything is asked."""

from __future__ import annotations

from ipaddress import IPv6Network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ragweave.orchestrator.errors import ToolError
from ragweave.tools.egress import Egress
from ragweave.tools.egress.addresses import refusal


@pytest.mark.parametrize(
    "address",
    ["93.184.215.14", "8.8.8.8", "1.1.1.1", "2a00:1450:4001:82a::200e", "::ffff:8.8.8.8", "64:ff9b::808:808",
     "192.0.1.1", "100.128.0.1", "172.32.0.1", "2620:fe::fe"],
)  # fmt: skip
def test_public_addresses_are_reached(address: str) -> None:
    assert refusal(address) is None


@settings(max_examples=100, deadline=None)
@given(st.ip_addresses(v=4))
def test_what_python_calls_private_is_never_reached_in_any_dress(address: Any) -> None:
    if address.is_private or address.is_multicast or address.is_reserved or address.is_link_local:
        number = int(address)
        dresses = [str(address), f"::ffff:{address}", f"::{address}", f"64:ff9b::{address}",
                   f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1", f"2a00:1450::5efe:{address}"]  # fmt: skip
        assert all(refusal(dress) for dress in dresses), address


@settings(max_examples=100, deadline=None)
@given(st.ip_addresses(v=6))
def test_what_python_calls_private_is_never_reached_in_ipv6(address: Any) -> None:
    if address.is_private or address.is_multicast or address.is_reserved:
        assert refusal(str(address)) or address.ipv4_mapped or address in IPv6Network("64:ff9b::/96")


@pytest.mark.parametrize(
    ("pattern", "host", "passes"),
    [
        ("example.org", "example.org", True),
        ("example.org", "EXAMPLE.org.", True),
        ("example.org", "www.example.org", False),
        ("example.org", "example.org.evil.com", False),
        ("*.example.org", "a.example.org", True),
        ("*.example.org", "a.b.example.org", True),
        ("*.example.org", "example.org", False),
        ("*.example.org", "evilexample.org", False),
        ("*", "anything.net", True),
        ("münchen.example", "xn--mnchen-3ya.example", False),
        ("8.8.8.8", "8.8.8.8", True),
    ],
)
def test_hosts_are_matched_whole(pattern: str, host: str, passes: bool) -> None:
    if not pattern.isascii():
        with pytest.raises(ValidationError, match="is no host"):
            Egress(hosts=(pattern,))
        return
    policy = Egress(hosts=(pattern,))
    if passes:
        assert policy.target(f"https://{host}/").host == host.lower().rstrip(".")
    else:
        with pytest.raises(ToolError, match="not among the hosts"):
            policy.target(f"https://{host}/")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("localhost:80", "no address with its port"),
        ("127.0.0.1", "no address with its port"),
        ("127.0.0.0/8:80", "no address with its port"),
        ("*:80", "no address with its port"),
        ("127.0.0.1:0", "no address with its port"),
        ("::1:80", "no address with its port"),
        ("169.254.169.254:80", "stays closed"),
        ("[fd00:ec2::254]:80", "stays closed"),
        ("[::ffff:169.254.169.254]:80", "stays closed"),
        ("8.8.8.8:80", "a public address"),
    ],
)
def test_the_inside_is_opened_by_exact_address_and_port_only(entry: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Egress(hosts=("*",), allow_private=(entry,))


@pytest.mark.parametrize("host", ["https://example.org", "example.org:80", "*", "", "*.*", "a b", "[::1]", "ex*.org"])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    if host == "*":
        assert Egress(hosts=(host,)).hosts == ("*",)
        return
    with pytest.raises(ValidationError, match="is no host"):
        Egress(hosts=(host,))


def test_nothing_is_allowed_unless_it_is_named() -> None:
    with pytest.raises(ValidationError):
        Egress(hosts=())
    assert not Egress(hosts=("example.org",)).private
