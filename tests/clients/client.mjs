// Calls procedures with the official clients. Reads one JSON object per line from standard input and prints
// what their callers see: { client, url, headers, calls: [{ path, kind, input }] }, all calls at once.
import { createInterface } from 'node:readline';
import * as v11 from '@trpc/client';
import * as v10 from 'aicost-client-10/client.mjs';

const clients = {
  '11 httpLink': (options) => v11.createTRPCClient({ links: [v11.httpLink(options)] }),
  '11 httpBatchLink': (options) => v11.createTRPCClient({ links: [v11.httpBatchLink(options)] }),
  '11 httpBatchStreamLink': (options) =>
    v11.createTRPCClient({ links: [v11.httpBatchStreamLink(options)] }),
  '11 httpBatchStreamLink by accept': (options) =>
    v11.createTRPCClient({ links: [v11.httpBatchStreamLink({ ...options, streamHeader: 'accept' })] }),
  '10 httpLink': (options) => v10.createTRPCProxyClient({ links: [v10.httpLink(options)] }),
  '10 httpBatchLink': (options) => v10.createTRPCProxyClient({ links: [v10.httpBatchLink(options)] }),
};

async function answer({ client: name, url, headers, calls, options = {} }) {
  const requests = [];
  const watched = async (input, init) => {
    const response = await fetch(input, init);
    requests.push({ method: init.method, url: String(input), status: response.status });
    return response;
  };
  const client = clients[name]({ url, headers, fetch: watched, ...options });
  const settled = await Promise.allSettled(calls.map((call) => made(client, call)));
  return { requests, outcomes: settled.map((result) => outcome(result, name)) };
}

function made(client, { path, kind, input }) {
  const procedure = path.split('.').reduce((router, part) => router[part], client);
  return kind === 'mutation' ? procedure.mutate(input) : procedure.query(input);
}

function outcome({ status, value, reason }, name) {
  if (status === 'fulfilled') return { data: value };
  const { TRPCClientError } = name.startsWith('10') ? v10 : v11;
  return {
    error: {
      isTRPCClientError: reason instanceof TRPCClientError,
      message: reason.message,
      data: reason.data ?? null,
      code: reason.shape?.code ?? null,
    },
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line))));
}
