{{/* Names, labels and rights that several templates share. */}}

{{/* The name of everything in this release. */}}
{{- define "ssefleet.fullname" -}}
{{- if contains "ssefleet" .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-ssefleet" .Release.Name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What selects the operator's pods, and never those of a stream. */}}
{{- define "ssefleet.selector" -}}
app.kubernetes.io/name: ssefleet
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "ssefleet.labels" -}}
{{ with .Values.commonLabels }}{{ toYaml . }}
{{ end }}{{ include "ssefleet.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* ssefleet.image: the reference of an image of ours; takes a list of the image's value and the root. */}}
{{- define "ssefleet.image" -}}
{{- $image := index . 0 }}{{ $root := index . 1 -}}
{{- if $image.digest }}{{ printf "%s@%s" $image.repository $image.digest }}
{{- else }}{{ printf "%s:%s" $image.repository ($image.tag | default $root.Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/* Where the rights over streams hold: in some namespaces, or everywhere. */}}
{{- define "ssefleet.scope" -}}
{{ ternary "ClusterRole" "Role" (empty .Values.watchNamespaces) }}
{{- end }}
