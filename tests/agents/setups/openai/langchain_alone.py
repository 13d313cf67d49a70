"""OpenInference's instrumentation of LangChain, with OpenAI's models."""

from openinference.instrumentation.langchain import LangChainInstrumentor
from workload import tracing
from workload.chain import ask_all

tracing.start()
LangChainInstrumentor().instrument()
ask_all()
