// Runs every command block of README.md as it stands, in the order of the page, in a fresh copy of the tree, against the demo that the
// page's first block starts. Only the port is another one where 8080 is taken. Fails with the block that failed.
//
// A block is marked by a comment on the line before it:
//   <!-- run: demo -->    it runs the demo: started in the background, up until the end
//   <!-- run: serves -->  it serves: started, stopped gently when it is up
//   <!-- run: own -->     it is about the database that the serving block made, not the demo's
//   <!-- run: target -->  too long to run here, CI does: only that make knows the target
// A block without a comment has to end well within a minute. What one exports or sets, the next ones have.

import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, closeSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const tree = fileURLToPath(new URL('../..', import.meta.url));
const minute = 60_000;

export function blocksOf(text) {
  const found = [];
  for (const m of text.matchAll(/(?:^<!-- run: (\w+) -->\n)?^```sh\n([\s\S]*?)^```$/gm)) {
    found.push({ how: m[1] ?? 'plain', commands: m[2], line: text.slice(0, m.index).split('\n').length + (m[1] ? 1 : 0) });
  }
  return found;
}

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

class Run {
  #demo;

  constructor() {
    this.base = mkdtempSync(join(tmpdir(), 'trunkline-readme-'));
    // Started as root, the server of the database runs as another user, who has to get there.
    chmodSync(this.base, 0o755);
    this.clone = join(this.base, 'trunkline');
    this.state = join(this.base, 'state');
    writeFileSync(this.state, '');
    const accounts = /^(TRUNKLINE|IPSCAPE|DIALEDIN|CONVOLO|CONVOSO|LENDWORKS|DATABASE)_|^(PS1|KEY|ID|MAKEFLAGS|MAKELEVEL|MFLAGS)$/;
    const inherited = Object.entries(process.env).filter(([name]) => !accounts.test(name) || name === 'TRUNKLINE_PG_BIN');
    // psql may lie beside the server only.
    const PATH = [process.env.TRUNKLINE_PG_BIN, process.env.PATH].filter(Boolean).join(':');
    this.env = { ...Object.fromEntries(inherited), PATH, TRUNKLINE_LOG_FORMAT: 'text' };
  }

  // takeTree copies what a clone would have, and what is about to be committed. A clone proper refuses a tree of somebody else's.
  takeTree() {
    const listed = spawnSync('git', ['-c', 'safe.directory=*', '-C', tree, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8', maxBuffer: 1 << 26, timeout: minute });
    if (listed.status !== 0) throw new Error(`listing the tree: ${listed.error ?? listed.stderr}`);
    const names = [...new Set(listed.stdout.split('\0'))].filter((name) => name && existsSync(join(tree, name)));
    for (const name of names) {
      mkdirSync(join(this.clone, dirname(name)), { recursive: true });
      copyFileSync(join(tree, name), join(this.clone, name));
    }
  }

  // script is a block with what the blocks before it set; kept says whether it hands on what it sets.
  script(block, kept) {
    const commands = block.commands.replaceAll('127.0.0.1:8080', `127.0.0.1:${this.port}`);
    const keep = `for v in KEY ID TRUNKLINE_DATA_DIR; do eval "x=\\\${$v-}"; [ -z "$x" ] || printf "export %s='%s'\\n" "$v" "$x"; done >'${this.state}'\n`;
    return `set -eu\n. '${this.state}'\n${commands}${kept ? keep : ''}`;
  }

  begin(block, env = {}) {
    const log = join(this.base, `${block.how}.log`);
    const file = openSync(log, 'w');
    const child = spawn('sh', ['-c', this.script(block, false)], { cwd: this.clone, env: { ...this.env, ...env }, stdio: ['ignore', file, file], detached: true });
    closeSync(file);
    child.on('exit', (code, signal) => {
      child.ended = code ?? signal;
    });
    child.log = () => readFileSync(log, 'utf8');
    return child;
  }

  // until waits for a line of a program that goes on.
  async until(child, sign, within) {
    for (const end = Date.now() + within; ; await sleep(100)) {
      if (sign.test(child.log())) return;
      if (child.ended !== undefined) throw new Error(`it ended with ${child.ended}`);
      if (Date.now() > end) throw new Error(`it did not say ${sign} within ${within / 1000} s`);
    }
  }

  // end stops a program and all that it started, as Ctrl-C does.
  async end(child, within = minute) {
    if (child.ended !== undefined) return child.ended;
    process.kill(-child.pid, 'SIGINT');
    for (const end = Date.now() + within; child.ended === undefined; await sleep(100)) {
      if (Date.now() > end) {
        process.kill(-child.pid, 'SIGKILL');
        throw new Error(`it did not end within ${within / 1000} s of Ctrl-C`);
      }
    }
    return child.ended;
  }

  plain(block, kept = true) {
    const done = spawnSync('sh', ['-c', this.script(block, kept)], {
      cwd: this.clone, env: this.env, encoding: 'utf8', timeout: minute, input: '', maxBuffer: 1 << 26,
    });
    if (done.error || done.status !== 0) throw new Error(`${done.error?.message ?? `exit ${done.status}`}\n${done.stdout}${done.stderr}`);
    // curl is content with any answer.
    if (/^\s*curl /m.test(block.commands) && /"errors":\[/.test(done.stdout)) throw new Error(`the answer is an error\n${done.stdout}`);
  }

  async run(block) {
    switch (block.how) {
      case 'demo': {
        this.#demo = this.begin(block, { TRUNKLINE_HTTP_ADDR: `127.0.0.1:${this.port}` });
        try {
          await this.until(this.#demo, /^everything synced$/m, 6 * minute);
        } catch (error) {
          throw new Error(`${error.message}\n${this.#demo.log().slice(-4000)}`);
        }
        return;
      }
      case 'serves': {
        const child = this.begin(block, { TRUNKLINE_HTTP_ADDR: '127.0.0.1:0' });
        try {
          await this.until(child, /trunkline is up/, 2 * minute);
          await this.end(child);
        } catch (error) {
          throw new Error(`${error.message}\n${child.log().slice(-4000)}`);
        }
        return;
      }
      case 'own':
        return this.plain({ ...block, commands: `export TRUNKLINE_DATA_DIR="$PWD/.trunkline"\n${block.commands}` }, false);
      case 'target':
        return this.plain({ ...block, commands: block.commands.replaceAll(/^make /gm, 'make -n ') }, false);
      case 'plain':
        return this.plain(block);
      default:
        throw new Error(`"run: ${block.how}" is no way to run a block`);
    }
  }

  async close() {
    try {
      if (this.#demo) await this.end(this.#demo);
    } finally {
      // The server of the database may still be at its last files.
      rmSync(this.base, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 });
    }
  }
}

async function main() {
  const blocks = blocksOf(readFileSync(join(tree, 'README.md'), 'utf8'));
  if (blocks.length < 10 || !blocks.some((b) => b.how === 'demo')) throw new Error(`README.md has ${blocks.length} blocks of commands`);
  const run = new Run();
  const interrupted = () => run.close().finally(() => process.exit(130));
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    run.port = await freePort();
    run.takeTree();
    for (const block of blocks) {
      const began = Date.now();
      try {
        await run.run(block);
      } catch (error) {
        throw new Error(`README.md:${block.line}: this block does not run as it stands:\n\n${block.commands}\n${error.message}`);
      }
      console.log(`ok README.md:${block.line} (${block.how}, ${((Date.now() - began) / 1000).toFixed(1)} s) ${block.commands.trim().split('\n')[0]}`);
    }
  } finally {
    await run.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
