/** Certificates of the configuration with their end, the earliest first. */
import { useConsole } from '../console-state.ts'
import { useLocale } from '../i18n/locale.ts'
import type { CertificateStatus } from '../model.ts'
import { Badge, type Column, Loading, Panel, Table, type Tone } from '../parts/parts.tsx'

const TONES = { ok: 'good', expiring: 'warn', expired: 'bad', not_yet_valid: 'bad' } as const satisfies Record<
  string,
  Tone
>

export function Certificates() {
  const { text, format } = useLocale()
  const { status } = useConsole()
  if (status === null) return <Loading />
  const { certificates } = text
  const columns: Column<CertificateStatus>[] = [
    { label: certificates.use, cell: ({ use }) => <code>{use}</code> },
    {
      label: certificates.state,
      isTight: true,
      cell: ({ state }) => <Badge tone={TONES[state]}>{certificates.states[state]}</Badge>
    },
    {
      label: certificates.expires,
      isTight: true,
      cell: ({ valid_to }) => (
        <>
          {format.date(valid_to)}
          <small class="under">{format.relative(valid_to, Date.parse(status.time))}</small>
        </>
      )
    },
    { label: certificates.subject, cell: ({ subject }) => subject },
    { label: certificates.issuer, cell: ({ issuer }) => issuer },
    { label: certificates.serial, cell: ({ serial }) => <code>{serial}</code> }
  ]
  const rows = status.certificates.toSorted((a, b) => a.valid_to.localeCompare(b.valid_to))
  return (
    <Panel title={text.pages.certificates} isFlush>
      <Table
        label={text.pages.certificates}
        columns={columns}
        rows={rows}
        keyOf={({ use, serial }, index) => `${use} ${serial} ${index}`}
        empty={certificates.empty}
      />
    </Panel>
  )
}
