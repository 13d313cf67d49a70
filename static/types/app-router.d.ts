// Made by `manage.py export_types` from the server's own definitions; not to be edited.
//
//   import { createTRPCClient, httpBatchLink } from '@trpc/client';
//   import type { AppRouter } from '@aicost/types';
//
//   const client = createTRPCClient<AppRouter>({
//     links: [httpBatchLink({ url: 'https://…/api/trpc', headers: { authorization: 'Bearer …' } })],
//   });
//
// Needs the types of @trpc/server 11.4 or later, and nothing of it when it runs.
import type {
  TRPCBuiltRouter,
  TRPCDefaultErrorShape,
  TRPCMutationProcedure,
  TRPCQueryProcedure,
} from '@trpc/server';

interface Root {
  ctx: object;
  meta: object;
  errorShape: TRPCDefaultErrorShape;
  transformer: false;
}

export interface AgentTypeFigures {
  agentType: string;
  agentLabel: string;
  agentColor: string;
  totalJobs: number;
  /** Dollars. */
  cost: number;
  /** Percent of the month's cost. */
  pctOfTotal: number;
  inputTokens: number;
  outputTokens: number;
  /** 0 to 1; 0 where no job finished. */
  successRate: number;
  waste: Waste;
}

export interface BudgetAnswer {
  allowed: boolean;
  /** Dollars. */
  budgetLimit: number | null;
  /** Dollars, this month. */
  spent: number;
  /** Dollars that reservations hold now. */
  reserved: number;
  /** Dollars: limit less spent. The part in `reserved` is spoken for. */
  remaining: number | null;
  state: 'green' | 'yellow' | 'red' | null;
}

export interface BudgetFigures {
  projectId: string;
  /** Dollars. */
  budgetLimit: number | null;
  budgetPct: number | null;
  budgetState: 'green' | 'yellow' | 'red' | null;
}

export interface CrossProjectSummary {
  /** Dollars. */
  totalCost: number;
  totalTokens: number;
  totalJobs: number;
  projects: Array<ProjectFigures>;
}

export interface DayFigures {
  date: string;
  /** Dollars. */
  cost: number;
  tokens: number;
  jobs: number;
}

export interface Estimated {
  /** The product's id. */
  projectId: string;
  /**
   * What is about to be spent.
   * @minimum 0
   * @maximum 1000000
   */
  estimateDollars?: number;
}

export interface Forecast {
  /** The month's spend at its end, in dollars. */
  monthEnd: number;
  /** Eight of ten months end between `low` and `high`. Dollars. */
  low: number;
  /** Dollars. */
  high: number;
  /** `YYYY-MM-DD`: when the limit was, or at this pace will be, reached. */
  limitPassedOn: string | null;
  /** Jobs running now, heard of in the last 24 hours. */
  runningJobs: number;
  /** What such jobs usually cost together, in dollars. */
  runningExposure: number | null;
}

export interface MonthFigures {
  month: string;
  /** Dollars. */
  cost: number;
  totalTokens: number;
  jobCount: number;
}

export interface MonthlySummary {
  month: string;
  /** Dollars. */
  totalCost: number;
  totalTokens: number;
  totalJobs: number;
  /** Deductions whose cost is not known. */
  unpricedTransactions: number;
  unpricedModels: Array<UnpricedModel>;
  waste: Waste;
  agentBreakdown: Array<AgentTypeFigures>;
  topRuns: Array<RunFigures>;
  /** Dollars. */
  budgetLimit: number | null;
  budgetPct: number | null;
  budgetState: 'green' | 'yellow' | 'red' | null;
  /** Of the present month, once it has 3 days with spend to go by. */
  forecast: Forecast | null;
}

export interface NewLimit {
  /** The product's id. */
  projectId: string;
  /**
   * Dollars, at most two decimals.
   * @exclusiveMinimum 0
   * @maximum 1000000000
   */
  limitDollars: number;
}

export interface OfDays {
  /** The product's id. */
  projectId: string;
  days: 7 | 14 | 30 | 90;
  /** `YYYY-MM`; without it the present month. */
  month?: string;
}

export interface OfMonth {
  /** The product's id. */
  projectId: string;
  /** `YYYY-MM`; without it the present month. */
  month?: string;
}

export interface OfProject {
  /** The product's id. */
  projectId: string;
}

export interface Outlook {
  /** The month's spend at its end, in dollars. */
  monthEnd: number;
  /** Eight of ten months end between `low` and `high`. Dollars. */
  low: number;
  /** Dollars. */
  high: number;
  /** `YYYY-MM-DD`: when the limit was, or at this pace will be, reached. */
  limitPassedOn: string | null;
}

