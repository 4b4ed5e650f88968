/** YAML for the end-to-end test of the local runner: pods without a mesh that tell about their surroundings. */

const server = `
const http = require('node:http'), os = require('node:os'), fs = require('node:fs');
http.createServer((request, response) => {
  if (request.url === '/ready') response.statusCode = fs.existsSync('/tmp/unready') ? 503 : 200;
  if (request.url === '/live') response.statusCode = fs.existsSync('/tmp/dead') ? 503 : 200;
  response.end(JSON.stringify({ host: os.hostname(), uid: process.getuid(), from: request.socket.remoteAddress }));
}).listen(8080, '::', () => console.log('listening as ' + process.getuid()));
`;

const indent = (text: string, by: number): string => text.trim().replace(/^/gm, ' '.repeat(by));

export const base = `
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: web, namespace: shop }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: code, namespace: shop }
data:
  server.js: |
${indent(server, 4)}
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec:
  ipFamilyPolicy: PreferDualStack
  selector: { app: web }
  ports: [{ name: http, port: 80, targetPort: http }]
---
apiVersion: v1
kind: Service
metadata: { name: web-pods, namespace: shop }
spec:
  clusterIP: None
  selector: { app: web }
  ports: [{ name: http, port: 8080 }]
---
apiVersion: v1
kind: Service
metadata: { name: nobody, namespace: shop }
spec:
  selector: { app: nobody }
  ports: [{ port: 80 }]
`;

export const web = (replicas: number, version: string): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web, version: ${version} } }
    spec:
      serviceAccountName: web
      terminationGracePeriodSeconds: 1
      securityContext: { runAsUser: 1337, runAsGroup: 1337, runAsNonRoot: true }
      containers:
        - name: web
          image: example.org/web
          command: [node, /code/server.js]
          ports: [{ name: http, containerPort: 8080 }]
          readinessProbe: { httpGet: { path: /ready, port: http }, periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 1 }
          livenessProbe: { httpGet: { path: /live, port: http }, periodSeconds: 1, timeoutSeconds: 5 }
          volumeMounts: [{ name: code, mountPath: /code }]
      volumes: [{ name: code, configMap: { name: code } }]
`;

/** marker: an argument by which its processes are found in the whole machine's list. */
export const tool = (marker: string, setting: string): string => `
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { color: ${setting} }
---
apiVersion: v1
kind: Pod
metadata: { name: tool, labels: { app: tool } }
spec:
  terminationGracePeriodSeconds: 1
  initContainers:
    - name: first
      command: [sh, -c, 'sleep 0.2; echo first > /shared/order']
      volumeMounts: [{ name: shared, mountPath: /shared }]
    - name: beside
      restartPolicy: Always
      command: [sh, -c, 'sleep 0.3; echo beside >> /shared/order; exec sleep ${marker}1']
      startupProbe: { exec: { command: [grep, beside, /shared/order] }, periodSeconds: 1 }
      volumeMounts: [{ name: shared, mountPath: /shared }]
    - name: last
      command: [sh, -c, 'echo last >> /shared/order']
      volumeMounts: [{ name: shared, mountPath: /shared }]
  containers:
    - name: tool
      command: [sh, -c, 'exec sleep $(MARKER)']
      env:
        - { name: MARKER, value: '${marker}2' }
        - { name: POD_IPS, valueFrom: { fieldRef: { fieldPath: status.podIPs } } }
        - { name: COLOR, valueFrom: { configMapKeyRef: { name: settings, key: color } } }
      volumeMounts:
        - { name: shared, mountPath: /shared }
        - { name: settings, mountPath: /settings }
        - { name: token, mountPath: /var/run/secrets/mesh }
  volumes:
    - { name: shared, emptyDir: { medium: Memory, sizeLimit: 1Mi } }
    - { name: settings, configMap: { name: settings } }
    - name: token
      projected:
        sources:
          - serviceAccountToken: { path: token, audience: chainmail-ca, expirationSeconds: 700 }
          - downwardAPI: { items: [{ path: labels, fieldRef: { fieldPath: metadata.labels } }] }
`;

export const stopping = `
apiVersion: v1
kind: Pod
metadata: { name: stopping }
spec:
  terminationGracePeriodSeconds: 5
  initContainers:
    - name: sidecar
      restartPolicy: Always
      command: [node, -e, 'process.on("SIGTERM", () => { console.log("end", Date.now()); process.exit(0); }); setInterval(() => {}, 1000); console.log("up")']
  containers:
    - name: app
      command: [node, -e, 'process.on("SIGTERM", () => setTimeout(() => { console.log("end", Date.now()); process.exit(0); }, 300)); setInterval(() => {}, 1000); console.log("up")']
`;

export const crashing = `
apiVersion: v1
kind: Pod
metadata: { name: crashing }
spec:
  restartPolicy: Never
  containers: [{ name: app, command: [sh, -c, 'echo the reason is here; exit 3'] }]
`;
