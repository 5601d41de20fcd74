"""What every command shares: one clear line and exit code 2 for errors that are the user's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools
import os
import signal
import sys

from ..errors import describe_missing, XModelKDError

Main = Callable[[Sequence[str] | None], int]


def command(main: Main) -> Callable[..., int]:
    """
    Wrap a command's main.

    User errors, unusable paths and missing packages become one line on stderr and their exit
    code; SIGTERM unwinds as Ctrl-C does, so that nothing half-written stays. Where nobody reads
    on, as after `| head`, the command ends in silence.
    """

    @functools.wraps(main)
    def wrapped(args: Sequence[str] | None = None) -> int:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            return main(args)
        except XModelKDError as error:
            print(f'error: {error}', file=sys.stderr)
            return error.exit_code
        except ModuleNotFoundError as error:
            print(f'error: {describe_missing(error)}', file=sys.stderr)
            return XModelKDError.exit_code
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python complains when it flushes
            return 128 + signal.SIGPIPE
        except OSError as error:
            told = error.strerror or ' '.join(str(error).split())
            where = '' if error.filename is None else f'{error.filename}: '
            print(f'error: {where}{told}', file=sys.stderr)
            return XModelKDError.exit_code
        except KeyboardInterrupt:
            print('interrupted', file=sys.stderr)
            return 130
        finally:
            signal.signal(signal.SIGTERM, before)

    return wrapped
