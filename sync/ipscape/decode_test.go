package ipscape

import (
	"encoding/json"
	"testing"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// walk reads a value with the decoder into what encoding/json would make of it.
func walk(t *testing.T, d *decoder) any {
	t.Helper()
	switch d.peek() {
	case '{':
		tree := map[string]any{}
		d.enter()
		for d.next() {
			key := string(d.key)
			tree[key] = walk(t, d)
		}
		return tree
	case '[':
		tree := []any{}
		d.list()
		for d.more() {
			tree = append(tree, walk(t, d))
		}
		return tree
	}
	var v any
	if raw := d.value(); json.Unmarshal(raw, &v) != nil {
		t.Fatalf("the value %q is no JSON", raw)
	}
	return v
}

// The decoder must see in sound JSON what encoding/json sees, and survive the rest.
func FuzzDecoder(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,{"b":"x\\\"y"},[]],"":null}`, `{"a\u0041":1,"a":2,"a":3}`, `[[[]],{}]`, `"\\"`, `{"a":tru`, `{"a"`, `[1`, `{,}`, `"\`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		clean, _, err := pipeline.CleanJSON(raw)
		if err != nil {
			d := decoder{b: raw}
			for range 8 {
				for d.enter() && d.next() {
					d.value()
				}
				for d.list() && d.more() {
					d.value()
				}
			}
			return
		}
		// Numbers that a float cannot hold are an error to encoding/json.
		var want any
		if json.Unmarshal(clean, &want) != nil {
			return
		}
		d := decoder{b: clean}
		got := walk(t, &d)
		if d.peek() != 0 || d.bad {
			t.Fatalf("%q: stopped at %d", clean, d.i)
		}
		g, err1 := json.Marshal(got)
		w, err2 := json.Marshal(want)
		if err1 != nil || err2 != nil || string(g) != string(w) {
			t.Fatalf("%q: got %s, want %s", clean, g, w)
		}
	})
}

func TestDecoderSkipsWhatItIsNotAskedFor(t *testing.T) {
	t.Parallel()
	d := decoder{b: []byte(`{"a":"not an object","b":{"c":[1,2]},"d":7}`)}
	if !d.enter() || !d.next() || d.enter() {
		t.Fatal("a text was entered as an object")
	}
	if !d.next() || d.list() {
		t.Fatal("an object was entered as a list")
	}
	if !d.next() || string(d.key) != "d" || string(d.value()) != "7" || d.next() || d.bad {
		t.Fatalf("the rest was not found: %+v", d)
	}
}
