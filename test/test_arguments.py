"""Command lines and YAML files as doors to the configuration classes."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
from pathlib import Path
import subprocess
import sys

import pytest
from xmodelkd_ros.cli.arguments import add_options, config_from_options
from xmodelkd_ros.cli.command import command
from xmodelkd_ros.config import setting, to_mapping
from xmodelkd_ros.errors import ConfigurationError
from xmodelkd_ros.evaluation.run_file import write_run

MODEL = Path(__file__).parents[1] / 'models' / 'point_hdl64e_simulated.safetensors'


@dataclasses.dataclass(frozen=True)
class Inner:
    rate: float = setting(10.0, 'Rate.', unit='Hz', low=0.1, high=100.0)


@dataclasses.dataclass(frozen=True)
class Outer:
    name: str = setting('front', 'Name.')
    sizes: tuple[int, ...] = setting((1, 2), 'Sizes in %.', low=0)
    on_top: bool = setting(False, 'Switch.')
    inner: Inner = setting(Inner(), 'Inner.')


def read(*arguments: str) -> Outer:
    parser = argparse.ArgumentParser()
    add_options(parser, Outer)
    return config_from_options(parser.parse_args(arguments), Outer)


def test_nothing_given_is_the_default():
    assert read() == Outer()


def test_options_reach_nested_fields_and_sequences():
    config = read('--inner.rate', '5', '--sizes', '3', '4', '--on-top', 'true', '--name', 'x')
    assert config == Outer('x', (3, 4), True, Inner(5.0))


def test_text_stays_text():
    assert read('--name', '02').name == '02'


def test_the_command_line_wins_over_the_file(tmp_path):
    path = tmp_path / 'config.yaml'
    path.write_text('name: file\ninner: {rate: 2}\n')
    assert read('--config', str(path), '--name', 'line') == Outer('line', inner=Inner(2.0))


def test_what_a_run_wrote_is_a_configuration(tmp_path):
    path = tmp_path / 'run.yaml'
    config = Outer('run', inner=Inner(3.0))
    write_run(path, to_mapping(config))
    assert read('--config', str(path)) == config


@pytest.mark.parametrize(
    ('text', 'word'), [
        ('nmae: x', 'nmae'), ('- 1', 'a mapping'), ('configuration: 5', 'a mapping'),
        ('a: [', 'a YAML file'), (b'\xff\xfe\x00\x9c', 'a YAML file'),
    ]
)
def test_bad_files_are_one_line(tmp_path, text, word):
    path = tmp_path / 'config.yaml'
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError, match=word) as caught:
        read('--config', str(path))
    assert '\n' not in str(caught.value)


def test_help_shows_unit_range_and_default(capsys):
    with pytest.raises(SystemExit):
        read('--help')
    shown = ' '.join(capsys.readouterr().out.split())
    assert 'Rate [Hz]; 0.1 to 100 Hz (default: 10.0)' in shown and 'Sizes in %; ' in shown


def test_a_command_turns_user_errors_into_one_line_and_code_2(capsys):
    @command
    def main(args=None):
        raise ConfigurationError('inner.rate', 0, '0.1 to 100 Hz')

    assert main([]) == 2
    assert capsys.readouterr().err == 'error: inner.rate = 0 is not allowed: 0.1 to 100 Hz\n'


@pytest.mark.parametrize(('module', 'arguments'), [
    ('demo', ['--out', 'FILE']),
    ('benchmark', ['--out', 'FILE']),
    ('train', ['point', '--drives', 'DRIVE', '--validation', 'DRIVE', '--out', 'FILE']),
    ('train', ['video', '--drives', 'DRIVE', '--validation', 'DRIVE', '--out', 'FILE/out']),
    ('evaluate', ['point', 'DRIVE', '--model', str(MODEL), '--cache', 'FILE']),
])
def test_a_command_turns_an_unusable_path_into_one_line_and_code_2(
    tmp_path, capsys, module, arguments
):
    file, drive = tmp_path / 'file', tmp_path / 'drive'
    file.touch()
    drive.mkdir()
    (drive / 'metadata.yaml').touch()
    if module == 'train':
        pytest.importorskip('pytorch_lightning')
    main = importlib.import_module(f'xmodelkd_ros.cli.{module}').main
    placed = [
        word.replace('FILE', str(file)).replace('DRIVE', str(drive)) for word in arguments]
    assert main(placed) == 2
    shown = capsys.readouterr().err
    assert shown.startswith('error: ') and str(file) in shown
    assert shown.count('\n') == 1


def test_a_command_whose_reader_has_gone_ends_in_silence():
    code = (
        'import sys\nfrom xmodelkd_ros.cli.command import command\n'
        '@command\ndef main(args=None):\n'
        '    for _ in range(100000):\n        print("word" * 100)\n    return 0\n'
        'sys.exit(main())'
    )
    with subprocess.Popen([sys.executable, '-c', code], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ''
    assert process.returncode == 141


def test_a_command_turns_a_missing_package_into_one_line_and_code_2(capsys):
    @command
    def main(args=None):
        import no_such_package  # noqa: F401

    assert main([]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: No module named 'no_such_package'; the files in requirements/")
    assert shown.count('\n') == 1
