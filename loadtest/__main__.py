"""`python -m loadtest`: puts load on a proxy, compares proxies, measures what is promised about speed.

Standard output carries the result and nothing else.  Exit status: 0 done, 1 refused or failed, 2 usage, 3 no verdict,
4 a threshold was missed; 130 for Ctrl-C.
"""

import sys

from loadtest import PROGRAM
from sottovoce.cli.lazy.pages import print_page

if __name__ == "__main__":
    if print_page(__file__, PROGRAM, sys.argv[1:]):
        sys.exit(0)
    from loadtest.commands.tree import main

    main(prog_name=PROGRAM)
