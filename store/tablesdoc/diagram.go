package tablesdoc

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// link says that a column of one table holds what a column of another names. Few of them are foreign keys: records arrive
// in any order, so the database cannot insist.
type link struct {
	from, fromColumn, to, toColumn string
	// verb reads from the first table to the second.
	verb string
}

var links = []link{
	{"ops.walks", "stream", "ops.streams", "stream", "reads"},
	{"ops.inbox_facts", "inbox_id", "ops.inbox", "id", "was first told by"},
	{"ops.inbox_facts", "object_id", "ops.records", "object_id", "became"},
	{"ops.record_history", "record_id", "ops.records", "record_id", "is an older version of"},
	{"ops.record_keys", "record_id", "ops.records", "record_id", "names what is told by"},
	{"ops.reconcile_queue", "record_id", "ops.records", "record_id", "asks to fold"},
	{"ipscape.activities", "activity_id", "ops.records", "object_id", "is the typed row of"},
	{"ipscape.activities", "lead_id", "ipscape.leads", "lead_id", "called"},
	{"ipscape.leads", "lead_id", "ops.records", "object_id", "is the typed row of"},
	{"convoso.events", "inbox_id", "ops.inbox", "id", "was told by"},
	{"pipeline.lead_keys", "lead_id", "pipeline.leads", "lead_id", "points at"},
	{"pipeline.lead_ledger", "lead_id", "pipeline.leads", "lead_id", "was given"},
	{"pipeline.lead_merges", "into_lead_id", "pipeline.leads", "lead_id", "resolves to"},
	{"pipeline.leads", "stage_key", "pipeline.stages", "stage_key", "is at"},
	{"pipeline.calls", "lead_id", "pipeline.leads", "lead_id", "is of"},
	{"pipeline.calls", "agent_external_id", "pipeline.agents", "external_id", "was taken by"},
	{"pipeline.call_events", "external_call_id", "pipeline.calls", "external_call_id", "is a step of"},
	{"pipeline.presence", "agent_id", "pipeline.agents", "agent_id", "is of"},
	{"ops.deliveries", "lead_id", "pipeline.leads", "lead_id", "is about"},
	{"ops.delivery_attempts", "delivery_id", "ops.deliveries", "id", "was made for"},
	{"dialedin.leads", "delivery_id", "ops.deliveries", "id", "was sent by"},
	{"convolo.calls", "delivery_id", "ops.deliveries", "id", "was started by"},
}

// drawDiagram writes an entity diagram for Mermaid. It fails for a link whose tables or columns are not there, so that the
// diagram follows the schema as the rest of the page does.
func drawDiagram(w io.Writer, tables []table, links []link) error {
	var lines []string
	shown := map[string][]column{}
	var order []string
	show := func(name, col string) (column, error) {
		at := slices.IndexFunc(tables, func(t table) bool { return t.full() == name })
		if at < 0 {
			return column{}, fmt.Errorf("drawing the tables: there is no table %s", name)
		}
		i := slices.IndexFunc(tables[at].columns, func(c column) bool { return c.name == col })
		if i < 0 {
			return column{}, fmt.Errorf("drawing the tables: table %s has no column %s", name, col)
		}
		c := tables[at].columns[i]
		if shown[name] == nil {
			order = append(order, name)
		}
		if !slices.Contains(shown[name], c) {
			shown[name] = append(shown[name], c)
		}
		return c, nil
	}
	for _, l := range links {
		from, err := show(l.from, l.fromColumn)
		if err != nil {
			return err
		}
		if _, err := show(l.to, l.toColumn); err != nil {
			return err
		}
		one := "o|" // the column may be empty
		if from.required {
			one = "||"
		}
		lines = append(lines, fmt.Sprintf("    %q }o--%s %q : %q", l.from, one, l.to, l.verb))
	}
	var out strings.Builder
	out.WriteString("```mermaid\nerDiagram\n")
	for _, name := range order {
		fmt.Fprintf(&out, "    %q {\n", name)
		for _, c := range shown[name] {
			fmt.Fprintf(&out, "        %s %s", strings.ReplaceAll(c.kind, " ", "_"), c.name)
			if c.key {
				out.WriteString(" PK")
			}
			out.WriteString("\n")
		}
		out.WriteString("    }\n")
	}
	out.WriteString(strings.Join(lines, "\n") + "\n```\n")
	_, err := io.WriteString(w, out.String())
	return err
}
