"""Ask the local server whether it is ready; for the health check of a container, which has no curl.

python -m aicost.probe [PORT]
"""

import os
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen


def main(port: str = "8000", *, timeout: float = 4) -> int:
    # The server refuses any other host name.
    host = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip().lstrip(".*") or "localhost"
    try:
        urlopen(Request(f"http://127.0.0.1:{port}/readyz", headers={"Host": host}), timeout=timeout)
    except HTTPError as error:
        return _not_ready(f"{error.code}: {error.read(200).decode(errors='replace').strip()}")
    except OSError as error:
        return _not_ready(str(error))
    return 0


def _not_ready(reason: str) -> int:
    sys.stderr.write(f"not ready: {reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
