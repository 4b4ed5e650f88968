/** Mount points of the host that an overlay of its root does not show, from the text of /proc/self/mountinfo. Pure. */

/** Below these a container has its own, or must not look. */
const hidden = ['/proc', '/sys', '/dev', '/run', '/tmp', '/root', '/home', '/boot', '/mnt', '/media', '/etc', '/var'];
const maxMounts = 64;

const octal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, o: string) => String.fromCharCode(Number.parseInt(o, 8)));

export function hostMounts(mountinfo: string): string[] {
  const points = mountinfo
    .split('\n')
    .map((line) => octal(line.split(' ')[4] ?? ''))
    .filter((p) => p.startsWith('/') && p !== '/' && !hidden.some((h) => p === h || p.startsWith(`${h}/`)));
  return [...new Set(points)].sort().slice(0, maxMounts);
}
