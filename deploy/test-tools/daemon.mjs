// A running trunkline with a data directory and a private Postgres of its own, both gone afterwards.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const binary = fileURLToPath(new URL('../../bin/trunkline', import.meta.url));

export class Daemon {
  apiKey = randomBytes(16).toString('hex');
  adminToken = randomBytes(16).toString('hex');
  #log = [];
  #synced = {};

  constructor() {
    this.#synced.promise = new Promise((resolve) => {
      this.#synced.resolve = resolve;
    });
  }

  // start runs a command that serves, and waits until it does.
  static async start(...command) {
    const daemon = new Daemon();
    daemon.directory = await mkdtemp(join(tmpdir(), 'trunkline-tools-'));
    // Started as root, the server of the database runs as another user, who has to get there.
    await chmod(daemon.directory, 0o755);
    // Whatever names a database or an account in this shell is none of the test's business.
    const inherited = Object.entries(process.env).filter(([name]) => !/^(TRUNKLINE|IPSCAPE|DIALEDIN|CONVOLO|CONVOSO|LENDWORKS|DATABASE)_/.test(name) || name === 'TRUNKLINE_PG_BIN');
    daemon.process = spawn(binary, command.length > 0 ? command : ['serve'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...Object.fromEntries(inherited),
        TRUNKLINE_DATA_DIR: daemon.directory,
        TRUNKLINE_HTTP_ADDR: '127.0.0.1:0',
        TRUNKLINE_LOG_FORMAT: 'json',
        TRUNKLINE_API_KEY: daemon.apiKey,
        TRUNKLINE_ADMIN_TOKEN: daemon.adminToken,
        TRUNKLINE_WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
      },
    });
    daemon.exited = new Promise((ended) => daemon.process.once('exit', (code) => ended(code)));
    daemon.#watchOutput();
    try {
      daemon.url = await daemon.#up();
    } catch (error) {
      await daemon.stop();
      throw error;
    }
    return daemon;
  }

  // synced waits for the line with which a demo says that it is done.
  synced(milliseconds = 300_000) {
    return new Promise((done, failed) => {
      const timer = setTimeout(() => failed(new Error(`the demo is not done:\n${this.#log.slice(-20).join('\n')}`)), milliseconds);
      this.#synced.promise.then(() => {
        clearTimeout(timer);
        done();
      });
    });
  }

  #watchOutput() {
    createInterface({ input: this.process.stdout }).on('line', (line) => {
      if (line === 'everything synced') this.#synced.resolve();
    });
  }

  #up() {
    return new Promise((up, failed) => {
      const give = (why) => failed(new Error(`trunkline ${why}:\n${this.#log.slice(-20).join('\n')}`));
      const timer = setTimeout(() => give('is not up after two minutes'), 120_000);
      createInterface({ input: this.process.stderr }).on('line', (line) => {
        this.#log.push(line);
        try {
          const entry = JSON.parse(line);
          if (entry.msg !== 'trunkline is up') return;
          clearTimeout(timer);
          up(`http://${entry.addr}`);
        } catch {
          // Not a line of the log.
        }
      });
      this.exited.then((code) => {
        clearTimeout(timer);
        give(`ended with ${code}`);
      });
    });
  }

  // stop returns the exit code.
  async stop() {
    this.process.kill('SIGTERM');
    const timer = setTimeout(() => this.process.kill('SIGKILL'), 60_000);
    const code = await this.exited;
    clearTimeout(timer);
    await rm(this.directory, { recursive: true, force: true });
    return code;
  }
}
