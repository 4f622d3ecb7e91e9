/** The workers of one gateway as a group: a process answers questions about itself, and asks them
 *  of all. A process without workers is a group of one. */
import type { ProcessReading } from '../service/status/reading.ts'
import type { ProcessSample } from '../service/status/sample.ts'
import type { FailureFilter, FailureId, RecentFailure } from '../telemetry/recent-failures.ts'

/** Answers can be sent between processes. */
export interface GroupAnswers {
  metrics(): Promise<unknown>
  status(): Promise<ProcessReading>
  sample(): Promise<ProcessSample>
  failures(filter: FailureFilter): Promise<readonly RecentFailure[]>
  failure(id: FailureId): Promise<RecentFailure | null>
}

/** A call of one of the answers. */
export interface GroupQuestion {
  readonly topic: keyof GroupAnswers
  readonly about?: unknown
}

/** The connection of a worker to the others. */
export interface GroupLink {
  /** The answers of all workers, this one included. Null when the group does not answer. */
  ask(question: GroupQuestion): Promise<{ readonly answers: readonly unknown[]; readonly running: number } | null>
}

type Answer<Topic extends keyof GroupAnswers> = Awaited<ReturnType<GroupAnswers[Topic]>>

export interface Group {
  /** At least one answer; those of processes that answer in time. */
  ask<Topic extends keyof GroupAnswers>(
    topic: Topic,
    ...about: Parameters<GroupAnswers[Topic]>
  ): Promise<readonly Answer<Topic>[]>
  /** Answers a question of another process. */
  answer(question: GroupQuestion): Promise<unknown>
}

/** @param link Null for a process without workers. */
export function createGroup(own: GroupAnswers, link: GroupLink | null): Group {
  function answer({ topic, about }: GroupQuestion): Promise<unknown> {
    return (own[topic] as (about: unknown) => Promise<unknown>)(about)
  }
  return {
    async ask<Topic extends keyof GroupAnswers>(topic: Topic, ...[about]: Parameters<GroupAnswers[Topic]>) {
      const question = about === undefined ? { topic } : { topic, about }
      const told = link === null ? null : await link.ask(question)
      const answers = told === null || told.answers.length === 0 ? [await answer(question)] : told.answers
      return answers as readonly Answer<Topic>[]
    },
    answer
  }
}
