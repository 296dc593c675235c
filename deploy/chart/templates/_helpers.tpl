{{- define "isobar.labels" -}}
app.kubernetes.io/name: isobar
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "isobar.selector" -}}
app.kubernetes.io/name: isobar
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "isobar.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* The node's own address, as part of HOST:PORT. */}}
{{- define "isobar.nodeHost" -}}
{{- if eq .Values.nodeAddressFamily "IPv6" }}[$(NODE_ADDRESS)]{{ else }}$(NODE_ADDRESS){{ end }}
{{- end }}

{{- define "isobar.nodeAddressVariable" -}}
- name: NODE_ADDRESS
  valueFrom:
    fieldRef:
      fieldPath: status.hostIP
{{- end }}

{{/* Where Kubernetes' own address for the API server does not work on nodes. */}}
{{- define "isobar.apiServerVariables" -}}
{{- with .Values.apiServer.host }}
- name: KUBERNETES_SERVICE_HOST
  value: {{ . | quote }}
{{- end }}
{{- with .Values.apiServer.port }}
- name: KUBERNETES_SERVICE_PORT
  value: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "isobar.probes" -}}
{{- /* Kubelet looks at the node's address: the pods are on its network. */ -}}
startupProbe:
  httpGet: {path: /healthz, port: {{ .port }}}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 90
livenessProbe:
  httpGet: {path: /healthz, port: {{ .port }}}
  periodSeconds: 10
  timeoutSeconds: 10
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: {{ .port }}}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}
