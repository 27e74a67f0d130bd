"""What this process tells the processes that run its tasks, so that they find the same functions under the same names.

As multiprocessing's "spawn" does it: the same import path, directory and arguments, and the main script imported under
another name, so that what it has under `if __name__ == "__main__":` is not done again.
"""

import os
import sys
from collections.abc import Sequence

from mainspring.engine.child_messages import Setup
from mainspring.tasks.names import main_file


def here(
    *,
    app: str | None = None,
    script: bool = True,
    directory: str | None = None,
    allow: Sequence[str] = (),
    environ: dict[str, str] | None = None,
    max_tasks: int | None = None,
    max_memory: int | None = None,
    log_level: int = 20,
) -> Setup:
    """The setup for children of this process, as it is now.

    Not `script`: the main script is the command line's own. Nor is it theirs to import with an `app`.
    """
    file, name = main_script() if script and app is None else (None, None)
    return Setup(
        path=tuple(sys.path),
        cwd=os.getcwd(),
        argv=tuple(sys.argv),
        app=app,
        main=file,
        main_module=name,
        directory=os.getcwd() if directory is None else directory,
        allow=tuple(allow),
        environ=environ or {},
        max_tasks=max_tasks,
        max_memory=max_memory,
        log_level=log_level,
    )


def main_script() -> tuple[str | None, str | None]:
    """The running script as (path, None), or (path, name) when it was started with `-m`.

    (None, None) for a prompt, `-c` or standard input, whose functions no other process can reach.
    """
    file = main_file()
    if file is None:
        return None, None
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return os.path.abspath(file), None if spec is None else spec.name
