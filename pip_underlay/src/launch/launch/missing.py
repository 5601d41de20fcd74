"""Refuse, by name, what upstream has and the stand-in has not."""

from __future__ import annotations

from collections.abc import Callable


def refuse(module: str, *names: str) -> Callable[[str], object]:
    """Return a module's __getattr__ that raises NotImplementedError for the given names."""

    def __getattr__(name: str) -> object:  # noqa: N807
        if name in names:
            raise NotImplementedError(f'{module}.{name} is not in the stand-in: it needs ROS 2')
        raise AttributeError(f'module {module!r} has no attribute {name!r}')

    return __getattr__
