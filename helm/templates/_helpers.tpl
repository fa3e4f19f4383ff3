{{- define "credboard.name" -}}
{{- $name := .Chart.Name -}}
{{- if contains $name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ $name }}{{ end }}
{{- end }}

{{- define "credboard.fullname" -}}
{{- include "credboard.name" . | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "credboard.selector" -}}
app.kubernetes.io/name: credboard
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "credboard.labels" -}}
{{ include "credboard.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "credboard.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "credboard.keysSecret" -}}
{{ .Values.keys.existingSecret | default (printf "%s-keys" (include "credboard.fullname" .)) }}
{{- end }}

{{- define "credboard.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "credboard.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- /* The host of `url`, without port. */ -}}
{{- define "credboard.host" -}}
{{ (urlParse .Values.url).host | splitList ":" | first }}
{{- end }}

{{- /* What all processes have in common. Inline, not a ConfigMap: the migration runs before anything else of the release is there. */ -}}
{{- define "credboard.env" -}}
- name: CREDBOARD_URL
  value: {{ printf "%s%s" (trimSuffix "/" .Values.url) .Values.pathPrefix | quote }}
- name: CREDBOARD_HTTPS
  value: {{ hasPrefix "https://" .Values.url | quote }}
- name: CREDBOARD_ALLOWED_HOSTS
  value: {{ include "credboard.host" . }},{{ include "credboard.fullname" . }},{{ include "credboard.fullname" . }}.{{ .Release.Namespace }}.svc,localhost,127.0.0.1
{{- if hasPrefix "https://" .Values.url }}
- name: CREDBOARD_TRUSTED_ORIGINS
  value: {{ trimSuffix "/" .Values.url | quote }}
{{- end }}
{{- if .Values.pathPrefix }}
- name: CREDBOARD_PATH_PREFIX
  value: {{ .Values.pathPrefix | quote }}
{{- end }}
- name: CREDBOARD_LOG_FORMAT
  value: json
{{- if .Values.rbac.impersonation.enabled }}
- name: CREDBOARD_WRITE_AS
  value: person
{{- end }}
{{- if .Values.postgresql.enabled }}
- name: DATABASE_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ include "credboard.fullname" . }}-postgresql, key: password } }
- name: DATABASE_URL
  value: postgres://credboard:$(DATABASE_PASSWORD)@{{ include "credboard.fullname" . }}-postgresql:5432/credboard
{{- else }}
- name: DATABASE_URL
  valueFrom: { secretKeyRef: { name: {{ required "database.existingSecret names the Secret with DATABASE_URL; for a trial set postgresql.enabled=true" .Values.database.existingSecret }}, key: {{ .Values.database.urlKey }} } }
{{- end }}
{{- if .Values.valkey.enabled }}
- name: REDIS_URL
  value: redis://{{ include "credboard.fullname" . }}-valkey:6379/0
{{- else }}
- name: REDIS_URL
  valueFrom: { secretKeyRef: { name: {{ required "redis.existingSecret names the Secret with REDIS_URL; or set valkey.enabled=true" .Values.redis.existingSecret }}, key: {{ .Values.redis.urlKey }} } }
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- range $name, $from := .Values.secretSettings }}
- name: {{ $name }}
  valueFrom: { secretKeyRef: { name: {{ $from.name }}, key: {{ $from.key }} } }
{{- end }}
{{- with .Values.metrics.serviceMonitor.tokenSecret }}
{{- if .name }}
- name: CREDBOARD_METRICS_TOKEN
  valueFrom: { secretKeyRef: { name: {{ .name }}, key: {{ .key }} } }
{{- end }}
{{- end }}
{{- end }}

{{- /* Not of the migration, which needs none of them and runs before they are made. */ -}}
{{- define "credboard.keysEnv" -}}
{{- $keys := include "credboard.keysSecret" . -}}
- name: CREDBOARD_SECRET_KEY
  valueFrom: { secretKeyRef: { name: {{ $keys }}, key: secret-key } }
- name: CREDBOARD_FINGERPRINT_KEY
  valueFrom: { secretKeyRef: { name: {{ $keys }}, key: fingerprint-key } }
