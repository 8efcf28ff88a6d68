package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// contract is the OpenAPI document as a judge of answers. It is stricter than the document: an answer may hold no field that
// the document does not have.
type contract struct {
	doc      map[string]any
	compiler *jsonschema.Compiler

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema
}

const contractURL = "https://trunkline.test/openapi.json"

var theContract = sync.OnceValues(func() (*contract, error) {
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(openapiDocument))
	if err != nil {
		return nil, err
	}
	doc, ok := parsed.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the document is a %T", parsed)
	}
	closeObjects(doc)
	c := &contract{doc: doc, compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	c.compiler.DefaultDraft(jsonschema.Draft2020)
	c.compiler.AssertFormat()
	return c, c.compiler.AddResource(contractURL, doc)
})

// closeObjects lets no object have properties that its schema does not name, unless the schema says so itself.
func closeObjects(node any) {
	switch node := node.(type) {
	case map[string]any:
		for _, value := range node {
			closeObjects(value)
		}
		if _, object := node["properties"].(map[string]any); object && node["type"] == "object" && node["additionalProperties"] == nil {
			node["additionalProperties"] = false
		}
	case []any:
		for _, value := range node {
			closeObjects(value)
		}
	}
}

// at returns what lies at a path of names; nil for nothing.
func at(node any, path ...string) any {
	for _, name := range path {
		m, ok := node.(map[string]any)
		if !ok {
			return nil
		}
		node = m[name]
		if ref, ok := at(node, "$ref").(string); ok && !strings.Contains(ref, "/schemas/") {
			return nil // see resolve
		}
	}
	return node
}

// resolve returns the place of a response, which may be a reference.
func (c *contract) resolve(place []string) []string {
	node := any(c.doc)
	for _, name := range place {
		m, ok := node.(map[string]any)
		if !ok {
			return nil
		}
		node = m[name]
	}
	m, ok := node.(map[string]any)
	if !ok {
		return nil
	}
	if ref, ok := m["$ref"].(string); ok {
		return strings.Split(strings.TrimPrefix(ref, "#/"), "/")
	}
	return place
}

// item finds the path of the document that a request's path is one of: literal segments go before parameters.
func (c *contract) item(path string) (string, bool) {
	path, _, _ = strings.Cut(path, "?")
	best, found := "", false
	for template := range c.doc["paths"].(map[string]any) {
		if matchesPath(template, path) && (!found || strings.Count(template, "{") < strings.Count(best, "{")) {
			best, found = template, true
		}
	}
	return best, found
}

func matchesPath(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(got) == len(want)+1 && got[len(got)-1] == "" && strings.HasSuffix(template, "{orgToken}") {
		got = got[:len(want)] // receivers take a slash at the end
	}
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && (!strings.HasPrefix(want[i], "{") || got[i] == "") {
			return false
		}
	}
	return true
}

// testRoutes are routes that tests add.
var testRoutes = []string{"/slow", "/held", "/thing"}

// check finds what is wrong with an answer; nil for nothing.
func (c *contract) check(method, path string, a answer) error {
	template, known := c.item(path)
	var operation any
	if known {
		operation = at(c.doc, "paths", template, strings.ToLower(method))
	}
	switch {
	case method == http.MethodHead, a.header.Get("Content-Encoding") != "", !known && slices.Contains(testRoutes, path):
		return nil
	case operation == nil:
		if a.status < 400 {
			return fmt.Errorf("the document has no %s %s", method, path)
		}
		return c.valid([]string{"components", "schemas", "Failure"}, a.body)
	}
	place := c.resolve([]string{"paths", template, strings.ToLower(method), "responses", fmt.Sprint(a.status)})
	if place == nil {
		return fmt.Errorf("the document has no answer %d of %s %s", a.status, method, template)
	}
	content, _ := at(c.doc, append(place, "content")...).(map[string]any)
	if content == nil {
		if len(a.body) > 0 {
			return fmt.Errorf("the document has no body of answer %d of %s %s", a.status, method, template)
		}
		return nil
	}
	kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil || content[kind] == nil {
		return fmt.Errorf("answer %d of %s %s is %q, not %v", a.status, method, template, kind, slices.Sorted(maps.Keys(content)))
	}
	if kind != "application/json" {
		return nil
	}
	if err := c.valid(append(place, "content", kind, "schema"), a.body); err != nil {
		return fmt.Errorf("answer %d of %s %s: %w", a.status, method, template, err)
	}
	return nil
}

