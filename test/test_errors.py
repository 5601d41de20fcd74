"""What is said of a package that is not installed."""

from __future__ import annotations

import sys

import pytest
from xmodelkd_ros.errors import describe_missing, MissingDependencyError, needed


def test_a_missing_package_is_named_with_what_needs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, 'scipy.spatial', None)
    with pytest.raises(MissingDependencyError) as caught, needed('group points'):
        import scipy.spatial  # noqa: F401
    assert str(caught.value) == 'scipy is needed to group points: pip install scipy'


def test_what_a_library_says_of_itself_is_its_first_line():
    with pytest.raises(MissingDependencyError, match=r'^timm is needed to look'), needed('look'):
        raise ImportError('timm\nfurther lines')


def test_other_errors_pass():
    with pytest.raises(ValueError, match='other'), needed('look'):
        raise ValueError('other')


def test_what_nobody_expected_to_be_missing_is_one_line():
    said = describe_missing(ModuleNotFoundError("No module named 'x'"))
    assert said.startswith("No module named 'x'; ") and '\n' not in said
