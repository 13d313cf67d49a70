"""Asks the server on this machine whether it is ready: for a container's health check, which has no curl.

python -m aicost.probe [PORT]
"""

import os
import sys
from urllib.error import URLError
from urllib.request import Request, urlopen


def main(port: str = "8000") -> int:
    # The server answers to its own names only.
    host = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip().lstrip(".*") or "localhost"
    try:
        urlopen(Request(f"http://127.0.0.1:{port}/readyz", headers={"Host": host}), timeout=4)
    except (URLError, OSError) as error:
        sys.stderr.write(f"not ready: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
