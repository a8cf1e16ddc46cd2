import socket

import pytest

from gemini_workshop.data.scraping import addresses
from gemini_workshop.data.scraping.addresses import PublicTransport, is_public, public_address
from gemini_workshop.data.scraping.faults import PageFault, PassingFault

PRIVATE = [
    *("127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254"),
    *("100.64.0.1", "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
    *("::", "::1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "ff02::1", "2001:db8::1"),
    *("::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::"),
]
PUBLIC = ["1.1.1.1", "93.184.215.14", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_on_the_public_internet_is_known(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_known(address):
    assert is_public(address)


def lookup(*found: str):
    return lambda host, port, **options: [(socket.AF_INET, 1, 6, "", (address, port)) for address in found]


def test_a_name_that_leads_to_a_private_address_among_others_is_refused(monkeypatch):
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lookup("1.1.1.1", "10.0.0.7"))
    with pytest.raises(PageFault, match=r"intranet\.example leads to 10\.0\.0\.7") as caught:
        public_address("intranet.example", 80)
    assert caught.value.reason == "private address"


def test_a_name_that_leads_nowhere_may_lead_somewhere_later(monkeypatch):
    def fail(*args, **options):
        raise socket.gaierror("no such name")

    monkeypatch.setattr(addresses.socket, "getaddrinfo", fail)
    with pytest.raises(PassingFault, match=r"nowhere\.example cannot be looked up: no such name"):
        public_address("nowhere.example", 80)


def test_a_name_without_meaning_is_a_fault_and_no_crash():
    with pytest.raises(PassingFault, match="cannot be looked up"):
        public_address("a" * 80 + ".example", 80)


def test_no_connection_is_kept():
    """A kept one could serve another name of the same address, its certificate unchecked."""
    assert PublicTransport()._inner._pool._max_keepalive_connections == 0


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch):
    """A name may lead elsewhere a moment later; the second look-up would not be checked."""
    import httpx

    sent = []
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lookup("93.184.215.14"))
    transport = PublicTransport()
    monkeypatch.setattr(transport._inner, "handle_request", lambda request: sent.append(request) or httpx.Response(200))
    with httpx.Client(transport=transport, trust_env=False) as client:
        response = client.get("https://example.org/page?x=1")
    assert sent[0].url == "https://93.184.215.14/page?x=1"
    assert sent[0].headers["host"] == "example.org"
    assert sent[0].extensions["sni_hostname"] == "example.org"
    assert response.url == "https://example.org/page?x=1"
