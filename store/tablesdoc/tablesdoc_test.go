package tablesdoc

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/trunkline/trunkline/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// page is where the generated page lies.
var page = filepath.Join("..", "..", "docs", "tables.md")

// sources is where dbt's description lies.
var sources = filepath.Join("..", "..", "deploy", "dbt", "sources.yml")

type write func(context.Context, *pgxpool.Pool, io.Writer) error

func generated(t *testing.T, write write) string {
	t.Helper()
	var out bytes.Buffer
	if err := write(t.Context(), storetest.DB(t), &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func generate(t *testing.T) string { return generated(t, Write) }

// A migration that changes a table or a comment changes the files too: UPDATE_DOCS=1 go test ./store/tablesdoc.
func TestFilesAreCurrent(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]write{page: Write, sources: WriteSources} {
		want := generated(t, write)
		if os.Getenv("UPDATE_DOCS") != "" {
			if err := os.WriteFile(name, []byte(want), 0o644); err != nil { //nolint:gosec // a page for everybody to read
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is not what the database says; rewrite it with UPDATE_DOCS=1 (-database +file):\n%s", name, diff)
		}
	}
}

func TestWriteIsStable(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(generate(t), generate(t)); diff != "" {
		t.Errorf("two databases of the same schema give two pages:\n%s", diff)
	}
}

func TestWriteFollowsTheDatabase(t *testing.T) {
	t.Parallel()
	pool := storetest.DB(t)
	_, err := pool.Exec(t.Context(), `
		create table pipeline.zebra (id bigint primary key, note text);
		comment on table pipeline.zebra is 'A <new> table | with *marks*';
		comment on column pipeline.zebra.id is 'Its key';
		comment on column pipeline.zebra.note is 'Two
		lines'`)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Write(t.Context(), pool, &out); err != nil {
		t.Fatal(err)
	}
	want := "### pipeline.zebra\n\nA &lt;new> table \\| with \\*marks\\*\n\nKey: `id`\n\n" +
		"| Column | Type | Meaning |\n|---|---|---|\n" +
		"| `id` | `bigint not null` | Its key |\n| `note` | `text` | Two lines |\n"
	if !strings.Contains(out.String(), want) {
		t.Errorf("the page lacks the new table as\n%s", want)
	}
}

// Partitions come and go with the calendar, so the page must not name them.
func TestPartitionsStayOut(t *testing.T) {
	t.Parallel()
	text := generate(t)
	for _, want := range []string{"### ops.inbox\n", "### ops.record_history\n", "### analytics.freshness (view)\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, never := range []string{"inbox_default", "inbox_20", "record_history_20"} {
		if strings.Contains(text, never) {
			t.Errorf("the page names a partition: %s", never)
		}
	}
}

func TestAnalystsSchemasAreMarked(t *testing.T) {
	t.Parallel()
	text := generate(t)
	for schema, readable := range map[string]bool{"pipeline": true, "analytics": true, "ops": false} {
		_, section, _ := strings.Cut(text, "\n## "+schema+"\n")
		section, _, _ = strings.Cut(section, "\n### ")
		if got := strings.Contains(section, "Readable by `trunkline_analyst`."); got != readable {
			t.Errorf("%s: readable by analysts = %t, want %t", schema, got, readable)
		}
	}
}

// What dbt is told of the age of rows has to be a time that the view has.
func TestSourcesNameTimesThatAreThere(t *testing.T) {
	t.Parallel()
	tables, err := readTables(t.Context(), storetest.DB(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range ages {
		found := false
		for i := range tables {
			for _, c := range tables[i].columns {
				found = found || tables[i].full() == "analytics."+a.view && c.name == a.column && c.kind == "timestamp with time zone"
			}
		}
		if !found {
			t.Errorf("analytics.%s has no time %s", a.view, a.column)
		}
	}
}

// The diagram's links are written by hand; the database has the last word on what they join.
func TestDiagramRefusesWhatIsNotThere(t *testing.T) {
	t.Parallel()
	tables := []table{
		{schema: "pipeline", name: "leads", columns: []column{{name: "lead_id", kind: "uuid", required: true, key: true}}},
		{schema: "pipeline", name: "calls", columns: []column{{name: "lead_id", kind: "uuid"}}},
	}
	good := link{"pipeline.calls", "lead_id", "pipeline.leads", "lead_id", "was made to"}
	var out bytes.Buffer
	if err := drawDiagram(&out, tables, []link{good}); err != nil {
		t.Fatal(err)
	}
	if want := `"pipeline.calls" }o--o| "pipeline.leads" : "was made to"`; !strings.Contains(out.String(), want) {
		t.Errorf("the diagram lacks %s:\n%s", want, out.String())
	}
	for _, bad := range []link{
		{"pipeline.gone", "lead_id", "pipeline.leads", "lead_id", "x"},
		{"pipeline.calls", "lead_id", "pipeline.leads", "gone", "x"},
	} {
		if err := drawDiagram(&out, tables, []link{bad}); err == nil {
			t.Errorf("a link over %s.%s to %s.%s was drawn", bad.from, bad.fromColumn, bad.to, bad.toColumn)
		}
	}
}
