"""Addresses of agents are taken apart, or refused with what is allowed."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.devices.address import Address, parse_address
from edgewright_contract.errors import EdgewrightError, ErrorCode

PORTS = st.integers(1, 65535)


@given(st.ip_addresses(v=4), PORTS)
def test_ipv4_round_trip(host: ipaddress.IPv4Address, port: int) -> None:
    """Text, parsed and written again, is the same; loopback is known as such."""
    address = parse_address(f"{host}:{port}")

    assert str(address) == f"{host}:{port}"
    assert address.is_loopback == host.is_loopback


@given(st.ip_addresses(v=6), PORTS)
def test_ipv6_round_trip(host: ipaddress.IPv6Address, port: int) -> None:
    """IPv6 stands in brackets."""
    assert parse_address(f"[{host}]:{port}") == Address(str(host), port)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_clear_error(text: str) -> None:
    """No text leaves as anything but an address or ADDRESS_INVALID."""
    try:
        address = parse_address(text)
    except EdgewrightError as error:
        assert error.code is ErrorCode.ADDRESS_INVALID
        assert error.hint
    else:
        assert 1 <= address.port <= 65535


@pytest.mark.parametrize("text", ["", "host", "host:", ":80", "host:0", "host:65536", "a b:80", "http://h:80", "h:8o"])
def test_wrong_addresses(text: str) -> None:
    """The usual slips are refused, quoting what was given."""
    with pytest.raises(EdgewrightError) as caught:
        parse_address(text)

    assert caught.value.code is ErrorCode.ADDRESS_INVALID
    assert repr(text) in caught.value.message
