"""Puts a defect into a module of the product while a process imports it."""

from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

Spoil = Callable[[ModuleType], None]
"""What is done to a module once it is there."""


class _Spoiling(Loader):
    def __init__(self, loader: Loader, spoil: Spoil) -> None:
        self._loader = loader
        self._spoil = spoil

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._spoil(module)


class Finder(MetaPathFinder):
    """Finds a module as always, and has it spoilt once it is there.

    Args:
        module: The module's name.
        spoil: What is done to it.
    """

    def __init__(self, module: str, spoil: Spoil) -> None:
        self._module, self._spoil = module, spoil

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if fullname != self._module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Spoiling(spec.loader, self._spoil)
        return spec
