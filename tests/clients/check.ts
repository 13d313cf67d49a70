// Compiled, never run: what a front end may write with the exported types, and what it may not.
import { createTRPCClient, httpBatchLink, TRPCClientError } from '@trpc/client';
import type { inferRouterInputs, inferRouterOutputs } from '@trpc/server';
import type { AppRouter, MonthlySummary } from '@aicost/types';

const client = createTRPCClient<AppRouter>({
  links: [httpBatchLink({ url: 'https://aicost.example/api/trpc', headers: { authorization: 'Bearer …' } })],
});
const projectId = '1';

type Inputs = inferRouterInputs<AppRouter>['aiCost'];
type Outputs = inferRouterOutputs<AppRouter>['aiCost'];
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

export const exact: [
  Same<Inputs['getDailySpend']['days'], 7 | 14 | 30 | 90>,
  Same<Inputs['getMonthlySummary']['month'], string | undefined>,
  Same<Inputs['getCrossProjectSummary'], void>,
  Same<Inputs['setBudgetLimit'], { projectId: string; limitDollars: number }>,
  Same<Outputs['getMonthlySummary'], MonthlySummary>,
  Same<MonthlySummary['budgetLimit'], number | null>,
  Same<MonthlySummary['topRuns'][number]['startedAt'], string | null>,
  Same<NonNullable<MonthlySummary['forecast']>['limitPassedOn'], string | null>,
  Same<Inputs['checkBudget'], { projectId: string; estimateDollars?: number }>,
  Same<Inputs['reserveBudget'], { projectId: string; estimateDollars: number; reservationId?: string }>,
  Same<Outputs['checkBudget']['remaining'], number | null>,
  Same<Outputs['reserveBudget']['reservationId'], string | null>,
  Same<Outputs['clearBudgetLimit']['budgetState'], 'green' | 'yellow' | 'red' | null>,
  Same<Outputs['getRecentTransactions'][number]['unpriced'], boolean>,
] = [true, true, true, true, true, true, true, true, true, true, true, true, true, true];

export async function right(): Promise<string> {
  const summary = await client.aiCost.getMonthlySummary.query({ projectId });
  const cost: number = summary.agentBreakdown.reduce((sum, agent) => sum + agent.cost, 0);
  const trend = await client.aiCost.getMonthlyTrend.query({ projectId, month: '2026-03' });
  const products = (await client.aiCost.getCrossProjectSummary.query()).projects.map((one) => one.name);
  const set = await client.aiCost.setBudgetLimit.mutate({ projectId, limitDollars: 12.5 });
  const cleared = await client.aiCost.clearBudgetLimit.mutate({ projectId });
  const may: boolean = (await client.aiCost.checkBudget.query({ projectId, estimateDollars: 0.5 })).allowed;
  const held = await client.aiCost.reserveBudget.mutate({ projectId, estimateDollars: 0.5 });
  const until: string | null = may ? held.expiresAt : null;
  const recent = await client.aiCost.getRecentTransactions.query({ projectId });
  const days = await client.aiCost.getDailySpend.query({ projectId, days: 30 });
  const created: string | undefined = recent[0]?.createdAt;
  const states = [set.budgetState, cleared.budgetState].join();
  return [cost, trend.length, products.join(), states, created, days[0]?.date, until].join();
}

export function said(error: unknown): string {
  if (!(error instanceof TRPCClientError)) return 'no answer';
  const known = error as TRPCClientError<AppRouter>;
  switch (known.data?.code) {
    case 'UNAUTHORIZED':
      return 'sign in';
    case 'BAD_REQUEST':
      return `wrong: ${known.message}`;
    // @ts-expect-error there is no such code
    case 'NO_SUCH_CODE':
      return '';
    default:
      return `status ${known.data?.httpStatus}`;
  }
}

export async function wrong(): Promise<void> {
  // @ts-expect-error no input
  await client.aiCost.getMonthlySummary.query();
  // @ts-expect-error the id is a string
  await client.aiCost.getMonthlySummary.query({ projectId: 1 });
  // @ts-expect-error a misspelled field
  await client.aiCost.getMonthlySummary.query({ projectId, mnth: '2026-03' });
  // @ts-expect-error null is no month
  await client.aiCost.getMonthlyTrend.query({ projectId, month: null });
  // @ts-expect-error a query does not mutate
  await client.aiCost.getMonthlySummary.mutate({ projectId });
  // @ts-expect-error a mutation is no query
  await client.aiCost.setBudgetLimit.query({ projectId, limitDollars: 1 });
  // @ts-expect-error the limit is missing
  await client.aiCost.setBudgetLimit.mutate({ projectId });
  // @ts-expect-error the limit is no text
  await client.aiCost.setBudgetLimit.mutate({ projectId, limitDollars: '1' });
  // @ts-expect-error null takes no limit away
  await client.aiCost.setBudgetLimit.mutate({ projectId, limitDollars: null });
  // @ts-expect-error checking holds nothing
  await client.aiCost.checkBudget.mutate({ projectId });
  // @ts-expect-error the estimate is missing
  await client.aiCost.reserveBudget.mutate({ projectId });
  // @ts-expect-error there may be no reservation
  console.log((await client.aiCost.reserveBudget.mutate({ projectId, estimateDollars: 1 })).reservationId.length);
  // @ts-expect-error there is no such range
  await client.aiCost.getDailySpend.query({ projectId, days: 8 });
  // @ts-expect-error it takes no input
  await client.aiCost.getCrossProjectSummary.query({ projectId });
  // @ts-expect-error no such procedure
  await client.aiCost.getNothing.query({ projectId });
  // @ts-expect-error no such namespace
  await client.cost.getMonthlySummary.query({ projectId });
  const summary = await client.aiCost.getMonthlySummary.query({ projectId });
  // @ts-expect-error no such field of the answer
  console.log(summary.total);
  // @ts-expect-error there may be no limit
  console.log(summary.budgetLimit.toFixed(2));
  // @ts-expect-error instants are texts
  const started: Date = summary.topRuns[0]!.startedAt;
  console.log(started);
}
