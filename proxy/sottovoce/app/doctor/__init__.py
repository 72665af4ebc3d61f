"""`sottovoce doctor`: looks at the machine, the directory and the network, and names what is wrong with its remedy.

Reading (`host`, `sockets`, `remote`) is apart from judging (`machine`, `findings`), so that a fault can be planted.
It changes nothing: the one thing that it writes is a copy of the token for as long as it tries the PIN (`token`).
"""

from sottovoce.app.doctor.directory import examine_directory, examine_machine
from sottovoce.app.doctor.findings import Finding, Report, State
from sottovoce.app.doctor.host import Machine, read_machine

__all__ = ["Finding", "Machine", "Report", "State", "examine_directory", "examine_machine", "read_machine"]
