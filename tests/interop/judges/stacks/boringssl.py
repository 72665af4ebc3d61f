"""A client with BoringSSL: `boringssl.py PORT CA_FILE [chrome]`; prints {"error", "heard"}.

As a browser it offers the hybrid; as it comes, classical groups only.
"""

import json
import sys

from curl_cffi import requests

port, ca_file, *browser = sys.argv[1:]
told = {"error": "", "heard": ""}
try:
    answer = requests.get(
        f"https://localhost:{port}/",
        impersonate=browser[0] if browser else None,
        verify=ca_file,  # pyright: ignore[reportArgumentType]  it takes a path; its types do not say so
        timeout=30,
    )
    told["heard"] = answer.text
except requests.exceptions.RequestException as error:
    told["error"] = str(error)
print(json.dumps(told))  # noqa: T201  its result
