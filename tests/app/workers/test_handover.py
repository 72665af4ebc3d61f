"""A program that becomes another one, as it is run."""

import os
import signal
import subprocess
import sys

ASKED = """
import os, signal, threading, time
from sottovoce.app.workers.handover import outlive_orders
outlive_orders()
threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
for number in (signal.SIGHUP, signal.SIGUSR2):
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    os.kill(os.getpid(), number)
os.execv("/bin/echo", ["/bin/echo", "went on"])
"""


def test_no_order_ends_it_between_the_two_programs() -> None:
    ran = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "went on\n")


def test_a_hangup_that_is_ignored_stays_so() -> None:
    text = (
        "import signal; from sottovoce.app.workers.handover import outlive_orders; outlive_orders();"
        "print(signal.getsignal(signal.SIGHUP).name)"
    )
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        ran = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, env=os.environ)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert ran.stdout == "SIG_IGN\n"
