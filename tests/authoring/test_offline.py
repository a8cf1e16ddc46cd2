import socket

import pytest

from gemini_workshop.authoring.offline import NetworkClosedError, close_network


@pytest.fixture
def closed(monkeypatch):
    """The network, closed for one test."""
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, getattr(socket.socket, name))
    monkeypatch.setattr(socket, "getaddrinfo", socket.getaddrinfo)
    close_network()


@pytest.mark.usefixtures("closed")
class TestClosed:
    @pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "example.org", b"example.org"])
    def test_looking_up_another_machine_is_refused_by_name(self, host):
        with pytest.raises(NetworkClosedError, match=r"tried to reach '(192.0.2.1|2001:db8::1|example.org)'"):
            socket.getaddrinfo(host, 80)

    @pytest.mark.parametrize("method", ["connect", "connect_ex"])
    def test_connecting_to_another_machine_is_refused(self, method):
        with socket.socket() as end, pytest.raises(NetworkClosedError, match=r"192\.0\.2\.1"):
            getattr(end, method)(("192.0.2.1", 80))

    def test_sending_to_another_machine_is_refused(self):
        with socket.socket(type=socket.SOCK_DGRAM) as end, pytest.raises(NetworkClosedError, match=r"192\.0\.2\.1"):
            end.sendto(b"x", ("192.0.2.1", 53))

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_this_machine_can_still_talk_to_itself(self, host):
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection((host, server.getsockname()[1])) as end,
        ):
            assert end.getpeername()[0] == "127.0.0.1"
