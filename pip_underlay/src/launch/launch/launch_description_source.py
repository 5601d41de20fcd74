"""Where a launch description comes from."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from pathlib import Path

from .launch_description import LaunchDescription
from .utilities import describe, normalize_to_list_of_substitutions, text_of


class InvalidPythonLaunchFileError(Exception):
    """The launch file has no generate_launch_description()."""


class InvalidLaunchFileError(Exception):
    """The launch file is none that can be read."""


class LaunchDescriptionSource:
    """A description, or the substitutions that give the path of a launch file."""

    def __init__(
        self,
        launch_description: LaunchDescription | None = None,
        location=None,
        method: str = 'unspecified mechanism from a script',
    ) -> None:
        self._description = launch_description
        self._location = None if location is None else normalize_to_list_of_substitutions(location)
        self.method = method

    @property
    def location(self) -> str:
        """Path of the file, or a text that describes it before it is known."""
        if isinstance(self._location, str):
            return self._location
        return describe(self._location or [])

    def get_launch_description(self, context) -> LaunchDescription:
        """Return the description, loading it the first time."""
        if self._location is not None and not isinstance(self._location, str):
            self._location = str(Path(text_of(context, self._location)).absolute())
        if self._description is None:
            self._description = self._load(Path(self._location))
        return self._description

    def try_get_launch_description_without_context(self) -> LaunchDescription | None:
        """Return the description if that takes no context, else None."""
        from .launch_context import LaunchContext

        try:
            return self.get_launch_description(LaunchContext())
        except Exception:
            return None

    def _load(self, path: Path) -> LaunchDescription:
        """Load a Python launch file."""
        return load_python_launch_file(path)


def load_python_launch_file(path: Path) -> LaunchDescription:
    """Execute a launch file and call its generate_launch_description()."""
    if not path.exists():
        raise FileNotFoundError(f"[Errno 2] No such file or directory: '{path}'")
    loader = importlib.machinery.SourceFileLoader('python_launch_file', str(path))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    if not hasattr(module, 'generate_launch_description'):
        raise InvalidPythonLaunchFileError(
            f"launch file at '{path}' does not contain the required function "
            "'generate_launch_description()'"
        )
    return module.generate_launch_description()
