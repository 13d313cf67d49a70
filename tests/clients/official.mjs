// The official tRPC server with the same procedures as the product, told on standard input in one line:
// { procedures: [{ name, kind, fields, data }], tokens: { text: scope }, projectId, messages }.
// Its resolvers know one project, and answer with the data told. It says on which port it listens.
import { createInterface } from 'node:readline';
import { initTRPC, TRPCError } from '@trpc/server';
import { createHTTPServer } from '@trpc/server/adapters/standalone';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const told = JSON.parse((await lines.next()).value);
const t = initTRPC.context().create();

function refuse(code, message) {
  throw new TRPCError({ code, message });
}

const signedIn = t.procedure.use(({ ctx, next }) => {
  if (ctx.authorization === undefined) refuse('UNAUTHORIZED', told.messages.nobody);
  const scope = told.tokens[ctx.authorization.replace(/^Bearer /, '')];
  if (!scope) refuse('UNAUTHORIZED', told.messages.badToken);
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
    if (fields && input.projectId !== told.projectId) refuse('NOT_FOUND', told.messages.noProject);
    if (kind === 'mutation' && ctx.scope !== 'write') refuse('FORBIDDEN', told.messages.scope);
    return data;
  });
}

const namespaces = {};
for (const one of told.procedures) {
  const [namespace, name] = one.name.split('.');
  (namespaces[namespace] ??= {})[name] = procedure(one);
}

const server = createHTTPServer({
  router: t.router(namespaces),
  basePath: '/api/trpc/',
  createContext: ({ req }) => ({ authorization: req.headers.authorization }),
  maxBatchSize: told.maxBatchSize,
  maxBodySize: told.maxBodySize,
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify(server.address().port)));
