// Exports of a million rows, read back by DuckDB: as many rows, and in every column the same values, nulls and empty texts told apart.
// EXPORT_ROWS sets another number.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { DuckDBInstance } from '@duckdb/node-api';

import { Daemon } from './daemon.mjs';

const binary = fileURLToPath(new URL('../../bin/trunkline', import.meta.url));
const rows = Number(process.env.EXPORT_ROWS ?? 1_000_000);

// A column of each kind, and texts that break careless writers and readers. Every 17th value is null.
const setup = `
set role none;
create table pipeline.export_check as
select
  9223372036854775807 - n::bigint * 9007199254 as big,
  case when n % 17 <> 1 then (n % 65536 - 32768)::smallint end as small,
  case when n % 17 <> 2 then (n * 1234567.891234567::numeric) * (1 - n % 2 * 2) end as amount,
  (case when n % 17 <> 3 then n % 99999 / 100.0 - 300 end)::numeric(12, 2) as price,
  case when n % 17 <> 4 then n % 3 = 0 end as flag,
  case when n % 17 <> 5 then timestamptz '1999-12-31 23:59:59.999999Z' + n * interval '7 minutes 0.000013 seconds' end as created_at,
  case when n % 17 <> 6 then date '2026-11-22' - n % 20000 end as day,
  case when n % 17 <> 7 then (array['', 'plain', '=1+1', '-5', '+14155550100', ' padded ', 'a "quoted", word', E'two\\nlines', E'two\\r\\nlines', E'\\ttab', '''', 'null', 'NULL', '🙂 ünï', '\\N', 'a;b|c'])[1 + n % 16] end as body,
  case when n % 17 <> 8 then jsonb_build_object('a', E'x\\n"' || n, 'b', array[n, null]) end as doc,
  case when n % 17 <> 9 then array['t' || n, null, ''] end as tags,
  case when n % 17 <> 10 then md5(n::text)::uuid end as id
from generate_series(1, ${rows}) n;
create view analytics.export_check as select * from pipeline.export_check;
`;

// Each column as text that both databases write alike.
const columns = {
  big: { type: 'BIGINT', pg: 'big::text', duck: 'big::varchar' },
  small: { type: 'INTEGER', pg: 'small::text', duck: 'small::varchar' },
  amount: { type: 'DECIMAL(38,9)', pg: 'round(amount, 9)::text', duck: 'amount::varchar' },
  price: { type: 'DECIMAL(12,2)', pg: 'price::text', duck: 'price::varchar' },
  flag: { type: 'BOOLEAN', pg: 'flag::text', duck: 'flag::varchar' },
  created_at: { type: 'TIMESTAMPTZ', pg: '(extract(epoch from created_at) * 1000000)::bigint::text', duck: 'epoch_us(created_at)::varchar' },
  day: { type: 'DATE', pg: 'day::text', duck: 'day::varchar' },
  body: { type: 'VARCHAR', pg: 'body', duck: 'body' },
  doc: { type: 'JSON', pg: `(doc ->> 'a') || (doc -> 'b' ->> 0)`, duck: `(doc::json ->> 'a') || (doc::json -> 'b' ->> 0)` },
  tags: { type: 'JSON', pg: `tags[1] || (tags[2] is null)::text || tags[3]`, duck: `(tags::json ->> 0) || ((tags::json ->> 1) is null)::varchar || (tags::json ->> 2)` },
  id: { type: 'VARCHAR', pg: 'id::text', duck: 'id' },
};

const sums = (side, hash) =>
  Object.entries(columns)
    .flatMap(([name, c]) => [`count(${name})`, `sum(length(${c[side]}))`, `sum(${hash(c[side])})`])
    .join(', ');

let daemon;
let duck;
let want;

before(
  async () => {
    daemon = await Daemon.start();
    psql(setup);
    want = psql(`select count(*), ${sums('pg', (c) => `('x' || left(md5(${c}), 8))::bit(32)::bigint`)} from analytics.export_check`);
    duck = await (await DuckDBInstance.create(':memory:', { threads: '2', memory_limit: '1GB' })).connect();
  },
  { timeout: 240_000 },
);

after(() => daemon?.stop(), { timeout: 90_000 });

// psql runs SQL on the daemon's private database and returns the rows, their columns separated by bars.
function psql(sql) {
  const debian = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql').map((v) => `/usr/lib/postgresql/${v}/bin`) : [];
  const PATH = [process.env.TRUNKLINE_PG_BIN, process.env.PATH, ...debian].filter(Boolean).join(':');
  const done = spawnSync('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h', join(daemon.directory, 'postgres-run'), '-U', 'trunkline', 'trunkline'], {
    env: { ...process.env, PATH },
    input: sql,
    encoding: 'utf8',
    timeout: 200_000,
  });
  assert.equal(done.status, 0, done.stderr ?? String(done.error));
  return done.stdout.trim();
}

function exported(format, ...more) {
  const out = join(daemon.directory, `check.${format}`);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(TRUNKLINE|DATABASE)_/.test(name) || name === 'TRUNKLINE_PG_BIN'));
  const done = spawnSync(binary, ['export', 'export_check', '--out', out, ...more], {
    env: { ...env, TRUNKLINE_DATA_DIR: daemon.directory },
    encoding: 'utf8',
    timeout: 300_000,
  });
  assert.equal(done.status, 0, done.stderr);
  assert.match(done.stderr, /exported export_check: [\d,]+ rows in /);
  return out;
}

const typed = `{${Object.entries(columns)
  .map(([name, c]) => `'${name}': '${c.type}'`)
  .join(', ')}}`;

const readers = {
  csv: (file) => `read_csv('${file}', columns = ${typed}, header = true, delim = ',', quote = '"', escape = '"', nullstr = '', allow_quoted_nulls = false)`,
  jsonl: (file) => `read_json('${file}', columns = ${typed}, format = 'newline_delimited')`,
  parquet: (file) => `read_parquet('${file}')`,
};

for (const [format, reader] of Object.entries(readers)) {
  test(`${rows} rows come back from ${format}`, { timeout: 400_000 }, async () => {
    const file = exported(format, '--no-formula-guard');
    const read = await duck.runAndReadAll(`select count(*), ${sums('duck', (c) => `('0x' || left(md5(${c}), 8))::ubigint`)} from ${reader(file)}`);
    assert.equal(read.getRows()[0].join('|'), want);
    assert.equal(want.split('|')[0], String(rows));
  });
}

test('decimals are exact and times have their zone in Parquet', async () => {
  const described = await duck.runAndReadAll(`describe select * from ${readers.parquet(join(daemon.directory, 'check.parquet'))}`);
  const types = Object.fromEntries(described.getRows().map(([name, type]) => [name, type]));
  assert.deepEqual(types, {
    big: 'BIGINT', small: 'INTEGER', amount: 'DECIMAL(38,9)', price: 'DECIMAL(12,2)', flag: 'BOOLEAN', created_at: 'TIMESTAMP WITH TIME ZONE', day: 'DATE',
    body: 'VARCHAR', doc: 'VARCHAR', tags: 'VARCHAR', id: 'VARCHAR',
  });
});

test('a guarded CSV holds no formula, and its numbers and phones', { timeout: 300_000 }, () => {
  const text = readFileSync(exported('csv', '--columns', 'body,price'), 'utf8');
  assert.match(text, /^'=1\+1,/m);
  assert.match(text, /^\+14155550100,/m);
  assert.match(text, /,-\d+\.\d\d\r$/m);
  assert.doesNotMatch(text, /^[=@]/m);
});
