/** Labelled fields of forms. */
import { useId } from 'preact/hooks'

interface FieldProps {
  readonly label: string
  readonly value: string
  readonly onValue: (value: string) => void
}

export function TextField({ label, value, onValue, isRequired = false }: FieldProps & { isRequired?: boolean }) {
  const id = useId()
  return (
    <div class="field wide">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="text"
        class="mono"
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        required={isRequired}
        value={value}
        onInput={(event) => onValue(event.currentTarget.value)}
      />
    </div>
  )
}

export function TextAreaField({ label, value, onValue, example }: FieldProps & { example: string }) {
  const id = useId()
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea
        id={id}
        rows={2}
        spellcheck={false}
        placeholder={example}
        value={value}
        onInput={(event) => onValue(event.currentTarget.value)}
      />
    </div>
  )
}

type Option = string | { readonly value: string; readonly label: string }

export function SelectField({ label, value, onValue, options }: FieldProps & { options: readonly Option[] }) {
  const id = useId()
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onValue(event.currentTarget.value)}>
        {options.map((option) => {
          const { value: name, label: shown } = typeof option === 'string' ? { value: option, label: option } : option
          return (
            <option key={name} value={name}>
              {shown}
            </option>
          )
        })}
      </select>
    </div>
  )
}
