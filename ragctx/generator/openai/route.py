"""The way to a server: straight, or through the proxy that the environment names for it."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What to connect to. A `tunnel` is asked of a proxy for a server that speaks HTTPS."""

    host: str
    port: int | None
    is_secure: bool  # whether the server's own TLS is spoken over the connection
    is_proxy: bool = False
    tunnel: tuple[str, int] | None = None
    proxy_headers: dict[str, str] = field(default_factory=dict, repr=False)


def route_to(url: str) -> Route:
    """The way to `url`. This machine's own servers are never asked through a proxy.

    The environment is read as by most programs: http_proxy, https_proxy, all_proxy, no_proxy.

    >>> route_to("http://127.0.0.1:8000/v1").is_proxy
    False
    """
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    host, is_secure = str(parts.hostname), parts.scheme == "https"
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or host in _LOOPBACK or proxy_bypass(host):
        return Route(host=host, port=parts.port, is_secure=is_secure)
    through = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    user = unquote(through.username or "")
    secret = b64encode(f"{user}:{unquote(through.password or '')}".encode()).decode()
    return Route(
        host=str(through.hostname),
        port=through.port or 8080,
        is_secure=is_secure,
        is_proxy=True,
        tunnel=(host, parts.port or 443) if is_secure else None,
        proxy_headers={"Proxy-Authorization": f"Basic {secret}"} if user else {},
    )