- name: CREDBOARD_ENCRYPTION_KEYS
  valueFrom: { secretKeyRef: { name: {{ $keys }}, key: encryption-keys } }
{{- end }}

{{- define "credboard.volumeMounts" -}}
- { name: data, mountPath: /data }
- { name: tmp, mountPath: /tmp }
{{- end }}

{{- define "credboard.volumes" -}}
- { name: data, emptyDir: { sizeLimit: 64Mi } }
- { name: tmp, emptyDir: { sizeLimit: 256Mi } }
{{- end }}

{{- /* What `manage.py start migrate` is told. */ -}}
{{- define "credboard.migrateArgs" -}}
- start
- migrate
- --wait={{ .Values.migrate.timeoutSeconds }}
- --cluster={{ .Values.clusterName }}
{{- if eq .Values.rbac.mode "namespaces" }}
{{- range .Values.rbac.namespaces }}
- --include={{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- /* A Deployment of one role: {root, role, values, args, container} with `container` the rest of the container as YAML text. */ -}}
{{- define "credboard.deployment" -}}
{{- $root := .root }}
{{- $name := printf "%s-%s" (include "credboard.fullname" $root) .role }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "credboard.labels" . | nindent 4 }}
spec:
  {{- if not (and .values.autoscaling .values.autoscaling.enabled) }}
  replicas: {{ .values.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy:
    type: RollingUpdate
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
  selector:
    matchLabels: {{- include "credboard.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "credboard.labels" . | nindent 8 }}
        {{- with .values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        {{- if $root.Values.policy }}
        checksum/policy: {{ sha256sum $root.Values.policy }}
        {{- end }}
        checksum/keys: {{ include "credboard.keysSecret" $root | sha256sum }}
        {{- with .values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ if eq .role "beat" }}default{{ else }}{{ $name }}{{ end }}
      automountServiceAccountToken: {{ ne .role "beat" }}
      enableServiceLinks: false
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      securityContext: {{- include "credboard.podSecurity" $root | nindent 8 }}
      terminationGracePeriodSeconds: {{ .values.terminationGracePeriodSeconds | default 45 }}
      {{- if $root.Values.postgresql.enabled }}
      # The database comes with the release, so no hook could run before it. One migrates, the others wait for it.
      initContainers:
        - name: migrate
          image: {{ include "credboard.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: {{- include "credboard.migrateArgs" $root | nindent 12 }}
          env: {{- include "credboard.env" $root | nindent 12 }}
          resources: {{- toYaml $root.Values.migrate.resources | nindent 12 }}
          securityContext: {{- include "credboard.containerSecurity" $root | nindent 12 }}
          volumeMounts: {{- include "credboard.volumeMounts" $root | nindent 12 }}
      {{- end }}
      containers:
        - name: {{ .role }}
          image: {{ include "credboard.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: {{- toYaml .args | nindent 12 }}
          env:
            {{- include "credboard.env" $root | nindent 12 }}
            {{- include "credboard.keysEnv" $root | nindent 12 }}
            {{- if $root.Values.policy }}
            - name: CREDBOARD_POLICY_FILE
              value: /etc/credboard/policy.yaml
            {{- end }}
          resources: {{- toYaml .values.resources | nindent 12 }}
          securityContext: {{- include "credboard.containerSecurity" $root | nindent 12 }}
          {{- .container | nindent 10 }}
          volumeMounts:
            {{- include "credboard.volumeMounts" $root | nindent 12 }}
            {{- if $root.Values.policy }}
            - { name: policy, mountPath: /etc/credboard, readOnly: true }
            {{- end }}
      volumes:
        {{- include "credboard.volumes" $root | nindent 8 }}
        {{- if $root.Values.policy }}
        - { name: policy, configMap: { name: {{ include "credboard.fullname" $root }}-policy } }
        {{- end }}
      {{- if $root.Values.topologySpread.enabled }}
      topologySpreadConstraints:
        {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - maxSkew: 1
          topologyKey: {{ $key }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- include "credboard.selector" $ | nindent 14 }}
        {{- end }}
      {{- end }}
      {{- with .values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.affinity }}
      affinity: {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end }}
