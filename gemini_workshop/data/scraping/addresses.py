"""Which machines may be asked: those of the public internet, wherever a name or a redirect leads.

A page can redirect to http://169.254.169.254/, where some clouds keep passwords, or to a printer in the same house,
and a name can lead there too. So every name is looked up here, once, and the connection goes to the address that was
checked, not to what the name may mean a moment later.
"""

import ipaddress
import socket
from collections.abc import Collection

import httpx

from gemini_workshop.data.scraping.faults import PageFault, PassingFault

PORTS = {"http": 80, "https": 443}


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, also where IPv6 only wraps an IPv4 address.

    Example:
        >>> [is_public(a) for a in ("93.184.215.14", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1")]
        [True, False, False, False, False]
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None) or _behind_nat64(ip)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


def _behind_nat64(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    is_translated = ip in ipaddress.IPv6Network("64:ff9b::/96")
    return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if is_translated else None


def public_address(host: str, port: int) -> str:
    """The address to connect to.

    Raises:
        PageFault: the name leads, also, to a machine that is not public.
        PassingFault: the name leads nowhere.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise PassingFault("unreachable", f"{host} cannot be looked up: {error}") from None
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not is_public(address):
            raise PageFault("private address", f"{host} leads to {address}, which is not on the public internet")
    return addresses[0]


class PublicTransport(httpx.BaseTransport):
    """Sends requests to public addresses alone.

    Args:
        allowed: "host:port" to be asked all the same, as written in the URL: a server of one's own.
    """

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self.allowed = frozenset(allowed)
        # A kept connection could be used again for another name of the same address, its certificate unchecked.
        self._inner = httpx.HTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Look the host up, check it, and send the request to the address found, still under the name of the host."""
        url, host = request.url, request.url.host
        port = url.port or PORTS[url.scheme]
        if f"{host}:{port}" in self.allowed:
            return self._inner.handle_request(request)
        address = public_address(host, port)
        aimed = httpx.Request(
            request.method,
            url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions | {"sni_hostname": host},
        )
        return self._inner.handle_request(aimed)

    def close(self) -> None:
        """Hang up wherever a connection is open; others can be opened after that."""
        self._inner.close()
