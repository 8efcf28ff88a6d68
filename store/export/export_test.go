package export_test

import (
	"bytes"
	"context"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/parquet-go/parquet-go"

	"github.com/trunkline/trunkline/store/export"
	"github.com/trunkline/trunkline/store/storetest"
)

// nastySQL is a view with a column of each kind and values that break careless writers.
const nastySQL = `
create table pipeline.nasty (
  n bigint, small integer, amount numeric, price numeric(12, 2), f double precision, ok boolean, created_at timestamptz, clock timestamp, day date, body text,
  doc jsonb, raw json, tags text[], id uuid, "odd, name" text);
insert into pipeline.nasty values
  (9223372036854775807, -2147483648, 12345678901234567890.123456789, -0.05, 1.5, true, '2026-03-01 23:59:59.123456+10', '2026-03-01 08:00', '2026-02-28',
   e'a "quoted", line\r\nand a tab\t\u2028 🙂', '{"b": [1, null], "a": "x\ny"}', e'{"a":\n1}', array['x', null, '', 'a,"b"'], '11111111-2222-3333-4444-555555555555', 'x'),
  (-1, 0, -0.000000001, 0, 'infinity', false, '1969-12-31 23:59:59Z', '1900-01-01', '1969-12-31', '', 'null', '[]', '{}', null, '=1+1'),
  (null, null, null, null, null, null, null, null, null, null, null, null, null, null, null);
create view analytics.nasty as select * from pipeline.nasty;
grant select on analytics.nasty, pipeline.nasty to trunkline_analyst`

// analyst connects to a database with the view, as the role that analysts have.
func analyst(t *testing.T, setup string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), storetest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	for _, sql := range []string{setup, `set role trunkline_analyst`, `set timezone = 'Australia/Sydney'`, `set default_transaction_read_only = on`} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

func exported(t *testing.T, conn *pgx.Conn, o export.Options) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := export.Export(t.Context(), conn, &b, o)
	if err != nil {
		t.Fatal(err)
	}
	if n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
	return b.Bytes()
}

