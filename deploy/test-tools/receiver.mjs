// A receiver of webhooks as their documentation describes one, with nothing of Trunkline's own code.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const tolerance = 300; // seconds

export function verify(secret, headers, raw, now = Date.now()) {
  const timestamp = headers['x-webhook-timestamp'] ?? '';
  if (!/^\d+$/.test(timestamp) || Math.abs(now / 1000 - Number(timestamp)) > tolerance) return false;
  const want = Buffer.from(`sha256=${createHmac('sha256', secret).update(`${timestamp}.`).update(raw).digest('hex')}`);
  const got = Buffer.from(headers['x-webhook-signature'] ?? '');
  return got.length === want.length && timingSafeEqual(got, want);
}

// Receiver listens on this machine, refuses its first posts if told to, and keeps what is signed well, each id once.
export class Receiver {
  events = [];
  refused = 0;
  bad = [];
  #seen = new Set();
  #waiting = [];

  static async start({ refuseFirst = 0 } = {}) {
    const receiver = new Receiver();
    receiver.server = createServer((request, response) => {
      const chunks = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        response.statusCode = receiver.#take(request, Buffer.concat(chunks), refuseFirst);
        response.end();
      });
    });
    await new Promise((listening) => receiver.server.listen(0, '127.0.0.1', listening));
    receiver.url = `http://127.0.0.1:${receiver.server.address().port}/hook`;
    return receiver;
  }

  #take(request, raw, refuseFirst) {
    if (!verify(this.secret ?? '', request.headers, raw)) {
      this.bad.push(request.headers);
      return 401;
    }
    if (this.refused < refuseFirst) {
      this.refused++;
      return 503;
    }
    const event = JSON.parse(raw.toString('utf8'));
    if (event.id !== request.headers['x-webhook-id']) this.bad.push(request.headers);
    if (!this.#seen.has(event.id)) {
      this.#seen.add(event.id);
      this.events.push(event);
    }
    this.#waiting.forEach((look) => look());
    return 200;
  }

  // until waits for an event that a test looks for.
  until(wanted, milliseconds = 60_000) {
    return new Promise((found, failed) => {
      const timer = setTimeout(() => failed(new Error(`no such event among ${JSON.stringify(this.events.map((e) => e.event))}`)), milliseconds);
      const look = () => {
        const event = this.events.find(wanted);
        if (!event) return;
        clearTimeout(timer);
        this.#waiting.splice(this.#waiting.indexOf(look), 1);
        found(event);
      };
      this.#waiting.push(look);
      look();
    });
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((closed) => this.server.close(closed));
  }
}
