// The API of a running daemon, seen from another language: a client made of the OpenAPI document, and a receiver that checks
// what webhooks are signed with.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { APIError, Client } from './client.mjs';
import { Daemon } from './daemon.mjs';
import { Receiver, verify } from './receiver.mjs';

let daemon;
let client;

before(
  async () => {
    daemon = await Daemon.start();
    const response = await fetch(`${daemon.url}/v1/openapi.json`);
    client = new Client({ baseUrl: daemon.url, apiKey: daemon.apiKey, document: await response.json() });
  },
  { timeout: 150_000 },
);

after(async () => assert.equal(await daemon?.stop(), 0, 'a gentle stop'), { timeout: 90_000 });

const fields = {
  businessName: 'Birch Hill Bakery LLC',
  contactFirstName: 'Ana',
  contactLastName: 'Ruiz',
  email: 'ana@birchhill.example',
  phone: '+15035550142',
  monthlyRevenue: '42000.50',
  source: 'api',
  priority: 'high',
  tags: ['tools'],
  customFields: { from: 'node' },
};

test('the vector of the contract', () => {
  const headers = {
    'x-webhook-timestamp': '1760000000',
    'x-webhook-signature': 'sha256=66e880d7175fffb43ce10c4e14db1cfb230c8804b5aafb116affbc9a836c7690',
  };
  const body = Buffer.from('{"id":"evt_1"}');
  assert.ok(verify('whsec_test', headers, body, 1_760_000_000_000));
  assert.ok(!verify('whsec_test', headers, body, 1_760_000_301_000), 'too old');
  assert.ok(!verify('whsec_other', headers, body, 1_760_000_000_000), 'another secret');
});

test('create, list, change', { timeout: 60_000 }, async () => {
  const made = await client.leads.create(fields, { idempotencyKey: 'lead-tools-1' });
  assert.equal(made.status, 201);
  assert.equal(made.data.type, 'lead');
  for (const [name, value] of Object.entries(fields)) assert.deepEqual(made.data.attributes[name], value, name);

  const again = await client.leads.create(fields, { idempotencyKey: 'lead-tools-1' });
  assert.equal(again.data.id, made.data.id, 'the same key makes one lead');
  assert.equal(again.headers.get('idempotency-key-replay'), 'true');

  const list = await client.leads.list({ search: 'Birch Hill', limit: 5 });
  assert.deepEqual(list.data.map((lead) => lead.id), [made.data.id]);
  assert.equal(list.meta.total, 1);

  const changed = await client.leads.update(made.data.id, { priority: 'urgent', tags: null }, { idempotencyKey: 'lead-tools-2' });
  assert.equal(changed.data.attributes.priority, 'urgent');
  assert.deepEqual(changed.data.attributes.tags, []);
  assert.equal((await client.leads.get(made.data.id)).data.attributes.priority, 'urgent');

  await assert.rejects(client.leads.create({ email: 'not an address', monthlyRevenue: 42 }), (error) => {
    assert.ok(error instanceof APIError);
    assert.equal(error.status, 422);
    assert.deepEqual(error.errors.map((e) => e.detail.field).sort(), ['email', 'monthlyRevenue']);
    return true;
  });
});

test('a delivery, verified', { timeout: 90_000 }, async () => {
  const receiver = await Receiver.start({ refuseFirst: 1 });
  try {
    const subscription = await client.webhooks.create({ url: receiver.url, events: ['lead.created', 'lead.status_changed'] });
    receiver.secret = subscription.data.secret;
    assert.match(receiver.secret, /^whsec_/);
    assert.equal((await client.webhooks.list()).data[0].secret, undefined, 'shown once');

    const made = await client.leads.create({ businessName: 'Corner Shop', email: 'shop@corner.example' });
    const created = await receiver.until((e) => e.event === 'lead.created' && e.data.leadId === made.data.id);
    assert.equal(created.data.businessName, 'Corner Shop');
    assert.equal(created.data.stageId, made.data.attributes.stage.id);
    assert.ok(!Number.isNaN(Date.parse(created.timestamp)));
    assert.equal(receiver.refused, 1, 'what is refused comes again');
    assert.deepEqual(receiver.bad, [], 'signed wrongly');

    await client.webhooks.delete(subscription.data.id);
    assert.equal((await client.webhooks.list()).meta.total, 0);
  } finally {
    await receiver.close();
  }
});
