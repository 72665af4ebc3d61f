"""The commands' end: finds the proxy of a directory, and has it do something.  Blocking."""

import os
import socket
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from sottovoce.admin import AdminConfig
from sottovoce.app.control.orders import Done, Order, socket_path, to_line
from sottovoce.app.control.peers import user_of
from sottovoce.primitives import Secret, SottovoceError, one_line, wipe_bytes
from sottovoce.settings import Configuration, find_file, load

_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 5.0
_MAX_ANSWER_BYTES = 1 << 16


class Unordered(SottovoceError):
    """No proxy does what it was told to; the text says why."""


class NotThere(Unordered):
    """Nobody takes orders where the configuration has it."""


class Found(NamedTuple):
    """Where a proxy tells how it does, and, where that is not its own word, why not: then it may be another's."""

    admin: AdminConfig
    doubt: str = ""


def order(directory: Path, what: Order, share: Secret | None = None) -> Done:
    """Have the proxy that runs over a directory do it.  Raises Unordered, ConfigurationInvalid.

    The caller wipes `share`.
    """
    configuration = load(find_file(directory))
    path = socket_path(configuration.process.ready_file)
    try:
        answer = _exchange(path, what, share, configuration, _PATIENCE_SECONDS)
        done = msgspec.json.decode(answer, type=Done)
    except FileNotFoundError:
        raise Unordered(_nobody(path, "there is no such socket")) from None
    except ConnectionRefusedError:
        raise Unordered(_nobody(path, "a proxy that was killed has left it")) from None
    except TimeoutError:
        text = f"the proxy has not answered at {path} within {_PATIENCE_SECONDS:g} s: see its log"
        raise Unordered(text) from None
    except PermissionError:
        raise Unordered(f"{path} is closed to you: run this as the user who runs the proxy") from None
    except OSError as error:
        raise Unordered(_nobody(path, error.strerror or "it does not answer")) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = f"the proxy gave no answer at {path}: run this as its user, with the version that runs"
        raise Unordered(text) from None
    if done.error:
        raise Unordered(done.error)
    return done


def find_admin(configuration: Configuration) -> Found:
    """Say where the proxy that runs by a configuration tells how it does; it says so itself, since `--set` may differ.

    That is where the configuration has it, with a doubt, if the proxy is another user's, or of a version that does not
    say it.  Raises NotThere where none takes orders: what listens there all the same would be another directory's.
    Raises Unordered where it is being replaced, is stuck, or somebody else listens in its place.
    """
    ready_file = Path(configuration.process.ready_file)
    path = socket_path(str(ready_file))
    try:
        done = msgspec.json.decode(_exchange(path, Order("look"), None, configuration, _LOOK_SECONDS), type=Done)
        if done.admin:
            return Found(AdminConfig(address=done.admin))
        doubt = one_line(done.error) or "it does not say where"
    except FileNotFoundError:
        raise (Unordered(_replaced(ready_file)) if ready_file.exists() else NotThere(_not_running(path))) from None
    except ConnectionRefusedError:
        raise NotThere(_not_running(path)) from None
    except TimeoutError:
        text = f"the proxy has not answered at {path} within {_LOOK_SECONDS:g} s: see its log"
        raise Unordered(text) from None
    except OSError as error:
        doubt = f"{path}: {error.strerror or error}"
    except (ValueError, RecursionError):
        doubt = f"{path}: no answer of this version"
    return Found(configuration.admin, doubt)


def _replaced(ready_file: Path) -> str:
    return (
        f"the proxy is being replaced by a newer program, or was killed in that ({ready_file} is there, and nobody "
        "answers): ask again when the log says replacement.done; if no process runs, start it with: sottovoce serve DIR"
    )


def _not_running(path: Path) -> str:
    return (
        "no proxy runs over this directory, or it is still starting, or it serves with another process.ready_file "
        f"(nobody listens at {path}): start it with: sottovoce serve DIR, or, if it runs with --set, give the URL of "
        "its admin address (event proxy.ready): sottovoce status http://127.0.0.1:PORT"
    )


def _proxys_users(audit: Path) -> set[int]:
    """Give who may be the proxy: our own user, or root; for root it may be whoever keeps the audit log, too."""
    users = {0, os.geteuid()}
    with suppress(FileNotFoundError):
        users.add(audit.stat().st_uid)
    return users


def _exchange(path: Path, what: Order, share: Secret | None, configuration: Configuration, patience: float) -> bytes:
    users = _proxys_users(Path(configuration.audit.file))
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
            connection.settimeout(patience)
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")  # a path has 107 bytes at most
            if (user := user_of(connection)) not in users:  # a share is for nobody else to hear
                raise Unordered(f"user {user} listens at {path}, who does not run the proxy: see who did that")
            connection.sendall(to_line(what))
            if share is not None:
                line = share.copy_for_sealing()
                connection.sendall(line)
                wipe_bytes(line)
                connection.sendall(b"\n")
            answer = b""
            while not answer.endswith(b"\n") and len(answer) < _MAX_ANSWER_BYTES:
                if not (more := connection.recv(_MAX_ANSWER_BYTES)):
                    break
                answer += more
            return answer
    finally:
        os.close(folder)


def _nobody(path: Path, why: str) -> str:
    return f"no proxy takes orders at {path} ({why}): start it with: sottovoce serve DIR"
