"""Which addresses an origin may have."""

from __future__ import annotations

import ipaddress

import pytest

from proxy.errors import OriginRefused
from proxy.stores.addresses import check_literal, is_public

PRIVATE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255",
    "127.0.0.1", "127.1.2.3", "127.255.255.255", "169.254.0.1", "169.254.169.254", "169.254.170.2",
    "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1",
    "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
    "240.0.0.1", "255.255.255.255",
    "::", "::1", "::2", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "ff0e::1",
    "100::1", "2001:db8::1", "2001:2::1", "2001:10::1", "2001:20::1", "3fff::1", "4000::1", "5f00::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::ffff:0:0",  # mapped
    "::127.0.0.1", "::10.0.0.1", "::8.8.8.8",  # compatible: obsolete, and never public
    "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:1::1",  # 6to4
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1",  # NAT64
    "64:ff9b:1::7f00:1", "64:ff9b:1::8.8.8.8", "64:ff9b:1:a00:0:100::",  # NAT64 for local use
    "2001:0:7f00:1::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo
    "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:127.0.0.1", "fe80::5efe:8.8.8.8",  # ISATAP
]  # fmt: skip

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0",
    "198.17.255.255", "198.20.0.0", "223.255.255.255",
    "2606:4700::1111", "2a00:1450:4001::1", "2600::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1",
    "2606:4700::5efe:8.8.8.8",
]  # fmt: skip

ODD = [
    "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "127.1", "127.0.1", "127.0.0.1.", "0", "0x0",
    "127.0.0.0x1", "1.1.1.1.", "10.1", "１２７.0.0.1", "127。0。0。1", "ⓛocalhost", "²",
]  # fmt: skip


@pytest.mark.parametrize("text", PRIVATE)
def test_private(text: str) -> None:
    """Every range that is not the public internet, and each disguise of one in IPv6, is private."""
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public(text: str) -> None:
    """The neighbours of the private ranges are public, and so is a disguise of a public address."""
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("host", ODD)
@pytest.mark.parametrize("private", [False, True])
def test_odd_spellings(host: str, private: bool) -> None:
    """What some resolvers take for an address and others for a name is refused, whatever is allowed."""
    with pytest.raises(OriginRefused):
        check_literal(host, private=private)


@pytest.mark.parametrize(
    "host", ["example.com", "1.example.com", "0x7f.example", "xn--bcher-kva.example", "a", "deadbeef"]
)
def test_names_are_left_to_the_resolver(host: str) -> None:
    """A name is no literal: its addresses are checked when they are known."""
    check_literal(host, private=False)


@pytest.mark.parametrize("host", PRIVATE)
def test_private_literals(host: str) -> None:
    """A private literal is refused by default and allowed where the settings say so."""
    with pytest.raises(OriginRefused):
        check_literal(host, private=False)
    check_literal(host, private=True)
