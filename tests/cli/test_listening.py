"""Where a server of ragctx listens, and of whom it demands a token."""

from __future__ import annotations

import pytest

pytest.importorskip("starlette", reason="needs the extra ragctx[serve]")

from ragctx.cli.listening import TOKEN_VARIABLE, Address, is_made_up
from ragctx.errors import InputError, RagctxError

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


def address(host: str = "127.0.0.1", *hosts: str, port: int = 0) -> Address:
    return Address(host=host, port=port, hosts=hosts)


def test_on_loopback_nothing_is_demanded() -> None:
    guard = address().guard()
    assert guard.token == "" and guard.hosts == frozenset() and not is_made_up(guard)


@pytest.mark.parametrize("given", [address("0.0.0.0"), address("127.0.0.1", "Docs.Example.org")])
def test_elsewhere_a_new_token_is_made_up_each_time(given: Address) -> None:
    first, second = given.guard(), given.guard()
    assert len(first.token) >= 32 and first.token != second.token and is_made_up(first)
    assert {name.lower() for name in given.hosts} <= first.hosts


def test_the_user_s_own_token_is_demanded_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, " secret \n")
    for given in (address(), address("0.0.0.0")):
        guard = given.guard()
        assert guard.token == "secret" and not is_made_up(guard)


@pytest.mark.parametrize("token", ["with space", "semi;colon", 'quo"te', "clé", "a\x07b"])
def test_a_token_that_no_header_may_have_is_refused(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    with pytest.raises(InputError, match="RAGCTX_TOKEN has characters"):
        address().guard()


def test_an_address_that_is_taken_is_one_line() -> None:
    with address().listen().taken as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RagctxError, match=f"port {port}: .*; name another --host or --port"):
            address(port=port).listen()


def test_the_url_is_one_that_this_computer_can_open() -> None:
    listening = address().listen()
    with listening.taken as taken:
        assert listening.url == f"http://127.0.0.1:{taken.getsockname()[1]}"
