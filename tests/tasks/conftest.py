"""Modules that are written for one test."""

import importlib
import sys
from pathlib import Path

import pytest


class ModuleMaker:
    """Writes modules into a directory that is on the import path for one test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.made: set[str] = set()

    def write(self, name: str, text: str) -> Path:
        path = self.directory.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.made.add(name.partition(".")[0])
        importlib.invalidate_caches()
        return path

    def load(self, name: str):
        return importlib.import_module(name)


@pytest.fixture
def module(tmp_path, monkeypatch):
    directory = tmp_path / "work"
    directory.mkdir()
    monkeypatch.syspath_prepend(directory)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    maker = ModuleMaker(directory)
    yield maker
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in maker.made:
            del sys.modules[name]
