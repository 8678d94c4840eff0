"""Which addresses an HTTP origin may have: the public internet, and nothing that only this machine can reach.

The attack (server-side request forgery): a host name, a redirect or an address in an odd spelling points at the cloud's
metadata service, at the cluster or at this machine itself, which trust whoever can reach them. Three walls:

1. `is_public` knows every range that is not the public internet, and unwraps the ways in which IPv6 hides IPv4:
   `ipaddress.is_global` calls some of them global.
2. `CheckedResolver` looks every name up once, and the connection goes to the very addresses it has checked. A name that
   turns private between two look-ups (DNS rebinding) finds no second look-up. One private address among public ones
   refuses them all: such a name is an attack or a mistake.
3. Literal addresses never reach a resolver in aiohttp, so `check_literal` looks at them before a request is made; odd
   spellings (`0x7f.1`, `2130706433`, `127.1`), which the system's resolver would understand, are refused as such.
"""

from __future__ import annotations

import ipaddress
import re
import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from proxy.errors import OriginRefused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PRIVATE_4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network; 0.0.0.0 reaches loopback
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier NAT; also what clouds give pods and metadata services
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local: cloud metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
"""All that is assigned for the public internet: everything else is private, reserved, link-local or multicast."""
_PRIVATE_6 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo (which hides IPv4), benchmarking, ORCHID …
        "2001:db8::/32",  # documentation
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_ISATAP = re.compile(rb".{8}[\x00\x02]\x00\x5e\xfe", re.DOTALL)
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?", re.IGNORECASE)


def is_public(address: Address) -> bool:
    """Whether `address` belongs to the public internet, and so does every address hidden in it."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _PRIVATE_4)
    if address.scope_id is not None:
        return False
    hidden = _hidden(address)
    if hidden and not all(map(is_public, hidden)):
        return False
    if address in _NAT64[0] or address.ipv4_mapped is not None:
        return True
    return address in _PUBLIC_6 and not any(address in network for network in _PRIVATE_6)


def _hidden(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses inside an IPv6 address, by which a translator or tunnel on the way would deliver to them."""
    packed = address.packed
    last = ipaddress.IPv4Address(packed[12:])
    found: list[ipaddress.IPv4Address] = []
    if address.ipv4_mapped is not None or packed[:12] == bytes(12) or any(address in network for network in _NAT64):
        found.append(last)
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if _ISATAP.match(packed):
        found.append(last)
    return found


def check_literal(host: str, *, private: bool) -> None:
    """Raise OriginRefused if `host` is an address that may not be asked, or one in an odd spelling."""
    if not host.isascii():
        # Full-width digits are an address to the system's resolver, and to aiohttp a reason not to ask ours.
        raise OriginRefused("the origin's host is not written in ASCII")
    bare = host.strip("[]")
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        if _NUMERIC.fullmatch(bare):
            raise OriginRefused("the origin's host is an address in an odd spelling") from None
        return
    if not private and not is_public(address):
        raise OriginRefused("the origin's address is not public")


class CheckedResolver(AbstractResolver):
    """Look names up with `inner` and refuse those that lead to a private address."""

    def __init__(self, inner: AbstractResolver, *, private: bool) -> None:
        self._inner = inner
        self._private = private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host`; OSError, as the library expects, if one of them may not be asked."""
        found = await self._inner.resolve(host, port, family)
        if not self._private:
            for result in found:
                if not is_public(ipaddress.ip_address(result["host"])):
                    raise PrivateAddress(f"{host} has an address that is not public")
        return found

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()


class PrivateAddress(OSError):
    """A name leads to an address that may not be asked."""
