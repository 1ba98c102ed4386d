{{/* Names, labels and the list of watched namespaces, for all templates. */}}

{{- define "dask_kubernetes_operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "dask_kubernetes_operator.fullname" -}}
{{- $name := include "dask_kubernetes_operator.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "dask_kubernetes_operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "dask_kubernetes_operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "dask_kubernetes_operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "dask_kubernetes_operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "dask_kubernetes_operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "dask_kubernetes_operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* The watched namespaces and the remaining kopfArgs as {"namespaces": [...], "others": [...]}; no namespace means all. */}}
{{- define "dask_kubernetes_operator.watched" -}}
{{- $namespaces := .Values.watchNamespaces -}}
{{- $others := list -}}
{{- $all := false -}}
{{- range .Values.kopfArgs -}}
  {{- if has . (list "--all-namespaces" "-A") -}}
    {{- $all = true -}}
  {{- else if hasPrefix "--namespace=" . -}}
    {{- $namespaces = append $namespaces (trimPrefix "--namespace=" .) -}}
  {{- else if has . (list "--namespace" "-n") -}}
    {{- fail "kopfArgs: write --namespace=NAME as one argument, or use watchNamespaces" -}}
  {{- else -}}
    {{- $others = append $others . -}}
  {{- end -}}
{{- end -}}
{{- if and $all $namespaces -}}
  {{- fail "kopfArgs: --all-namespaces and a list of namespaces exclude each other" -}}
{{- end -}}
{{- if not .Values.rbac.cluster -}}
  {{- if $all -}}
    {{- fail "rbac.cluster is false, so the operator may not see all namespaces: remove --all-namespaces, name namespaces in watchNamespaces, or set rbac.cluster" -}}
  {{- end -}}
  {{- $namespaces = default (list .Release.Namespace) $namespaces -}}
{{- end -}}
{{- dict "namespaces" ($namespaces | uniq) "others" $others | toJson -}}
{{- end }}

{{/* Where a monitor looks: what its value says, else the watched namespaces, else any. */}}
{{- define "dask_kubernetes_operator.namespaceSelector" -}}
{{- $watched := (include "dask_kubernetes_operator.watched" .root | fromJson).namespaces -}}
{{- if .selector -}}
{{- toYaml .selector }}
{{- else if $watched -}}
matchNames:
  {{- toYaml $watched | nindent 2 }}
{{- else -}}
any: true
{{- end }}
{{- end }}

{{/* What the operator does with the resources of the namespaces that it looks after. */}}
{{- define "dask_kubernetes_operator.rules" -}}
- apiGroups: [kubernetes.dask.org]
  resources: [daskclusters, daskworkergroups, daskjobs, daskautoscalers]
  verbs: [get, list, watch, patch]
- apiGroups: [kubernetes.dask.org] # the default group of a cluster, and a cluster that has been idle for its idleTimeout
  resources: [daskworkergroups]
  verbs: [create, delete]
- apiGroups: [kubernetes.dask.org]
  resources: [daskclusters]
  verbs: [delete]
- apiGroups: [kubernetes.dask.org]
  resources: [daskclusters/status, daskworkergroups/status, daskjobs/status, daskautoscalers/status]
  verbs: [patch]
- apiGroups: [kubernetes.dask.org] # where owners may be named only by those who may finalize them
  resources: [daskclusters/finalizers, daskworkergroups/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, pods]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
