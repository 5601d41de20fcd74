"""Configuration: defaults, conversions, ranges, unknown keys, and the words of every error."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
import pytest
from xmodelkd_ros.config import describe_range, from_mapping, read_mapping, setting, to_mapping
from xmodelkd_ros.errors import ConfigurationError
import yaml


@dataclasses.dataclass(frozen=True)
class Inner:
    rate: float = setting(10.0, 'Rate.', unit='Hz', low=0.1, high=100.0)


@dataclasses.dataclass(frozen=True)
class Outer:
    name: str = setting('front', 'Name.')
    count: int = setting(3, 'Count.', low=1)
    mode: str = setting('a', 'Mode.', choices=('a', 'b'))
    sizes: tuple[int, ...] = setting((1, 2), 'Sizes.', low=0)
    limit: float | None = setting(None, 'Limit.', high=1.0)
    on: bool = setting(True, 'Switch.')
    extra: dict[str, float] = setting({}, 'Extra.')
    inner: Inner = setting(Inner(), 'Inner.')


def test_defaults_are_not_shared():
    first, second = Outer(), Outer()
    first.extra['x'] = 1.0
    assert second.extra == {}


@pytest.mark.parametrize(
    ('values', 'key', 'word'),
    [
        ({'nmae': 'x'}, 'nmae', 'unknown key, did you mean name?'),
        ({'zzz': {'a': 1}}, 'zzz', '{...} is not allowed: unknown key, known are count, extra, '),
        ({2: 'x'}, '2', 'unknown key'),
        ({'inner': {'rat': 1}}, 'inner.rat', 'unknown key'),
        ({'inner': {'rate': 0}}, 'inner.rate', '0.1 to 100 Hz'),
        ({'inner': 3}, 'inner', 'a mapping'),
        ({'count': 0}, 'count', '1 to inf'),
        ({'count': 2.5}, 'count', 'an int, 1 to inf'),
        ({'count': True}, 'count', 'an int'),
        ({'on': 1}, 'on', 'a bool'),
        ({'mode': 1}, 'mode', 'a str, one of a, b'),
        ({'mode': 'c'}, 'mode', 'one of a, b'),
        ({'sizes': [3, -1]}, 'sizes', '= -1 is not allowed: 0 to inf'),
        ({'sizes': 3}, 'sizes', 'a list of int, 0 to inf'),
        ({'limit': 2.0}, 'limit', '-inf to 1'),
        ({'inner': {'rate': float('nan')}}, 'inner.rate', '0.1 to 100 Hz'),
    ],
)
def test_bad_values_name_key_value_and_range(values, key, word):
    with pytest.raises(ConfigurationError) as caught:
        from_mapping(Outer, values)
    assert str(caught.value).startswith(f'{key} = ')
    assert word in str(caught.value)
    assert '\n' not in str(caught.value)


@given(st.integers(1, 9), st.sampled_from('ab'), st.floats(0.1, 100.0))
def test_round_trip(count, mode, rate):
    config = from_mapping(Outer, {'count': count, 'mode': mode, 'inner': {'rate': rate}})
    assert from_mapping(Outer, to_mapping(config)) == config
    assert yaml.safe_load(yaml.safe_dump(to_mapping(config))) == to_mapping(config)


def test_int_is_a_float_and_list_is_a_tuple():
    config = from_mapping(Outer, {'inner': {'rate': 5}, 'sizes': [4], 'limit': None})
    assert isinstance(config.inner.rate, float) and config.sizes == (4,)


@pytest.mark.parametrize(
    ('content', 'reason'), [
        (None, 'No such file'), (b'a: [\n', 'expected the node content'), (b'- 1', 'a mapping'),
        (b'', 'a mapping'), (b'a: \xff', 'utf-8'), (b'a: 2024-13-01', 'month'),
    ]
)
def test_what_is_no_yaml_mapping_is_one_line(tmp_path, content, reason):
    path = tmp_path / 'map.yaml'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f'^table = .*map.yaml.* a YAML file.*{reason}') \
            as caught:
        read_mapping(path, 'table')
    assert '\n' not in str(caught.value)


def test_describe_range():
    fields = {field.name: field for field in dataclasses.fields(Outer)}
    assert describe_range(fields['mode']) == 'one of a, b'
    assert describe_range(fields['name']) == 'any'
    assert describe_range(fields['on']) == 'true or false'