// valid checks a body against the schema at a place of the document.
func (c *contract) valid(place []string, body []byte) error {
	schema, err := c.schema(place)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func (c *contract) schema(place []string) (*jsonschema.Schema, error) {
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
	pointer := "#"
	for _, name := range place {
		pointer += "/" + escape.Replace(name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.schemas[pointer]; s != nil {
		return s, nil
	}
	s, err := c.compiler.Compile(contractURL + pointer)
	c.schemas[pointer] = s
	return s, err
}

// TestEveryRouteIsDocumented compares the server's routes with the document, both ways.
func TestEveryRouteIsDocumented(t *testing.T) {
	t.Parallel()
	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	served := map[string]bool{}
	for _, pattern := range everyRoute(t).server.patterns {
		served[strings.TrimSuffix(pattern, "/{$}")] = true
	}
	for path, item := range c.doc["paths"].(map[string]any) {
		for _, method := range []string{"get", "put", "post", "patch", "delete", "head", "options"} {
			if at(item, method) == nil {
				continue
			}
			route := strings.ToUpper(method) + " " + path
			if !served[route] {
				t.Errorf("the document has %s, which the server has not", route)
			}
			delete(served, route)
		}
	}
	for route := range served {
		t.Errorf("the server has %s, which the document has not", route)
	}
}

// everyRoute is a world that serves all that there is.
func everyRoute(t *testing.T) *world {
	t.Helper()
	w, _ := newHookWorld(t, func(c *Config) { c.Backfills = noBackfills{} }, withPage(t))
	return w
}

// noBackfills is there so that its routes are.
type noBackfills struct{ Backfiller }

var parameterNames = regexp.MustCompile(`\{([^}]+)\}`)

// TestDocumentIsWhole looks at what a validator of answers does not: ids, parameters, schemas that compile, examples that are
// valid, and references that lead somewhere.
func TestDocumentIsWhole(t *testing.T) {
	t.Parallel()
	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	if c.doc["openapi"] != "3.1.0" {
		t.Errorf("openapi is %v", c.doc["openapi"])
	}
	for name := range at(c.doc, "components", "schemas").(map[string]any) {
		if _, err := c.schema([]string{"components", "schemas", name}); err != nil {
			t.Errorf("schema %s: %v", name, err)
		}
	}
	ids := map[string]bool{}
	for _, group := range []string{"paths", "webhooks"} {
		for path, item := range c.doc[group].(map[string]any) {
			c.checkItem(t, group, path, item, ids)
		}
	}
	var refs func(node any)
	refs = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			if ref, ok := node["$ref"].(string); ok && c.resolve(strings.Split(strings.TrimPrefix(ref, "#/"), "/")) == nil {
				t.Errorf("%s leads nowhere", ref)
			}
			for _, value := range node {
				refs(value)
			}
		case []any:
			for _, value := range node {
				refs(value)
			}
		}
	}
	refs(c.doc)
}

func (c *contract) checkItem(t *testing.T, group, path string, item any, ids map[string]bool) {
	t.Helper()
	for method, operation := range item.(map[string]any) {
		if method == "parameters" {
			continue
		}
		id, _ := at(operation, "operationId").(string)
		if id == "" || ids[id] {
			t.Errorf("%s %s has the operationId %q, which is none or another's", method, path, id)
		}
		ids[id] = true
		for _, match := range parameterNames.FindAllStringSubmatch(path, -1) {
			if !c.hasParameter(at(item, "parameters"), match[1]) && !c.hasParameter(at(operation, "parameters"), match[1]) {
				t.Errorf("%s %s does not tell of {%s}", method, path, match[1])
			}
		}
		examples := [][]string{{group, path, method, "requestBody", "content", "application/json"}}
		for status := range at(operation, "responses").(map[string]any) {
			if place := c.resolve([]string{group, path, method, "responses", status}); place != nil {
				examples = append(examples, append(place, "content", "application/json"))
			}
		}
		for _, place := range examples {
			example := at(c.doc, append(place, "example")...)
			if example == nil {
				continue
			}
			text, err := json.Marshal(example)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.valid(append(place, "schema"), text); err != nil {
				t.Errorf("the example at %v: %v", place, err)
			}
		}
	}
}

func (c *contract) hasParameter(list any, name string) bool {
	parameters, _ := list.([]any)
	return slices.ContainsFunc(parameters, func(p any) bool {
		if ref, ok := at(p, "$ref").(string); ok {
			parts := strings.Split(strings.TrimPrefix(ref, "#/"), "/")
			p = c.doc["components"].(map[string]any)[parts[1]].(map[string]any)[parts[2]]
		}
		return at(p, "name") == name
	})
}

// TestContractSeesFaults makes sure that a wrong answer does not pass.
func TestContractSeesFaults(t *testing.T) {
	t.Parallel()
	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{"Content-Type": {"application/json"}}
	good := `{"data":[],"meta":{"total":0,"page":1,"limit":20,"hasMore":false,"requestId":"x"}}`
	for name, one := range map[string]struct {
		path string
		a    answer
		ok   bool
	}{
		"good":              {"/v1/leads?page=1", answer{200, header, []byte(good)}, true},
		"a field missing":   {"/v1/leads", answer{200, header, []byte(strings.Replace(good, `"total":0,`, "", 1))}, false},
		"one too many":      {"/v1/leads", answer{200, header, []byte(strings.Replace(good, `"meta":{`, `"meta":{"more":1,`, 1))}, false},
		"another type":      {"/v1/leads", answer{200, header, []byte(strings.Replace(good, `"total":0`, `"total":"0"`, 1))}, false},
		"another status":    {"/v1/leads", answer{202, header, []byte(good)}, false},
		"another media":     {"/v1/leads", answer{200, http.Header{"Content-Type": {"text/html"}}, []byte(good)}, false},
		"no such path":      {"/v1/nothing", answer{200, header, []byte(good)}, false},
		"no envelope there": {"/v1/nothing", answer{404, header, []byte(`{"error":"x"}`)}, false},
		"its envelope":      {"/v1/nothing", answer{404, header, []byte(`{"errors":[{"code":"NOT_FOUND","message":"x"}]}`)}, true},
	} {
		if err := c.check("GET", one.path, one.a); (err == nil) != one.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDocs(t *testing.T) {
	t.Parallel()
	w := everyRoute(t)
	doc := w.call("GET", "/v1/openapi.json", "")
	if doc.status != 200 || !bytes.Equal(doc.body, openapiDocument) {
		t.Errorf("%d, %d bytes", doc.status, len(doc.body))
	}
	page := w.call("GET", "/docs", "")
	text := string(page.body)
	if page.status != 200 || !strings.HasPrefix(page.header.Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-") {
		t.Errorf("%d %v", page.status, page.header)
	}
	// Nothing is loaded, from here or elsewhere, and every link on the page leads somewhere.
	for _, tag := range []string{"<script", "<link", "<img", "<iframe", "@import", "url(", "<form", " onload", "ZgotmplZ"} {
		if strings.Contains(text, tag) {
			t.Errorf("the page has %s", tag)
		}
	}
	for _, match := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(text, -1) {
		target, local := strings.CutPrefix(match[1], "#")
		if local && !strings.Contains(text, `id="`+target+`"`) || !local && match[1] != "/v1/openapi.json" {
			t.Errorf("the page leads to %s", match[1])
		}
	}
	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range c.doc["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if id, ok := at(item, method, "operationId").(string); ok && !strings.Contains(text, `id="`+id+`"`) {
				t.Errorf("the page lacks %s %s", method, path)
			}
		}
	}
}
