"""OpenLIT, which instruments every SDK that it finds."""

import os

os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "false"

import openlit  # Anthropic's SDK reads the variable
from workload import claude, gpt, tracing

openlit.init(disable_metrics=True, disable_batch=True)
with tracing.agent("Forecaster"):
    gpt.ask_all()
    claude.ask_all()