export interface ProjectFigures {
  projectId: string;
  name: string;
  /** Dollars. */
  cost: number;
  totalTokens: number;
  jobCount: number;
  /** Dollars. */
  budgetLimit: number | null;
  budgetPct: number | null;
  budgetState: 'green' | 'yellow' | 'red' | null;
  /** Once there are 3 days with spend to go by. */
  forecast: Outlook | null;
}

export interface ReservationAnswer {
  allowed: boolean;
  /** Dollars. */
  budgetLimit: number | null;
  /** Dollars, this month. */
  spent: number;
  /** Dollars that reservations hold now. */
  reserved: number;
  /** Dollars: limit less spent. The part in `reserved` is spoken for. */
  remaining: number | null;
  state: 'green' | 'yellow' | 'red' | null;
  /** Send it with the usage; null where it is not allowed. */
  reservationId: string | null;
  /** ISO 8601 in UTC, with `Z`. */
  expiresAt: string | null;
}

export interface RunFigures {
  runId: string;
  status: string;
  trigger: string;
  /** ISO 8601 in UTC, with `Z`. */
  startedAt: string | null;
  jobCount: number;
  totalTokens: number;
  /** Dollars. */
  cost: number;
}

export interface ToReserve {
  /** The product's id. */
  projectId: string;
  /**
   * What is to be reserved.
   * @minimum 1e-09
   * @maximum 1000000
   */
  estimateDollars: number;
  /** An id of your own, so that asking again is safe; without it one is made. */
  reservationId?: string;
}

export interface Transaction {
  id: string;
  runId: string;
  jobId: string;
  agentType: string;
  agentLabel: string;
  /** `#rrggbb`, for light backgrounds. */
  agentColor: string;
  model: string;
  inputTokens: number;
  outputTokens: number;
  /** Dollars. */
  cost: number;
  unpriced: boolean;
  /** ISO 8601 in UTC, with `Z`. */
  createdAt: string;
}

export interface UnpricedModel {
  /** As told; empty where none was. */
  model: string;
  transactions: number;
  inputTokens: number;
  outputTokens: number;
}

export interface Waste {
  /** Dollars that went into jobs that failed. */
  failedCost: number;
  /** Dollars that went into jobs that were cancelled. */
  cancelledCost: number;
  /** Both as percent of the cost. */
  wastedPct: number;
  /** By finished jobs; null where there is none. */
  costPerJob: number | null;
  /** By jobs that succeeded; null where there is none. */
  costPerSucceededJob: number | null;
}

export type AppRouter = TRPCBuiltRouter<Root, {
  aiCost: {
    /** A month's spend, its breakdown by agent type, the five costliest runs, and the budget. */
    getMonthlySummary: TRPCQueryProcedure<{
      input: OfMonth;
      output: MonthlySummary;
      meta: object;
    }>;
    /** Six months of spend, oldest first; months without any are zeros. */
    getMonthlyTrend: TRPCQueryProcedure<{
      input: OfMonth;
      output: Array<MonthFigures>;
      meta: object;
    }>;
    /** This month's spend of all products that the caller owns, each in its own billing zone. */
    getCrossProjectSummary: TRPCQueryProcedure<{
      input: void;
      output: CrossProjectSummary;
      meta: object;
    }>;
    /** Set the monthly limit of a product. Needs its owner or a manager, and a token the scope `write`. */
    setBudgetLimit: TRPCMutationProcedure<{
      input: NewLimit;
      output: BudgetFigures;
      meta: object;
    }>;
    /** Take the monthly limit of a product away. */
    clearBudgetLimit: TRPCMutationProcedure<{
      input: OfProject;
      output: BudgetFigures;
      meta: object;
    }>;
    /** Ask before spending whether the budget allows an estimate. Changes nothing and holds nothing. */
    checkBudget: TRPCQueryProcedure<{
      input: Estimated;
      output: BudgetAnswer;
      meta: object;
    }>;
    /** Ask as `checkBudget` does and, if allowed, hold the estimate for 15 minutes. It ends earlier when usage with its `reservationId` arrives. The same `reservationId` again replaces what it holds. Needs the product's owner or a manager, and a token the scope `write` or `ingest`. */
    reserveBudget: TRPCMutationProcedure<{
      input: ToReserve;
      output: ReservationAnswer;
      meta: object;
    }>;
    /** The last 50 deductions, newest first; with `month` the newest 50 before its end. */
    getRecentTransactions: TRPCQueryProcedure<{
      input: OfMonth;
      output: Array<Transaction>;
      meta: object;
    }>;
    /** The last 7, 14, 30 or 90 days, oldest first, up to today or, for a past month, its last day. */
    getDailySpend: TRPCQueryProcedure<{
      input: OfDays;
      output: Array<DayFigures>;
      meta: object;
    }>;
  };
}>;
