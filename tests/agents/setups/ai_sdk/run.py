"""Run the AI SDK's script."""

import os
import subprocess
from pathlib import Path

subprocess.run(["node", Path(__file__).parent / "otel.mjs"], check=True, env=os.environ)
