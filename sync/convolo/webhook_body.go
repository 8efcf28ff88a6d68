package convolo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Limits of one post, far above any honest one.
const (
	maxMembers = 500
	maxDepth   = 12
	maxHooks   = 100
)

// formName is what the names of an honest form look like, brackets and dots of nested ones included; prose and binary data
// with a stray "=" do not.
var formName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.\-\[\]]{0,127}$`)

// readBody returns the objects of a post, each value a text, an object or a list of those; what is null or blank is left
// out. JSON and forms are told apart by the bytes.
func readBody(body []byte) ([]map[string]any, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), []byte("\xef\xbb\xbf")))
	if len(body) == 0 {
		return nil, fmt.Errorf("empty post: %w", ErrUnparsable)
	}
	if docs, err := readJSON(body); err == nil {
		return docs, nil
	}
	if plain, err := url.QueryUnescape(strings.TrimSuffix(string(body), "=")); err == nil {
		// JSON that was sent as a form: one giant key.
		if docs, err := readJSON([]byte(plain)); err == nil {
			return docs, nil
		}
	}
	doc, ok := readForm(string(body))
	if !ok {
		return nil, ErrUnparsable
	}
	return []map[string]any{doc}, nil
}

// readJSON reads an object or a list of objects.
func readJSON(data []byte) ([]map[string]any, error) {
	if data = bytes.TrimSpace(data); len(data) == 0 || data[0] != '{' && data[0] != '[' {
		return nil, errors.New("no object")
	}
	value, err := decode(data)
	if err != nil {
		return nil, err
	}
	var docs []map[string]any
	switch v := value.(type) {
	case map[string]any:
		docs = append(docs, v)
	case []any:
		for _, element := range v {
			if doc, ok := element.(map[string]any); ok && len(docs) < maxHooks {
				docs = append(docs, doc)
			}
		}
	}
	if len(docs) == 0 {
		return nil, errors.New("no object")
	}
	return docs, nil
}

func decode(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // ids outgrow a float
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("text after the end")
	}
	members := 0
	return plain(value, 0, &members)
}

// plain spells scalars as a form would, cleans texts, and drops what says nothing.
func plain(value any, depth int, members *int) (any, error) {
	if *members++; depth > maxDepth || *members > maxMembers {
		return nil, errors.New("too much of it")
	}
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			inner, err := plain(member, depth+1, members)
			if err != nil {
				return nil, err
			}
			if inner != nil {
				out[pipeline.CleanText(name)] = inner
			}
		}
		return out, nil
	case []any:
		out := make([]any, 0, len(v))
		for _, element := range v {
			inner, err := plain(element, depth+1, members)
			if err != nil {
				return nil, err
			}
			if inner != nil {
				out = append(out, inner)
			}
		}
		return out, nil
	case string:
		if v = pipeline.CleanText(v); v == "" {
			return nil, nil
		}
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		if v {
			return "true", nil
		}
		return "false", nil
	}
	return nil, nil
}

// readForm reads a URL-encoded form. Nested names are spelt with brackets or dots; an object may also come as JSON.
func readForm(body string) (map[string]any, bool) {
	values, err := url.ParseQuery(body)
	if err != nil || !strings.Contains(body, "=") || len(values) > maxMembers {
		return nil, false
	}
	doc := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !formName.MatchString(name) {
			return nil, false
		}
		at := slices.IndexFunc(values[name], func(v string) bool { return v != "" })
		if at < 0 {
			continue
		}
		put(doc, strings.FieldsFunc(name, func(r rune) bool { return r == '[' || r == ']' || r == '.' }), formValue(values[name][at]))
	}
	return doc, true
}

// formValue is the text, or the object or list that it spells.
func formValue(value string) any {
	if trimmed := strings.TrimSpace(value); trimmed != "" && (trimmed[0] == '{' || trimmed[0] == '[') {
		if inner, err := decode([]byte(trimmed)); err == nil && inner != nil {
			return inner
		}
	}
	if value == "null" {
		return nil
	}
	return pipeline.CleanText(value)
}

// put sets a nested value. Names come sorted, so an object that was sent whole is there before its members.
func put(doc map[string]any, path []string, value any) {
	if len(path) == 0 || len(path) > maxDepth || value == nil || value == "" {
		return
	}
	for _, name := range path[:len(path)-1] {
		inner, ok := doc[name].(map[string]any)
		if !ok {
			inner = map[string]any{}
			doc[name] = inner
		}
		doc = inner
	}
	doc[path[len(path)-1]] = value
}

// text returns a member's text, empty where it is none.
func text(doc map[string]any, name string) string { return scalar(doc[name]) }

func scalar(value any) string {
	s, _ := value.(string)
	return s
}

// encodeDoc is json.Marshal without the escapes for HTML, so that analysts read what was sent.
func encodeDoc(doc map[string]any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return nil, fmt.Errorf("encoding a convolo payload: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
