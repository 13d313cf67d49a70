"""OpenInference's instrumentations of LangChain and of OpenAI's SDK below it: each call is reported twice."""

from openinference.instrumentation.langchain import LangChainInstrumentor
from openinference.instrumentation.openai import OpenAIInstrumentor
from workload import tracing
from workload.chain import ask_all

tracing.start()
LangChainInstrumentor().instrument()
OpenAIInstrumentor().instrument()
ask_all()
