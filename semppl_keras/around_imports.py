"""Something is done around the imports of modules, whoever imports them."""

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any


class AroundImports(importlib.abc.MetaPathFinder):
    """While it is on `sys.meta_path`, modules are imported within a context.

    Of modules that import each other the outermost one alone: the context is entered
    before anything of it runs, and left when all of it is there.

    Args:
        concerns: Function of a module's full name, whether it is one of these.
        context: Function that gives the context manager.
    """

    def __init__(
        self,
        concerns: Callable[[str], bool],
        context: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._concerns = concerns
        self._context = context
        # Names, not a number: adding one to a set cannot get lost between threads.
        self._running: set[str] = set()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """What the finders behind it find, with a loader that enters the context."""
        if not self._concerns(fullname):
            return None
        finders = sys.meta_path[:]
        # Another thread may have removed this one.
        behind = finders.index(self) + 1 if self in finders else 0
        for finder in finders[behind:]:
            spec = finder.find_spec(fullname, path, target)
            if spec is None:
                continue
            if spec.loader is not None:
                spec.loader = _Loader(spec.loader, self._run)
            return spec
        return None

    def _run(self, name: str, load: Callable[[], None]) -> None:
        if self._running:
            self._load(name, load)
        else:
            with self._context():
                self._load(name, load)

    def _load(self, name: str, load: Callable[[], None]) -> None:
        self._running.add(name)
        try:
            load()
        finally:
            self._running.discard(name)


class _Loader(importlib.abc.Loader):
    """A loader that has another one do it, and leaves no trace in the module."""

    def __init__(
        self,
        loader: importlib.abc.Loader,
        run: Callable[[str, Callable[[], None]], None],
    ) -> None:
        self._loader = loader
        self._run = run

    def __getattr__(self, name: str) -> Any:
        # Its source, its code: `python -m` asks for them without importing.
        return getattr(self._loader, name)

    def create_module(
        self, spec: importlib.machinery.ModuleSpec
    ) -> types.ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        spec = module.__spec__
        assert spec is not None
        spec.loader = module.__loader__ = self._loader
        self._run(spec.name, lambda: self._loader.exec_module(module))
