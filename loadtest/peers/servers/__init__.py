"""The servers of a comparison, each a process in the foreground: Sottovoce, its peers, and the echo behind them all."""

from loadtest.peers.servers.carriers import (
    PEERS,
    ROUTE,
    Carrier,
    Running,
    prepare_sottovoce,
    run_echo,
    run_mux_echo,
    run_peer,
    run_sottovoce,
)
from loadtest.peers.servers.cores import Cores, find_cores
from loadtest.peers.servers.processes import ServerFailed
from loadtest.peers.servers.programs import InstallationFailed, Program, find_program, install, remedy

__all__ = [
    "PEERS",
    "ROUTE",
    "Carrier",
    "Cores",
    "InstallationFailed",
    "Program",
    "Running",
    "ServerFailed",
    "find_cores",
    "find_program",
    "install",
    "prepare_sottovoce",
    "remedy",
    "run_echo",
    "run_mux_echo",
    "run_peer",
    "run_sottovoce",
]
