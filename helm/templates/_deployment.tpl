{{- /* A Deployment of one role: {root, role, values, args, container, token} with `container` the rest of the container as YAML
text and `token` true for a Pod that speaks to the API server. */ -}}
{{- define "credboard.deployment" -}}
{{- $root := .root }}
{{- $name := printf "%s-%s" (include "credboard.fullname" $root) .role }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels: {{- include "credboard.labels" . | nindent 4 }}
spec:
  {{- if not (and .values.autoscaling .values.autoscaling.enabled) }}
  replicas: {{ .values.replicas }}
  {{- else if gt (int64 .values.autoscaling.minReplicas) (int64 .values.autoscaling.maxReplicas) }}
  {{- fail (printf "%s.autoscaling: minReplicas is more than maxReplicas" .role) }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy:
    type: RollingUpdate
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
  selector:
    matchLabels: {{- include "credboard.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- merge (include "credboard.labels" . | fromYaml) (.values.podLabels | default dict) | toYaml | nindent 8 }}
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
      automountServiceAccountToken: {{ .token }}
      enableServiceLinks: false
      {{- include "credboard.pullSecrets" $root | nindent 6 }}
      securityContext: {{- include "credboard.podSecurity" $root.Values.podSecurityContext | nindent 8 }}
      terminationGracePeriodSeconds: {{ .values.terminationGracePeriodSeconds | default 45 | int64 }}
      {{- if or $root.Values.extraInitContainers $root.Values.postgresql.enabled }}
      initContainers:
        {{- with $root.Values.extraInitContainers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- if $root.Values.postgresql.enabled }}
        # The database comes with the release, so no hook could run before it. One migrates, the others wait for it.
        {{- include "credboard.migrateContainer" $root | nindent 8 }}
        {{- end }}
      {{- end }}
      containers:
        - name: {{ .role }}
          image: {{ include "credboard.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: {{- toYaml .args | nindent 12 }}
          env:
            {{- include "credboard.env" $root | nindent 12 }}
            {{- include "credboard.brokerEnv" $root | nindent 12 }}
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
          # Each version by itself, or those of the one before count while Pods are replaced.
          matchLabelKeys: [pod-template-hash]
        {{- end }}
      {{- end }}
      {{- include "credboard.placement" . | nindent 6 }}
{{- end }}
