/** A question before an action that cannot be undone. */
import { useEffect, useRef } from 'preact/hooks'
import { useLocale } from '../i18n/locale.ts'

interface ConfirmProps {
  readonly title: string
  readonly detail: string
  readonly action: string
  readonly onConfirm: () => void
  readonly onClose: () => void
}

export function Confirm({ title, detail, action, onConfirm, onClose }: ConfirmProps) {
  const { text } = useLocale()
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  const confirm = () => {
    onConfirm()
    onClose()
  }
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="confirm-title">
      <div class="stack">
        <h2 id="confirm-title">{title}</h2>
        <p class="muted">{detail}</p>
        <div class="row end">
          <button type="button" class="button" onClick={onClose}>
            {text.common.cancel}
          </button>
          <button type="button" class="button danger" onClick={confirm}>
            {action}
          </button>
        </div>
      </div>
    </dialog>
  )
}
