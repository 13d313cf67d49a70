"""An embedding under OpenInference's instrumentation of OpenAI's SDK."""

import openai
from openinference.instrumentation.openai import OpenAIInstrumentor
from workload import gpt, tracing

tracing.start()
OpenAIInstrumentor().instrument()
with tracing.agent("Forecaster"):
    gpt.embed(openai.OpenAI())
