import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { isObject } from "../apimachinery/json.ts";
import {
  apiVersionOf,
  applyDefaults,
  decodeObject,
  validateObject,
} from "../apimachinery/object.ts";
import { kinds } from "./kinds.ts";

/** What real teams write, with most of what a pod can have. */
const manifests = `
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { team: shop, pod-security.kubernetes.io/enforce: restricted } }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: web, namespace: shop }
automountServiceAccountToken: false
imagePullSecrets: [{ name: registry }]
---
apiVersion: v1
kind: Secret
metadata: { name: db, namespace: shop }
type: Opaque
stringData: { password: secret }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: web, namespace: shop }
data: { nginx.conf: "events {}", LOG_LEVEL: info }
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
  labels: { app.kubernetes.io/name: web, app.kubernetes.io/version: "1.2" }
  annotations: { deployment.kubernetes.io/revision: "1" }
  creationTimestamp: null
spec:
  replicas: 3
  minReadySeconds: 5
  strategy: { type: RollingUpdate, rollingUpdate: { maxSurge: 1, maxUnavailable: 10% } }
  selector:
    matchLabels: { app: web }
    matchExpressions: [{ key: tier, operator: NotIn, values: [back] }]
  template:
    metadata:
      labels: { app: web }
      annotations: { prometheus.io/scrape: "true" }
      creationTimestamp: null
    spec:
      serviceAccountName: web
      priorityClassName: high
      hostAliases: [{ ip: 192.0.2.1, hostnames: [legacy.example.com] }]
      dnsConfig: { options: [{ name: ndots, value: "2" }] }
      securityContext:
        runAsNonRoot: true
        runAsUser: 1000
        fsGroup: 1000
        fsGroupChangePolicy: OnRootMismatch
        seccompProfile: { type: RuntimeDefault }
        sysctls: [{ name: net.core.somaxconn, value: "1024" }]
      affinity:
        nodeAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms:
              - matchExpressions: [{ key: kubernetes.io/arch, operator: In, values: [amd64] }]
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 100
              podAffinityTerm:
                topologyKey: kubernetes.io/hostname
                labelSelector: { matchLabels: { app: web } }
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: topology.kubernetes.io/zone
          whenUnsatisfiable: ScheduleAnyway
          labelSelector: { matchLabels: { app: web } }
      tolerations: [{ key: dedicated, operator: Equal, value: web, effect: NoSchedule }]
      initContainers:
        - name: migrate
          image: shop/migrate:1.2
          command: [sh, -c, "migrate up"]
          envFrom: [{ secretRef: { name: db } }]
        - name: proxy
          image: envoyproxy/envoy:v1.31
          restartPolicy: Always
          ports: [{ containerPort: 15001 }]
      containers:
        - name: web
          image: nginx@sha256:0000000000000000000000000000000000000000000000000000000000000000
          imagePullPolicy: IfNotPresent
          args: ["-g", "daemon off;"]
          workingDir: /srv
          ports:
            - { name: http, containerPort: 8080 }
            - { name: dns, containerPort: 53, protocol: UDP }
            - { name: dns-tcp, containerPort: 53, protocol: TCP }
          env:
            - { name: POD_IP, valueFrom: { fieldRef: { fieldPath: status.podIP } } }
            - { name: CPU, valueFrom: { resourceFieldRef: { containerName: web, resource: limits.cpu, divisor: 1m } } }
            - { name: PASSWORD, valueFrom: { secretKeyRef: { name: db, key: password, optional: true } } }
            - { name: EMPTY, value: }
          envFrom: [{ configMapRef: { name: web }, prefix: WEB_ }]
          resources: { requests: { cpu: 100m, memory: 64Mi }, limits: { cpu: 1, memory: 128Mi, ephemeral-storage: 1Gi } }
          startupProbe: { grpc: { port: 9090 }, failureThreshold: 30 }
          livenessProbe: { httpGet: { path: /healthz, port: http, httpHeaders: [{ name: X-Probe, value: "1" }] }, initialDelaySeconds: 5 }
          readinessProbe: { exec: { command: [cat, /tmp/ready] }, periodSeconds: 5 }
          lifecycle: { preStop: { sleep: { seconds: 5 } } }
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: { drop: [ALL], add: [NET_BIND_SERVICE] }
          volumeMounts:
            - { name: config, mountPath: /etc/nginx, readOnly: true }
            - { name: tmp, mountPath: /tmp }
            - { name: token, mountPath: /var/run/token, subPath: token }
            - { name: data, mountPath: /data }
      volumes:
        - { name: config, configMap: { name: web, items: [{ key: nginx.conf, path: nginx.conf }] } }
        - { name: tmp, emptyDir: { medium: Memory, sizeLimit: 64Mi } }
        - name: token
          projected:
            sources:
              - serviceAccountToken: { path: token, audience: vault }
              - downwardAPI: { items: [{ path: labels, fieldRef: { fieldPath: metadata.labels } }] }
        - { name: data, persistentVolumeClaim: { claimName: data } }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec:
  type: NodePort
  selector: { app: web }
  ipFamilyPolicy: PreferDualStack
  sessionAffinity: ClientIP
  ports:
    - { name: http, port: 80, targetPort: http, nodePort: 30080, appProtocol: http }
    - { name: dns, port: 53, protocol: UDP }
    - { name: dns-tcp, port: 53 }
---
apiVersion: v1
kind: Service
metadata: { name: db, namespace: shop }
spec: { clusterIP: None, selector: { app: db }, publishNotReadyAddresses: true }
---
apiVersion: v1
kind: Pod
metadata: { name: debug, namespace: shop }
spec:
  restartPolicy: Never
  activeDeadlineSeconds: 600
  containers: [{ name: debug, image: "busybox:latest", stdin: true, tty: true, command: [sh] }]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web, namespace: shop }
spec:
  podSelector: { matchLabels: { app: web } }
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: ingress } }
          podSelector: { matchLabels: { app: ingress-nginx } }
        - ipBlock: { cidr: 10.0.0.0/8, except: [10.1.0.0/16] }
      ports: [{ protocol: TCP, port: http }, { protocol: TCP, port: 9000, endPort: 9100 }]
  egress:
    - to: [{ namespaceSelector: {}, podSelector: { matchLabels: { k8s-app: kube-dns } } }]
      ports: [{ protocol: UDP, port: 53 }, { protocol: TCP, port: 53 }]
    - to: [{ ipBlock: { cidr: "2001:db8::/32" } }]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: external-1, namespace: shop, labels: { kubernetes.io/service-name: external } }
addressType: IPv4
ports: [{ name: https, port: 443, protocol: TCP, appProtocol: https }]
endpoints: [{ addresses: [192.0.2.10], conditions: { ready: true } }]
`;

