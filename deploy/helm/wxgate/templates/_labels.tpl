{{- define "wxgate.selector" -}}
app.kubernetes.io/name: wxgate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "wxgate.labels" -}}
{{ include "wxgate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
