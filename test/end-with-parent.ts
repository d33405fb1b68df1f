/** Preloaded into a host that a test starts: it ends when its input does, and so does not outlive a test that was killed. */
process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM')).resume();
process.stdin.unref();