for (const document of parseAllDocuments(manifests)) {
  const body: unknown = document.toJS();
  assert.ok(isObject(body));
  const name = isObject(body["metadata"]) ? String(body["metadata"]["name"]) : "";
  test(`the ordinary ${String(body["kind"])} ${name} is accepted under strict validation`, () => {
    const kind = kinds.find(
      (each) => each.kind === body["kind"] && apiVersionOf(each) === body["apiVersion"],
    );
    assert.ok(kind);
    const { object } = decodeObject(kind, body, "Strict");
    assert.deepEqual(validateObject(kind, applyDefaults(kind, object)), []);
  });
}

test("a misspelt field deep inside is named with its path", () => {
  const text = manifests
    .replace("fsGroupChangePolicy", "fsGroupChangePolice")
    .replace("optional: true", "optinal: true");
  const documents = parseAllDocuments(text).map((each): unknown => each.toJS());
  const body = documents.find((each) => isObject(each) && each["kind"] === "Deployment");
  const kind = kinds.find((each) => each.kind === "Deployment");
  assert.ok(kind);
  assert.throws(() => decodeObject(kind, body, "Strict"), {
    message:
      'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.template.spec.securityContext.fsGroupChangePolice", unknown field "spec.template.spec.containers[0].env[2].valueFrom.secretKeyRef.optinal"',
  });
});
