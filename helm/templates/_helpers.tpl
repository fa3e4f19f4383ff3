{{- define "credboard.name" -}}
{{ .Values.nameOverride | default .Chart.Name }}
{{- end }}

{{- /* What all objects are named after: at most 40 characters, since "-postgresql" follows and a StatefulSet adds the hash of its
revision to its name in a label (63). A release's name may begin with a digit and hold dots; a Service's may not. */ -}}
{{- define "credboard.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride }}{{ else }}
{{- $chart := include "credboard.name" . -}}
{{- $name := .Release.Name | replace "." "-" -}}
{{- if not (contains $chart $name) }}{{ $name = printf "%s-%s" $name $chart }}{{ end -}}
{{- if not (regexMatch "^[a-z]" $name) }}{{ $name = printf "%s-%s" $chart $name }}{{ end -}}
{{- if gt (len $name) 40 }}{{ $name = printf "%s-%s" ($name | trunc 31 | trimSuffix "-") (sha256sum .Release.Name | trunc 8) }}{{ end -}}
{{ $name }}
{{- end }}
{{- end }}

{{- define "credboard.instance" -}}
app.kubernetes.io/name: {{ include "credboard.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "credboard.selector" -}}
{{ include "credboard.instance" .root }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "credboard.labels" -}}
{{ include "credboard.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* An image as it is pulled: {root, image}. A mirror takes the place of the registry that it names. */ -}}
{{- define "credboard.mirrored" -}}
{{- $image := .image -}}
{{- with .root.Values.global.imageRegistry }}{{ $image = printf "%s/%s" . (regexReplaceAll "^(localhost|[^/]*[.:][^/]*)/" $image "") }}{{ end -}}
{{ $image | quote }}
{{- end }}

{{- define "credboard.image" -}}
{{- $version := printf ":%s" (.Values.image.tag | default .Chart.AppVersion) -}}
{{- with .Values.image.digest }}{{ $version = printf "@%s" . }}{{ end -}}
{{ include "credboard.mirrored" (dict "root" . "image" (printf "%s%s" .Values.image.repository $version)) }}
{{- end }}

{{- define "credboard.keysSecret" -}}
{{ .Values.keys.existingSecret | default (printf "%s-keys" (include "credboard.fullname" .)) }}
{{- end }}

{{- define "credboard.postgresqlSecret" -}}
{{ .Values.postgresql.existingSecret | default (printf "%s-postgresql" (include "credboard.fullname" .)) }}
{{- end }}

{{- define "credboard.valkeySecret" -}}
{{ .Values.valkey.existingSecret | default (printf "%s-valkey" (include "credboard.fullname" .)) }}
{{- end }}

{{- /* Of a Secret that is made once. Argo CD asks no cluster what is there already and would make it anew at every sync, and what the old
keys encrypted would be lost. It leaves out what has this, and the Pods wait for a Secret that somebody makes. */ -}}
{{- define "credboard.unlessRendered" -}}
argocd.argoproj.io/hook: Skip
{{- end }}

{{- /* Of a Pod, with the ids that it is told. */ -}}
{{- define "credboard.podSecurity" -}}
runAsNonRoot: true
seccompProfile: { type: RuntimeDefault }
{{- range $key, $value := . }}
{{- if not (kindIs "invalid" $value) }}
{{ $key }}: {{ int64 $value }}
{{- end }}
{{- end }}
{{- end }}

{{- define "credboard.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "credboard.pullSecrets" -}}
{{- $names := list }}
{{- /* Other charts under the same `global` may want objects. */ -}}
{{- range concat (.Values.imagePullSecrets | default list) (.Values.global.imagePullSecrets | default list) }}
{{- if kindIs "string" . }}{{ $names = append $names . }}{{ else }}{{ $names = append $names .name }}{{ end }}
{{- end }}
{{- with uniq $names }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* Where a Pod may run: {root, values} with the values of its role. */ -}}
{{- define "credboard.placement" -}}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" }}
{{- with index $.values $key }}
{{ $key }}: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Where its rights reach: "" for the whole cluster. */ -}}
{{- define "credboard.isBounded" -}}
{{- if and (eq .Values.rbac.mode "cluster") .Values.rbac.namespaces }}
{{- fail "rbac.namespaces bounds the modes namespaces and readOnly; with rbac.mode cluster it would bound nothing" }}
{{- end }}
{{- if and (eq .Values.rbac.mode "namespaces") (not .Values.rbac.namespaces) }}
{{- fail "rbac.mode is namespaces: list them in rbac.namespaces" }}
{{- end }}
{{- if .Values.rbac.namespaces }}yes{{ end }}
{{- end }}

{{- define "credboard.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "credboard.fullname" .root }}-{{ .role }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels: {{- include "credboard.labels" . | nindent 4 }}
  {{- with (index .root.Values .role).serviceAccountAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}

{{- /* A value of `settings` as the text of a variable. Helm reads every number as a float and writes a million as 1e+06. */ -}}
{{- define "credboard.text" -}}
{{- if kindIs "slice" . }}{{ join "," . }}
{{- else if and (kindIs "float64" .) (eq (floor .) .) }}{{ printf "%.0f" . }}
{{- else }}{{ . }}
{{- end }}
{{- end }}

{{- /* The host of `url`. */ -}}
{{- define "credboard.host" -}}
{{ regexReplaceAll ":[0-9]*$" (urlParse .Values.url).host "" | lower }}
{{- end }}

{{- /* Hosts under which it answers: those of all ways in, its Service, and what probes and port-forwards ask for. The last are never to
be missing, or the kubelet would kill what works. */ -}}
{{- define "credboard.hosts" -}}
{{- $name := include "credboard.fullname" . }}
{{- $hosts := list (include "credboard.host" .) }}
{{- if .Values.ingress.enabled }}{{ $hosts = concat $hosts (.Values.ingress.hosts | default list) }}{{ end }}
{{- with (.Values.settings | default dict).CREDBOARD_ALLOWED_HOSTS }}{{ $hosts = concat $hosts (include "credboard.text" . | splitList ",") }}{{ end }}
{{- if .Values.gateway.enabled }}{{ $hosts = concat $hosts (.Values.gateway.hostnames | default list) }}{{ end }}
{{- if .Values.istio.enabled }}{{ $hosts = concat $hosts (without .Values.istio.hosts "*") }}{{ end }}
{{- $hosts = concat $hosts (list $name (printf "%s.%s.svc" $name .Release.Namespace) "localhost" "127.0.0.1") }}
{{- $answered := list }}
{{- range $hosts }}{{ $answered = append $answered (regexReplaceAll "^\\*\\." (trim .) ".") }}{{ end }}
{{- $answered | uniq | join "," }}
{{- end }}

{{- /* The settings that follow from other values, as YAML; `settings` may overrule them. */ -}}
{{- define "credboard.ownSettings" -}}
CREDBOARD_URL: {{ printf "%s%s" (trimSuffix "/" .Values.url) (.Values.pathPrefix | default "") | quote }}
CREDBOARD_HTTPS: {{ hasPrefix "https://" .Values.url | quote }}
CREDBOARD_ALLOWED_HOSTS: {{ include "credboard.hosts" . | quote }}
{{- if hasPrefix "https://" .Values.url }}
CREDBOARD_TRUSTED_ORIGINS: {{ trimSuffix "/" .Values.url | quote }}
{{- end }}
{{- with .Values.pathPrefix }}
CREDBOARD_PATH_PREFIX: {{ . | quote }}
{{- end }}
CREDBOARD_LOG_FORMAT: json
{{- if eq .Values.rbac.mode "readOnly" }}
CREDBOARD_READ_ONLY: "true"
{{- end }}
{{- if .Values.rbac.impersonation.enabled }}
CREDBOARD_WRITE_AS: person
{{- end }}
{{- end }}

{{- /* What all processes have in common. Inline, not a ConfigMap: the migration runs before anything else of the release is there. */ -}}
{{- define "credboard.env" -}}
{{- $elsewhere := dict
  "DATABASE_URL" "database.existingSecret"
  "REDIS_URL" "redis.existingSecret"
  "CREDBOARD_SECRET_KEY" "keys.existingSecret"
  "CREDBOARD_FINGERPRINT_KEY" "keys.existingSecret"
  "CREDBOARD_ENCRYPTION_KEYS" "keys.existingSecret"
  "CREDBOARD_POLICY_FILE" "policy"
  "CREDBOARD_READ_ONLY" "rbac.mode"
  "CREDBOARD_WRITE_AS" "rbac.impersonation"
  "DATABASE_PASSWORD" "postgresql.existingSecret"
  "REDIS_PASSWORD" "valkey.existingSecret" }}
{{- $plain := .Values.settings | default dict }}
{{- $secret := .Values.secretSettings | default dict }}
{{- if and .Values.postgresql.enabled .Values.database.existingSecret }}
{{- fail "database.existingSecret names a database, and postgresql.enabled makes another: choose one" }}
{{- end }}
{{- if and .Values.valkey.enabled .Values.redis.existingSecret }}
{{- fail "redis.existingSecret names a broker, and valkey.enabled makes another: set valkey.enabled=false to use yours" }}
{{- end }}
{{- range $name, $value := $elsewhere }}
{{- if or (hasKey $plain $name) (hasKey $secret $name) }}
{{- fail (printf "%s is set by the chart: use %s" $name $value) }}
{{- end }}
{{- end }}
{{- range $name, $value := $plain }}
{{- if hasKey $secret $name }}
{{- fail (printf "%s is both in settings and in secretSettings" $name) }}
{{- end }}
{{- if has $name (list "CREDBOARD_ADMIN_PASSWORD" "CREDBOARD_METRICS_TOKEN" "CREDBOARD_SECRET_KEY_FALLBACKS" "CREDBOARD_SMTP_PASSWORD") }}
{{- fail (printf "%s is secret, and settings are read by whoever may read Pods: name a Secret with it in secretSettings" $name) }}
{{- end }}
{{- end }}
{{- $settings := merge (dict) (omit $plain "CREDBOARD_ALLOWED_HOSTS") (include "credboard.ownSettings" . | fromYaml) }}
{{- range $name, $value := $settings }}
{{- if not (hasKey $secret $name) }}
- name: {{ $name | quote }}
  value: {{ include "credboard.text" $value | quote }}
{{- end }}
{{- end }}
{{- if .Values.postgresql.enabled }}
- name: DATABASE_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ include "credboard.postgresqlSecret" . | quote }}, key: password } }
- name: DATABASE_URL
  value: postgres://credboard:$(DATABASE_PASSWORD)@{{ include "credboard.fullname" . }}-postgresql:5432/credboard
{{- else }}
- name: DATABASE_URL
  valueFrom: { secretKeyRef: { name: {{ required "database.existingSecret names the Secret with DATABASE_URL; for a trial set postgresql.enabled=true" .Values.database.existingSecret | quote }}, key: {{ .Values.database.urlKey | quote }} } }
{{- end }}
{{- range $name, $from := $secret }}
- name: {{ $name | quote }}
  valueFrom: { secretKeyRef: { name: {{ $from.name | quote }}, key: {{ $from.key | quote }} } }
{{- end }}
{{- with .Values.metrics.serviceMonitor.tokenSecret }}
{{- if and .name (not (hasKey $secret "CREDBOARD_METRICS_TOKEN")) }}
- name: CREDBOARD_METRICS_TOKEN
  valueFrom: { secretKeyRef: { name: {{ .name | quote }}, key: {{ .key | quote }} } }
{{- end }}
{{- end }}
{{- end }}

{{- /* Not of the migration, which needs neither broker nor keys and runs before they are made. */ -}}
{{- define "credboard.brokerEnv" -}}
{{- if .Values.valkey.enabled }}
- name: REDIS_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ include "credboard.valkeySecret" . | quote }}, key: password } }
- name: REDIS_URL
  value: redis://:$(REDIS_PASSWORD)@{{ include "credboard.fullname" . }}-valkey:6379/0
{{- else }}
- name: REDIS_URL
  valueFrom: { secretKeyRef: { name: {{ required "redis.existingSecret names the Secret with REDIS_URL; or set valkey.enabled=true" .Values.redis.existingSecret | quote }}, key: {{ .Values.redis.urlKey | quote }} } }
{{- end }}
{{- end }}

