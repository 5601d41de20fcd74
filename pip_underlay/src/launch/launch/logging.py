"""Print to the screen and to a log file, as launch does."""  # noqa: A005

from __future__ import annotations

from datetime import datetime
import logging
import os
from pathlib import Path
import socket
import sys

from .missing import refuse

SCREEN_FORMAT = '[%(levelname)s] [%(name)s]: %(message)s'
OUTPUTS = {
    'screen': {'stdout': {'screen'}, 'stderr': {'screen'}},
    'log': {'stdout': {'log'}, 'stderr': {'log', 'screen'}},
    'both': {'stdout': {'log', 'screen'}, 'stderr': {'log', 'screen'}},
}


class LaunchConfig:
    """Where the log goes and how much is said."""

    def __init__(self) -> None:
        self.level = logging.INFO
        self._log_dir: Path | None = None
        self._file: logging.Handler | None = None

    @property
    def log_dir(self) -> str:
        """Folder of this launch's log, made when first asked for."""
        if self._log_dir is None:
            home = Path(os.environ.get('ROS_HOME', Path.home() / '.ros'))
            base = Path(os.environ.get('ROS_LOG_DIR', home / 'log'))
            stamp = datetime.now().strftime('%Y-%m-%d-%H-%M-%S-%f')
            self._log_dir = base / f'{stamp}-{socket.gethostname()}-{os.getpid()}'
            self._log_dir.mkdir(parents=True)
        return str(self._log_dir)

    def handler(self, target: str, text: str) -> logging.Handler:
        """Return a handler that prints to 'screen' or 'log' in a format."""
        if target == 'screen':
            handler: logging.Handler = _Screen()
            handler.setFormatter(logging.Formatter(text))
            return handler
        handler = logging.FileHandler(Path(self.log_dir) / 'launch.log')
        handler.setFormatter(logging.Formatter(f'%(created).7f {text}'))
        return handler


class _Screen(logging.StreamHandler):
    """The standard output of the moment."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self):
        return sys.stdout


launch_config = LaunchConfig()


def get_logger(name: str | None = None) -> logging.Logger:
    """Return the logger of launch itself or of one process."""
    return _logger(name or 'root', {'screen', 'log'}, SCREEN_FORMAT)


def get_output_loggers(process_name: str, output) -> tuple[logging.Logger, logging.Logger]:
    """Return where the lines go that a process writes to stdout and to stderr."""
    if isinstance(output, str) and output not in OUTPUTS:
        raise NotImplementedError(f"output='{output}' of a process")
    chosen = OUTPUTS[output] if isinstance(output, str) else _spelled_out(output)
    stdout, stderr = (
        _logger(f'{process_name}-{stream}', chosen[stream], '%(message)s')
        for stream in ('stdout', 'stderr')
    )
    return stdout, stderr


def _spelled_out(output: dict) -> dict[str, set[str]]:
    """Read {'stdout' | 'stderr' | 'both': target or targets}."""
    sets = {k: {v} if isinstance(v, str) else set(v) for k, v in output.items()}
    both = sets.get('both', set())
    return {stream: sets.get(stream, set()) | both for stream in ('stdout', 'stderr')}


def _logger(name: str, targets: set[str], text: str) -> logging.Logger:
    logger = logging.getLogger(name)
    logger.setLevel(launch_config.level)
    if not logger.handlers:
        logger.propagate = False
        for target in sorted(targets):
            logger.addHandler(launch_config.handler(target, text))
    return logger


__getattr__ = refuse(
    __name__, 'get_log_file_path', 'get_output_loggers_by_stream', 'getLogger', 'reset'
)
