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


TOLD_TO_STOP = """
import os, signal, sys, threading, time, trio
from sottovoce.app.workers.handover import hold_signals, outlive_orders
from sottovoce.cli.running import run_until_told

def tell(now):
    if now == moment:
        os.kill(os.getpid(), signal.SIGTERM)

async def serve():
    with trio.open_signal_receiver(signal.SIGTERM):
        hold_signals()
        tell("it hands over")
        await trio.sleep(0)
    tell("it closes what is open")
    for _ in range(100):
        await trio.sleep(0)

for moment in ("it hands over", "it closes what is open", "nothing is left to do"):
    if not os.fork():
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()  # which is given what is held here
        outlive_orders()
        run_until_told(serve)
        tell("nothing is left to do")
        says = "import signal; print(*(each.name for each in signal.sigpending()))"
        os.execv(sys.executable, [sys.executable, "-c", says])
    os.wait()
"""


def test_told_to_stop_when_it_has_handed_over_it_leaves_that_to_the_next_program() -> None:
    ran = subprocess.run([sys.executable, "-c", TOLD_TO_STOP], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("SIGTERM\n" * 3, "")


ENDED = """
import signal
from sottovoce.app.workers.handover import outlive_orders
outlive_orders()
signal.raise_signal(signal.SIGTERM)
print("went on")
"""


def test_told_to_stop_before_anybody_heeds_that_it_ends() -> None:
    ran = subprocess.run([sys.executable, "-c", ENDED], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (-signal.SIGTERM, "")


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
