package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
)

//go:embed docs.html
var docsTemplate string

//go:embed docs.css
var docsStyle string

// docsPage is the reference made of the document: one page that asks for nothing else and needs no script.
type docsPage struct {
	html   []byte
	policy string
}

// newDocsPage renders the page once, for it never changes.
func newDocsPage(document []byte) (*docsPage, error) {
	var d openapiDoc
	if err := json.Unmarshal(document, &d); err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	page, err := template.New("docs").Parse(docsTemplate)
	if err != nil {
		return nil, fmt.Errorf("reading the template of the reference page: %w", err)
	}
	var html bytes.Buffer
	view := docsView{Title: d.Info.Title, Version: d.Info.Version, Text: d.Info.Description, Groups: d.groups(), Schemas: d.schemas()}
	view.Style = template.CSS(docsStyle) //nolint:gosec // our own file, embedded
	if err := page.Execute(&html, view); err != nil {
		return nil, fmt.Errorf("rendering the reference page: %w", err)
	}
	sum := sha256.Sum256([]byte(docsStyle))
	return &docsPage{html.Bytes(), "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"}, nil
}

// docsPage is GET /docs.
func (s *Server) docsPage(w http.ResponseWriter, _ *http.Request) error {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", s.docs.policy)
	header.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(s.docs.html)
	return nil
}

// docsView is what the template shows.
type docsView struct {
	Title, Version, Text string
	Style                template.CSS
	Groups               []docsGroup
	Schemas              []docsSchema
}

type docsGroup struct {
	Name, Text string
	Operations []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary, Text, Access string
	Parameters                              []docsField
	Body                                    *docsSchema
	Answers                                 []docsAnswer
}

type docsAnswer struct{ Status, Text, Schema, Example string }

// docsSchema is an object's fields, or the name of the schema that has them.
type docsSchema struct {
	Name, Text, Ref, Example string
	Fields                   []docsField
}

type docsField struct {
	Name, Type, Ref, Text string
	Required              bool
}

// groups sorts operations by their first tag, in the document's order; webhooks come after the paths.
func (d *openapiDoc) groups() []docsGroup {
	list := make([]docsGroup, len(d.Tags))
	for i, tag := range d.Tags {
		list[i] = docsGroup{Name: tag.Name, Text: tag.Description}
	}
	add := func(path string, item openapiItem, hook bool) {
		for _, m := range item.operations() {
			o := d.operation(m.method, path, item, m.op)
			if hook {
				o.Method, o.Access = "EVENT", "signed"
			}
			for i := range list {
				if slices.Contains(m.op.Tags, list[i].Name) {
					list[i].Operations = append(list[i].Operations, o)
				}
			}
		}
	}
	for _, p := range d.Paths {
		add(p.name, p.value, false)
	}
	for _, w := range d.Webhooks {
		add(w.name, w.value, true)
	}
	return list
}

func (d *openapiDoc) operation(method, path string, item openapiItem, o *openapiOperation) docsOperation {
	out := docsOperation{ID: o.OperationID, Method: method, Path: path, Summary: o.Summary, Text: o.Description, Access: o.access()}
	for _, p := range slices.Concat(item.Parameters, o.Parameters) {
		if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
			p, _ = d.Components.Parameters.find(name)
		}
		f := fieldOf(p.Name, &p.Schema, p.Required)
		f.Type, f.Text = f.Type+" · "+p.In, p.Description
		out.Parameters = append(out.Parameters, f)
	}
	if content, ok := o.RequestBody.Content.find("application/json"); ok {
		body := schemaOf("", &content.Schema)
		body.Example = indented(content.Example)
		if len(body.Fields) > 0 || body.Ref != "" {
			out.Body = &body
		}
	}
	for _, r := range o.Responses {
		out.Answers = append(out.Answers, d.answer(r.name, r.value))
	}
	return out
}

func (d *openapiDoc) answer(status string, r openapiResponse) docsAnswer {
	if name, ok := strings.CutPrefix(r.Ref, "#/components/responses/"); ok {
		r, _ = d.Components.Responses.find(name)
	}
	a := docsAnswer{Status: status, Text: r.Description}
	if content, ok := r.Content.find("application/json"); ok {
		a.Schema = content.Schema.resource()
		if strings.HasPrefix(status, "2") {
			a.Example = indented(content.Example)
		}
	}
	return a
}

func (d *openapiDoc) schemas() []docsSchema {
	var list []docsSchema
	for _, s := range d.Components.Schemas {
		list = append(list, schemaOf(s.name, &s.value))
	}
	return list
}

func schemaOf(name string, s *openapiSchema) docsSchema {
	out := docsSchema{Name: name, Text: s.Description, Ref: s.schemaName()}
	if len(s.Properties) == 0 && out.Ref == "" {
		out.Text = strings.TrimSpace(s.typeName() + " " + s.Description)
	}
	for _, p := range s.Properties {
		out.Fields = append(out.Fields, fieldOf(p.name, &p.value, slices.Contains(s.Required, p.name)))
	}
	return out
}

func fieldOf(name string, s *openapiSchema, required bool) docsField {
	return docsField{Name: name, Type: s.typeName(), Ref: s.anySchemaName(), Text: s.Description, Required: required}
}

func indented(example json.RawMessage) string {
	var out bytes.Buffer
	if len(example) == 0 || json.Indent(&out, example, "", "  ") != nil {
		return ""
	}
	return out.String()
}
