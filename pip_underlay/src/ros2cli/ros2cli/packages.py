"""ros2 pkg."""

from __future__ import annotations

import os
from pathlib import Path

from ament_index_python.packages import (
    get_package_prefix,
    get_packages_with_prefixes,
    PackageNotFoundError,
)


def add_command(commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser('pkg', help='Look packages up')
    verbs = parser.add_subparsers(metavar='Verb', required=True)
    executables = verbs.add_parser('executables', help='List executables')
    executables.add_argument('package_name', nargs='?')
    executables.add_argument('--full-path', action='store_true')
    executables.set_defaults(main=print_executables)
    listing = verbs.add_parser('list', help='List packages')
    listing.set_defaults(main=print_packages)
    prefix = verbs.add_parser('prefix', help='Print the install prefix of a package')
    prefix.add_argument('package_name')
    prefix.add_argument('--share', action='store_true', help='Print the share folder')
    prefix.set_defaults(main=print_prefix)


def find_executables(package: str) -> list[Path]:
    """Find the executables of a package below lib/<package>; PackageNotFoundError if unknown."""
    folder = Path(get_package_prefix(package), 'lib', package)
    return sorted(p for p in folder.rglob('*') if p.is_file() and os.access(p, os.X_OK))


def print_executables(args) -> str | None:
    """Print the executables of a package, or of all."""
    packages = [args.package_name] if args.package_name else sorted(get_packages_with_prefixes())
    try:
        for package in packages:
            for path in find_executables(package):
                print(path if args.full_path else f'{package} {path.name}')
    except (PackageNotFoundError, ValueError):
        return 'Package not found'
    return None


def print_packages(args) -> None:
    """Print all packages."""
    print('\n'.join(sorted(get_packages_with_prefixes())))


def print_prefix(args) -> str | None:
    """Print the prefix or share folder of a package."""
    try:
        prefix = Path(get_package_prefix(args.package_name))
    except (PackageNotFoundError, ValueError):
        return 'Package not found'
    print(prefix / 'share' / args.package_name if args.share else prefix)
    return None