{{- define "credboard.keysEnv" -}}
{{- $keys := include "credboard.keysSecret" . | quote -}}
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
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "credboard.volumes" -}}
- { name: data, emptyDir: { sizeLimit: 64Mi } }
- { name: tmp, emptyDir: { sizeLimit: 256Mi } }
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "credboard.dnsEgress" -}}
# DNS; on OpenShift its Pods listen on 5353.
- ports:
    - { port: 53, protocol: UDP }
    - { port: 53, protocol: TCP }
    - { port: 5353, protocol: UDP }
    - { port: 5353, protocol: TCP }
  {{- with .Values.networkPolicy.dnsTo }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- /* What `manage.py start migrate` is told. It gives up on a database that does not come before the Job is ended. */ -}}
{{- define "credboard.migrateArgs" -}}
- start
- migrate
- --wait={{ min 300 (div (int64 .Values.migrate.timeoutSeconds) 2) }}
- {{ printf "--cluster=%s" .Values.clusterName | quote }}
{{- if include "credboard.isBounded" . }}
{{- range uniq .Values.rbac.namespaces }}
- --include={{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "credboard.migrateContainer" -}}
- name: migrate
  image: {{ include "credboard.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: {{- include "credboard.migrateArgs" . | nindent 4 }}
  env: {{- include "credboard.env" . | nindent 4 }}
  resources: {{- toYaml .Values.migrate.resources | nindent 4 }}
  securityContext: {{- include "credboard.containerSecurity" . | nindent 4 }}
  volumeMounts: {{- include "credboard.volumeMounts" . | nindent 4 }}
{{- end }}
