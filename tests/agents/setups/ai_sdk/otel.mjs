// The AI SDK with its OpenTelemetry integration: text, a tool, a stream, an embedding, over two providers.
import { createRequire } from "node:module";

const from = createRequire(`${process.env.NODE_FOLDER}/package.json`);
const { embed, generateText, registerTelemetry, stepCountIs, streamText, tool } = from("ai");
const { OpenTelemetry } = from("@ai-sdk/otel");
const { createAnthropic } = from("@ai-sdk/anthropic");
const { createOpenAI } = from("@ai-sdk/openai");
const { OTLPTraceExporter } = from("@opentelemetry/exporter-trace-otlp-proto");
const { BatchSpanProcessor, NodeTracerProvider } = from("@opentelemetry/sdk-trace-node");
const { z } = from("zod");

const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] });
provider.register();
registerTelemetry(new OpenTelemetry());

const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL });
const anthropic = createAnthropic({ baseURL: `${process.env.FAKE_APIS}/v1` });
const telemetry = { isEnabled: true, functionId: "Forecaster" };
const weather = tool({
  description: "The weather",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `Sunny in ${city}`,
});
const ask = { telemetry, prompt: "Hello" };
const cached = {
  role: "user",
  content: "Hello",
  providerOptions: { anthropic: { cacheControl: { type: "ephemeral", ttl: "1h" } } },
};

await generateText({ ...ask, model: openai.chat("gpt-4o-mini") });
await generateText({ ...ask, model: openai("gpt-5-mini") });
await generateText({
  telemetry,
  model: openai("gpt-5-mini"),
  prompt: 'TOOL weather {"city": "Paris"} END',
  tools: { weather },
  stopWhen: stepCountIs(3),
});
await generateText({ telemetry, model: anthropic("claude-sonnet-4-5"), messages: [cached] });
const streamed = streamText({ telemetry, model: anthropic("claude-sonnet-4-5"), messages: [cached] });
await streamed.consumeStream();
await embed({ telemetry, model: openai.embedding("text-embedding-3-small"), value: "Hello" });
await provider.shutdown();
