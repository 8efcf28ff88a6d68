package pipeline

import (
	"slices"
	"strings"
)

// NameFields are the fields that name a person.
func NameFields() []Field { return []Field{FieldContactFirstName, FieldContactLastName} }

// namesByPart are the names that the parts of one lead were given, by part and field. A phone is enough to show two leads as one
// here, but not to give one person another's name at a vendor.
type namesByPart map[int]map[Field][]string

// other adds the names of a fact, and tells whether another part has another one.
func (n namesByPart) other(part int, f *LeadFact) bool {
	differs := false
	for _, field := range NameFields() {
		name := strings.ToLower(strings.Join(strings.Fields(f.Fields[field]), " "))
		if name == "" {
			continue
		}
		if n[part] == nil {
			n[part] = map[Field][]string{}
		}
		n[part][field] = append(n[part][field], name)
		for of, names := range n {
			differs = differs || of != part && slices.ContainsFunc(names[field], func(other string) bool { return other != name })
		}
	}
	return differs
}
