"""Both instrumentations of OpenAI's SDK at once: each call is reported twice."""

from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor as GenAI
from workload import gpt, tracing

tracing.start()
GenAI().instrument()
OpenInference().instrument()
with tracing.agent("Forecaster"):
    gpt.ask_all()
