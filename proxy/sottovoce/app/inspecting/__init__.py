"""`sottovoce inspect`: what a file, a directory or a server is, and what stands in it.

Any bytes are taken, of any length: of a file so much is read as it takes to know it, and what is not known is said in
one line.  A private key, a PIN or a token is named and never shown.
"""

from sottovoce.app.inspecting.files import inspect_path
from sottovoce.app.inspecting.inspection import Fact, Inspection, NotRecognised
from sottovoce.app.inspecting.server import inspect_url, place_of

__all__ = ["Fact", "Inspection", "NotRecognised", "inspect_path", "inspect_url", "place_of"]