func TestText(t *testing.T) {
	t.Parallel()
	conn := analyst(t, nastySQL)
	for _, c := range []struct {
		name string
		o    export.Options
		want []string
	}{
		{"csv", export.Options{Relation: "nasty", Format: export.CSV}, []string{
			`n,small,amount,price,f,ok,created_at,clock,day,body,doc,raw,tags,id,"odd, name"` + "\r\n",
			`9223372036854775807,-2147483648,12345678901234567890.123456789,-0.05,1.5,true,2026-03-01T13:59:59.123456Z,2026-03-01T08:00:00,2026-02-28,` +
				"\"a \"\"quoted\"\", line\r\nand a tab\t\u2028 🙂\"," + `"{""a"": ""x\ny"", ""b"": [1, null]}","{""a"":` + "\n" + `1}","[""x"",null,"""",""a,\""b\""""]",11111111-2222-3333-4444-555555555555,x` + "\r\n",
			`-1,0,-0.000000001,0.00,Infinity,false,1969-12-31T23:59:59Z,1900-01-01T00:00:00,1969-12-31,"",null,[],[],,'=1+1` + "\r\n",
			`,,,,,,,,,,,,,,` + "\r\n",
		}},
		{"jsonl", export.Options{Relation: "analytics.nasty", Format: export.JSONL}, []string{
			`{"n":9223372036854775807,"small":-2147483648,"amount":"12345678901234567890.123456789","price":"-0.05","f":1.5,"ok":true,"created_at":"2026-03-01T13:59:59.123456Z",` +
				`"clock":"2026-03-01T08:00:00","day":"2026-02-28","body":"a \"quoted\", line\r\nand a tab\t\u2028 🙂","doc":{"a": "x\ny", "b": [1, null]},"raw":{"a": 1},` +
				`"tags":["x",null,"","a,\"b\""],"id":"11111111-2222-3333-4444-555555555555","odd, name":"x"}` + "\n",
			`{"n":-1,"small":0,"amount":"-0.000000001","price":"0.00","f":"Infinity","ok":false,"created_at":"1969-12-31T23:59:59Z","clock":"1900-01-01T00:00:00","day":"1969-12-31",` +
				`"body":"","doc":null,"raw":[],"tags":[],"id":null,"odd, name":"=1+1"}` + "\n",
			`{"n":null,"small":null,"amount":null,"price":null,"f":null,"ok":null,"created_at":null,"clock":null,"day":null,"body":null,"doc":null,"raw":null,"tags":null,` +
				`"id":null,"odd, name":null}` + "\n",
		}},
		{"chosen", export.Options{Relation: "pipeline.nasty", Format: export.CSV, Columns: []string{"odd, name", "n"}, Unguarded: true}, []string{
			"\"odd, name\",n\r\n", "x,9223372036854775807\r\n", "=1+1,-1\r\n", ",\r\n",
		}},
	} {
		if diff := cmp.Diff(strings.Join(c.want, ""), string(exported(t, conn, c.o))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestParquet(t *testing.T) {
	t.Parallel()
	conn := analyst(t, nastySQL)
	relation := export.Options{Relation: "nasty", Format: export.Parquet, Columns: []string{
		"n", "small", "amount", "price", "f", "ok", "created_at", "clock", "day", "body", "doc", "tags", "id", "odd, name",
	}}
	text := exported(t, conn, relation)
	file, err := parquet.OpenFile(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, f := range file.Schema().Fields() {
		types = append(types, f.Name()+" "+f.Type().String())
	}
	want := []string{
		"n INT(64,true)", "small INT(32,true)", "amount DECIMAL(38,9)", "price DECIMAL(12,2)", "f DOUBLE", "ok BOOLEAN",
		"created_at TIMESTAMP(isAdjustedToUTC=true,unit=MICROS)", "clock TIMESTAMP(isAdjustedToUTC=false,unit=MICROS)", "day DATE", "body STRING", "doc STRING",
		"tags STRING", "id STRING", "odd, name STRING",
	}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
	rows := make([]parquet.Row, 3)
	reader := file.RowGroups()[0].Rows()
	t.Cleanup(func() { _ = reader.Close() })
	if n, _ := reader.ReadRows(rows); n != 3 {
		t.Fatalf("%d rows, want 3", n)
	}
	at := func(text string) int64 {
		when, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		return when.UnixMicro()
	}
	wanted := [][]any{
		{
			int64(9223372036854775807), int32(-2147483648), "12345678901234567890123456789", "-5", 1.5, true, at("2026-03-01T13:59:59.123456Z"), at("2026-03-01T08:00:00Z"),
			int32(20512), "a \"quoted\", line\r\nand a tab\t\u2028 🙂", `{"a": "x\ny", "b": [1, null]}`, `["x",null,"","a,\"b\""]`, "11111111-2222-3333-4444-555555555555", "x",
		},
		{int64(-1), int32(0), "-1", "0", "+Inf", false, at("1969-12-31T23:59:59Z"), at("1900-01-01T00:00:00Z"), int32(-1), "", "null", "[]", nil, "=1+1"},
		make([]any, 14),
	}
	for i, row := range rows {
		got := make([]any, len(row))
		for j, v := range row {
			got[j] = plain(v)
		}
		if diff := cmp.Diff(wanted[i], got); diff != "" {
			t.Errorf("row %d (-want +got):\n%s", i, diff)
		}
	}
}

// plain is a value for people; the unscaled digits of a decimal.
func plain(v parquet.Value) any {
	switch {
	case v.IsNull():
		return nil
	case v.Kind() == parquet.Double && v.Double() > 1e300:
		return "+Inf"
	}
	switch v.Kind() {
	case parquet.Boolean:
		return v.Boolean()
	case parquet.Int32:
		return v.Int32()
	case parquet.Int64:
		return v.Int64()
	case parquet.Double:
		return v.Double()
	case parquet.FixedLenByteArray:
		n := new(big.Int).SetBytes(v.ByteArray())
		if n.Bit(127) == 1 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), 128))
		}
		return n.String()
	default:
		return string(v.ByteArray())
	}
}

// TestWideNumbers keeps numbers that no decimal holds as text, each digit of them.
func TestWideNumbers(t *testing.T) {
	t.Parallel()
	wide := strings.Repeat("9", 30) + "." + strings.Repeat("1", 20)
	conn := analyst(t, `
create view analytics.wide as
select n::numeric as n, m::numeric as m
from (values ('`+wide+`', '1'), ('1', 'NaN'), (null, null)) v (n, m);
grant select on analytics.wide to trunkline_analyst`)
	text := exported(t, conn, export.Options{Relation: "wide", Format: export.Parquet})
	file, err := parquet.OpenFile(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]parquet.Row, 3)
	reader := file.RowGroups()[0].Rows()
	t.Cleanup(func() { _ = reader.Close() })
	_, _ = reader.ReadRows(rows)
	if n, m := plain(rows[0][0]), plain(rows[1][1]); n != wide || m != "NaN" {
		t.Errorf("got %v and %v, want %s and NaN", n, m, wide)
	}
}

