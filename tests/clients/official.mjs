// The official tRPC server with the same procedures as the product. Reads one line from standard input:
// { procedures: [{ name, kind, fields, data }], tokens: { text: scope }, projectId, messages }.
// It knows one project, answers with the given data, and prints the port on which it listens.
import { createInterface } from 'node:readline';
import { initTRPC, TRPCError } from '@trpc/server';
import { createHTTPServer } from '@trpc/server/adapters/standalone';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const config = JSON.parse((await lines.next()).value);
const t = initTRPC.context().create();

function refuse(code, message) {
  throw new TRPCError({ code, message });
}

const signedIn = t.procedure.use(({ ctx, next }) => {
  if (ctx.authorization === undefined) refuse('UNAUTHORIZED', config.messages.nobody);
  const scope = config.tokens[ctx.authorization.replace(/^Bearer /, '')];
  if (!scope) refuse('UNAUTHORIZED', config.messages.badToken);
  return next({ ctx: { scope } });
});

const checks = {
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number' && value > 0 && value <= 1e9,
};

function parser(fields) {
  return (input) => {
    if (typeof input !== 'object' || input === null || Array.isArray(input)) throw new Error('not an object');
    for (const name of Object.keys(input)) if (!(name in fields)) throw new Error(`${name}: unknown`);
    for (const [name, { required, check }] of Object.entries(fields)) {
      if (name in input ? !fits(check, input[name]) : required) throw new Error(`${name}: wrong`);
    }
    return input;
  };
}

function fits(check, value) {
  return Array.isArray(check) ? check.includes(value) : checks[check](value);
}

function procedure({ kind, fields, data }) {
  const builder = fields ? signedIn.input(parser(fields)) : signedIn;
  return builder[kind](({ input, ctx }) => {
    if (fields && input.projectId !== config.projectId) refuse('NOT_FOUND', config.messages.noProject);
    if (kind === 'mutation' && ctx.scope !== 'write') refuse('FORBIDDEN', config.messages.scope);
    return data;
  });
}

const namespaces = {};
for (const definition of config.procedures) {
  const [namespace, name] = definition.name.split('.');
  (namespaces[namespace] ??= {})[name] = procedure(definition);
}

const server = createHTTPServer({
  router: t.router(namespaces),
  basePath: '/api/trpc/',
  createContext: ({ req }) => ({ authorization: req.headers.authorization }),
  maxBatchSize: config.maxBatchSize,
  maxBodySize: config.maxBodySize,
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify(server.address().port)));
