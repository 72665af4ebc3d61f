"""The commands' end: finds the proxy of a directory, and has it do something.  Blocking."""

import os
import socket
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from sottovoce.app.control.orders import Done, Order, socket_path, to_line
from sottovoce.app.control.peers import user_of
from sottovoce.primitives import Secret, SottovoceError, wipe_bytes
from sottovoce.settings import find_file, load

_PATIENCE_SECONDS = 60.0
_MAX_ANSWER_BYTES = 1 << 16


class Unordered(SottovoceError):
    """No proxy does what it was told to; the text says why."""


def order(directory: Path, what: Order, share: Secret | None = None) -> Done:
    """Have the proxy that runs over a directory do it.  Raises Unordered, ConfigurationInvalid.

    The caller wipes `share`.
    """
    configuration = load(find_file(directory))
    path = socket_path(configuration.process.ready_file)
    try:
        answer = _exchange(path, what, share, _proxys_users(Path(configuration.audit.file)))
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
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = f"the proxy gave no answer at {path}: run this as its user, with the version that runs"
        raise Unordered(text) from None
    if done.error:
        raise Unordered(done.error)
    return done


def _proxys_users(audit: Path) -> set[int]:
    """Give who may be the proxy: our own user, or root; for root it may be whoever keeps the audit log, too."""
    users = {0, os.geteuid()}
    with suppress(FileNotFoundError):
        users.add(audit.stat().st_uid)
    return users


def _exchange(path: Path, what: Order, share: Secret | None, users: set[int]) -> bytes:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
            connection.settimeout(_PATIENCE_SECONDS)
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