// TestWhichRows bounds rows by time, half-open, and by organisation.
func TestWhichRows(t *testing.T) {
	t.Parallel()
	conn := analyst(t, `
insert into ops.organisations (org_id, name) values
  ('aaaaaaaa-0000-0000-0000-000000000001', 'North'), ('aaaaaaaa-0000-0000-0000-000000000002', 'South');
create view analytics.rows as
select ('aaaaaaaa-0000-0000-0000-00000000000' || o)::uuid as org_id, n, '2026-03-01'::timestamptz + n * interval '1 hour' as created_at,
  date '2026-03-01' + n as day, 'never' as word
from generate_series(1, 2) o, generate_series(0, 9) n
order by o, n;
create view analytics.timeless as select 1 as x;
grant select on analytics.rows, analytics.timeless to trunkline_analyst`)
	march := func(day, hour int) time.Time { return time.Date(2026, 3, day, hour, 0, 0, 0, time.UTC) }
	for _, c := range []struct {
		name string
		o    export.Options
		want string
	}{
		{"range", export.Options{From: march(1, 2), To: march(1, 4)}, "2 3 2 3"},
		{"open", export.Options{From: march(1, 8)}, "8 9 8 9"},
		{"day", export.Options{To: march(3, 0), TimeColumn: "day"}, "0 1 0 1"},
		{"by id", export.Options{Organisation: "AAAAAAAA-0000-0000-0000-000000000002", To: march(1, 1)}, "0"},
		{"by name", export.Options{Organisation: "North", From: march(1, 9)}, "9"},
		{"nobody", export.Options{Organisation: "East"}, `no organisation is called "East"; there are aaaaaaaa-0000-0000-0000-000000000001 (North)`},
		{"no time", export.Options{TimeColumn: "word", To: march(1, 1)}, "column word holds no time"},
		{"no column", export.Options{Columns: []string{"m"}}, `no column of rows is called "m"; there are org_id, n, created_at, day, word`},
		{"twice", export.Options{Columns: []string{"n", "n"}}, "column n is named twice"},
		{"no view", export.Options{Relation: "row"}, "there are agent_days, agent_local_days, calls,"},
		{"hidden", export.Options{Relation: "ops.deliveries"}, `no view or table is called "ops.deliveries"`},
		{"injected", export.Options{Relation: `rows" where false --`}, "no view or table"},
		{"timeless", export.Options{Relation: "timeless", To: march(1, 1)}, "timeless has no time to go by"},
		{"of all", export.Options{Relation: "timeless", Organisation: "North"}, "timeless is the same for all organisations"},
	} {
		o := c.o
		if o.Format = export.CSV; o.Relation == "" {
			o.Relation = "rows"
		}
		if o.Columns == nil && o.Relation == "rows" {
			o.Columns = []string{"n"}
		}
		var b bytes.Buffer
		_, err := export.Export(t.Context(), conn, &b, o)
		got := strings.Join(strings.Fields(strings.TrimPrefix(b.String(), "n\r\n")), " ")
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) || err == nil && got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// brokenPipe is a reader that has gone.
type brokenPipe struct{}

var errGone = errors.New("gone")

func (brokenPipe) Write([]byte) (int, error) { return 0, errGone }

// TestSnapshot reads what was there when the export began, tells of its progress, and tells a writer's failure.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	conn := analyst(t, `create table pipeline.many as select n, repeat('x', 100) as filler from generate_series(1, 5000) n; grant select on pipeline.many to trunkline_analyst`)
	for _, format := range export.Formats() {
		var b bytes.Buffer
		var told []int64
		n, err := export.Export(t.Context(), conn, &b, export.Options{Relation: "pipeline.many", Format: format, Progress: func(n int64) { told = append(told, n) }})
		if diff := cmp.Diff([]int64{1024, 2048, 3072, 4096, 5000}, told); err != nil || n != 5000 || diff != "" {
			t.Errorf("%s: %d rows, %v; progress (-want +got):\n%s", format, n, err, diff)
		}
		if _, err := export.Export(t.Context(), conn, brokenPipe{}, export.Options{Relation: "pipeline.many", Format: format}); !errors.Is(err, errGone) {
			t.Errorf("%s to nobody: %v", format, err)
		}
	}
}
