package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// openapiDoc is as much of the document as the reference page shows.
type openapiDoc struct {
	Info struct{ Title, Version, Description string }
	Tags []struct{ Name, Description string }

	Paths, Webhooks inOrder[openapiItem]
	Components      struct {
		Parameters inOrder[openapiParameter]
		Responses  inOrder[openapiResponse]
		Schemas    inOrder[openapiSchema]
	}
}

type openapiItem struct {
	Parameters               []openapiParameter
	Get, Post, Patch, Delete *openapiOperation
}

type methodOperation struct {
	method string
	op     *openapiOperation
}

func (i *openapiItem) operations() []methodOperation {
	var list []methodOperation
	for _, m := range []methodOperation{{"GET", i.Get}, {"POST", i.Post}, {"PATCH", i.Patch}, {"DELETE", i.Delete}} {
		if m.op != nil {
			list = append(list, m)
		}
	}
	return list
}

type openapiOperation struct {
	OperationID, Summary, Description string
	Tags                              []string
	Parameters                        []openapiParameter
	RequestBody                       struct{ Content inOrder[openapiContent] }
	Responses                         inOrder[openapiResponse]
	// Security is nil for the document's own, empty for none.
	Security *[]map[string][]string
}

// access says in words who may call it.
func (o *openapiOperation) access() string {
	if o.Security == nil {
		return "API key"
	}
	var names []string
	for _, choice := range *o.Security {
		for name := range choice {
			names = append(names, map[string]string{"apiKey": "API key", "adminToken": "admin token"}[name])
		}
		if len(choice) == 0 {
			names = append(names, "the machine itself")
		}
	}
	if len(names) == 0 {
		return "no key"
	}
	return strings.Join(names, " or ")
}

type openapiParameter struct {
	Ref                   string `json:"$ref"`
	Name, In, Description string
	Required              bool
	Schema                openapiSchema
}

type openapiResponse struct {
	Ref         string `json:"$ref"`
	Description string
	Content     inOrder[openapiContent]
}

type openapiContent struct {
	Schema  openapiSchema
	Example json.RawMessage
}

type openapiSchema struct {
	Ref                 string `json:"$ref"`
	Type                any
	Format, Description string
	Const               any
	Enum                []any
	Items               *openapiSchema
	AnyOf               []openapiSchema
	Properties          inOrder[openapiSchema]
	Required            []string
}

func (s *openapiSchema) schemaName() string {
	name, _ := strings.CutPrefix(s.Ref, "#/components/schemas/")
	return name
}

// anySchemaName finds the schema that a field holds, alone, in a list or beside null.
func (s *openapiSchema) anySchemaName() string {
	if name := s.schemaName(); name != "" || s.Items == nil && len(s.AnyOf) == 0 {
		return name
	}
	if s.Items != nil {
		return s.Items.anySchemaName()
	}
	return s.AnyOf[0].anySchemaName()
}

// resource names the schema of an answer: of its data, where it has the envelope.
func (s *openapiSchema) resource() string {
	if data, ok := s.Properties.find("data"); ok {
		return data.anySchemaName()
	}
	return s.schemaName()
}

// typeName says in words what a value is.
func (s *openapiSchema) typeName() string {
	var parts []string
	switch t := s.Type.(type) {
	case string:
		parts = append(parts, t)
	case []any:
		for _, one := range t {
			parts = append(parts, fmt.Sprint(one))
		}
	}
	for _, choice := range s.AnyOf {
		parts = append(parts, choice.typeName())
	}
	text := strings.Join(parts, " or ")
	if s.Items != nil {
		text += " of " + s.Items.typeName()
	}
	if text == "" || strings.HasSuffix(text, " of ") {
		text += s.anySchemaName()
	}
	if s.Format != "" {
		text += " (" + s.Format + ")"
	}
	if s.Const != nil {
		text += fmt.Sprintf(": %v", s.Const)
	}
	if len(s.Enum) > 0 {
		text += ": " + strings.ReplaceAll(strings.Trim(fmt.Sprint(s.Enum), "[]"), " ", ", ")
	}
	return strings.TrimSpace(strings.ReplaceAll(text, "<nil>", "null"))
}

// inOrder is a JSON object whose members keep their order.
type inOrder[V any] []member[V]

type member[V any] struct {
	name  string
	value V
}

func (o inOrder[V]) find(name string) (V, bool) {
	for _, m := range o {
		if m.name == name {
			return m.value, true
		}
	}
	var none V
	return none, false
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *inOrder[V]) UnmarshalJSON(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		m := member[V]{name: fmt.Sprint(name)}
		if err := decoder.Decode(&m.value); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		*o = append(*o, m)
	}
	return nil
}
