/** The instructions of the Dockerfile, stage by stage. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './markdown.ts'

export interface Instruction {
  readonly name: string
  readonly value: string
}

export interface Stage {
  readonly from: string
  readonly instructions: readonly Instruction[]
}

/** Joins continued lines, drops comments, and splits at FROM. */
export function readStages(): Stage[] {
  const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, ' ')
  const stages: { from: string; instructions: Instruction[] }[] = []
  for (const line of text.split('\n')) {
    const [, name, value] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? []
    if (name === undefined || value === undefined) continue
    if (name === 'FROM') stages.push({ from: value, instructions: [] })
    else stages.at(-1)?.instructions.push({ name, value })
  }
  return stages
}

export interface Copy {
  readonly sources: readonly string[]
  readonly target: string
  /** The stage to copy from; undefined: the build context. */
  readonly from: string | undefined
}

export function valuesOf(stage: Stage, name: string): string[] {
  return stage.instructions.filter((instruction) => instruction.name === name).map(({ value }) => value)
}

export function copiesOf(stage: Stage): Copy[] {
  return valuesOf(stage, 'COPY').map((value) => {
    const words = value.split(/\s+/)
    const from = words.find((word) => word.startsWith('--from='))?.slice('--from='.length)
    const paths = words.filter((word) => !word.startsWith('--'))
    return { sources: paths.slice(0, -1), target: paths.at(-1) ?? '', from }
  })
}
