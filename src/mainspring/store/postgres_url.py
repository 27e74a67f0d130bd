"""The URL of a store on PostgreSQL, as messages may show it."""

from urllib.parse import parse_qsl, urlsplit


def shown(url: str) -> str:
    """The URL without a password."""
    parts = urlsplit(url)
    user = parts.username or ""
    host = parts.netloc.rpartition("@")[2]
    query = "&".join(f"{name}={value}" for name, value in parse_qsl(parts.query) if "pass" not in name)
    return f"postgresql://{f'{user}@' if user else ''}{host}{parts.path}{f'?{query}' if query else ''}"
