"""Substitutions that find packages and executables."""

from __future__ import annotations

import os
from pathlib import Path

from ament_index_python.packages import get_package_prefix, get_package_share_directory
from launch.missing import refuse
from launch.substitution import Substitution
from launch.substitutions import PathJoinSubstitution, SubstitutionFailure
from launch.utilities import describe, normalize_to_list_of_substitutions, text_of


class FindPackagePrefix(Substitution):
    """Install prefix of a package."""

    def __init__(self, package) -> None:
        self.package = normalize_to_list_of_substitutions(package)

    def __truediv__(self, part) -> PathJoinSubstitution:
        """Append one part of a path."""
        return PathJoinSubstitution([self, part])

    def describe(self) -> str:
        """Return the package."""
        return f'{self.__class__.__name__}(pkg={describe(self.package)})'

    def perform(self, context) -> str:
        """Look the package up."""
        return get_package_prefix(text_of(context, self.package))


FindPackage = FindPackagePrefix


class FindPackageShare(FindPackagePrefix):
    """Share folder of a package."""

    def perform(self, context) -> str:
        """Look the package up."""
        return get_package_share_directory(text_of(context, self.package))


class ExecutableInPackage(FindPackagePrefix):
    """Path of an executable of a package."""

    def __init__(self, executable, package) -> None:
        super().__init__(package)
        self.executable = normalize_to_list_of_substitutions(executable)

    def describe(self) -> str:
        """Return package and executable."""
        executable, package = describe(self.executable), describe(self.package)
        return f'ExecInPkg(pkg={package}, exec={executable})'

    def perform(self, context) -> str:
        """Look the executable up below lib/<package>."""
        executable = text_of(context, self.executable)
        package = text_of(context, self.package)
        folder = Path(super().perform(context), 'lib', package)
        if not folder.exists():
            raise SubstitutionFailure(
                f"package '{package}' found at '{folder.parent.parent}', but libexec directory "
                f"'{folder}' does not exist"
            )
        path = folder / executable
        if not os.access(path, os.X_OK):
            raise SubstitutionFailure(
                f"executable '{executable}' not found on the libexec directory '{folder}' "
            )
        return str(path)


__getattr__ = refuse(__name__, 'Parameter')
