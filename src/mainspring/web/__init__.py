"""HTTP over the face: the verbs as a JSON API under `/api/v1`. Needs `mainspring[web]`.

`mainspring web` serves it by itself; `asgi(daemon, authorize=...)` is mounted under a host's own login.
"""

from mainspring.errors import Misuse

try:
    import starlette  # noqa: F401
except ModuleNotFoundError as error:  # pragma: no cover - the extra is there where tests run
    raise Misuse("HTTP needs more packages: pip install 'mainspring[web]'") from error

from mainspring.web.application import asgi
from mainspring.web.roles import Role, Visitor

__all__ = ["Role", "Visitor", "asgi"]
