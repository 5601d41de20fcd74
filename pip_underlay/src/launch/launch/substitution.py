"""Base of everything that becomes text when the launch runs."""

from __future__ import annotations


class Substitution:
    """Text that is known only when the launch runs."""

    def describe(self) -> str:
        """Return a text for people, without a context."""
        return self.__class__.__name__

    def perform(self, context) -> str:
        """Return the text in this context."""
        raise NotImplementedError(f'{self.__class__.__name__}.perform')
