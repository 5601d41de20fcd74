"""What may be given where text is expected."""

from collections.abc import Iterable
from pathlib import Path
from typing import Union

from .substitution import Substitution

SomeSubstitution = Union[str, Path, Substitution]  # noqa: UP007
SomeSubstitutionsType = Union[SomeSubstitution, Iterable[SomeSubstitution]]  # noqa: UP007
SomeSubstitutionsType_types_tuple = (str, Path, Substitution, Iterable)
