"""Inside the token process: the loop that answers, the login, and one session a thread."""

from sottovoce.hsm.process.loop import Counts, Handler, run_token_process
from sottovoce.hsm.process.worker import KeyName, Worker

__all__ = ["Counts", "Handler", "KeyName", "Worker", "run_token_process"]
