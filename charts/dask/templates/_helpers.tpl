{{/* Names, labels and the Deployment of one group of workers. */}}

{{- define "dask.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "dask.fullname" -}}
{{- $name := include "dask.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" }}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What selects the pods of a component: a dict of root and component. */}}
{{- define "dask.selectorLabels" -}}
app: {{ include "dask.name" .root }}
release: {{ .root.Release.Name | quote }}
component: {{ .component }}
{{- end }}

{{- define "dask.labels" -}}
{{ include "dask.selectorLabels" . }}
heritage: {{ .root.Release.Service | quote }}
chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Fields of a pod's spec that scheduler and workers share: their part of the values. */}}
{{- define "dask.podSpec" -}}
enableServiceLinks: false
{{- with .image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .serviceAccountName }}
serviceAccountName: {{ . | quote }}
{{- end }}
{{- with .securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Fields of a container that scheduler and workers share. */}}
{{- define "dask.container" -}}
{{- with .env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .livenessProbe }}
livenessProbe:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .readinessProbe }}
readinessProbe:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* One group of workers: a dict of root, name (of the Deployment), component and worker (its values). */}}
{{- define "dask.workerDeployment" -}}
{{- $worker := .worker -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  labels:
    {{- include "dask.labels" . | nindent 4 }}
spec:
  replicas: {{ $worker.replicas }}
  {{- with $worker.strategy }}
  strategy:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "dask.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "dask.selectorLabels" . | nindent 8 }}
        dask-worker: "true"
      {{- with $worker.annotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "dask.podSpec" $worker | nindent 6 }}
      terminationGracePeriodSeconds: {{ $worker.terminationGracePeriodSeconds }}
      containers:
        - name: worker
          image: "{{ $worker.image.repository }}:{{ $worker.image.tag | default .root.Chart.AppVersion }}"
          imagePullPolicy: {{ $worker.image.pullPolicy }}
          args:
            - {{ $worker.image.dask_worker }}
            - {{ $worker.custom_scheduler_url | default (printf "tcp://%s-%s:%v" (include "dask.fullname" .root) .root.Values.scheduler.name .root.Values.scheduler.servicePort) }}
            {{- with $worker.resources.limits }}
            - --nthreads
            - {{ $worker.threads_per_worker | default .cpu | default $worker.default_resources.cpu | quote }}
            - --memory-limit
            - {{ .memory | default $worker.default_resources.memory | quote }}
            {{- else }}
            {{- with $worker.threads_per_worker }}
            - --nthreads
            - {{ . | quote }}
            {{- end }}
            {{- end }}
            - --dashboard-address
            - ":{{ $worker.portDashboard }}"
            {{- with $worker.port }}
            - --worker-port
            - {{ . | quote }}
            {{- end }}
            {{- with $worker.extraArgs }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - name: http-dashboard
              containerPort: {{ $worker.portDashboard }}
          {{- include "dask.container" $worker | nindent 10 }}
          {{- with $worker.mounts.volumeMounts }}
          volumeMounts:
            {{- toYaml . | nindent 12 }}
          {{- end }}
      {{- with $worker.mounts.volumes }}
      volumes:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end }}
