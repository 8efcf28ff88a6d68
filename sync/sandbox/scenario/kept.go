package scenario

import (
	"bytes"
	"encoding/json"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// object is what a record is a version of.
type object struct {
	source     pipeline.Source
	stream, id string
}

// Kept is what there is of each object once observations have landed: what ops.records must hold, by the laws and without a
// database.
type Kept map[object]pipeline.Record

// Land keeps the latest observation of an object, its first sight, and the source's time as it was when these words were first
// told (laws 3 and 4).
func (k Kept) Land(r pipeline.Record) {
	r.Payload = canonical(r.Payload)
	r.FirstSeenAt = r.ObservedAt
	if r.SourceTime.After(r.ObservedAt) {
		r.SourceTime = r.ObservedAt
	}
	name := object{r.Source, r.Stream, r.ObjectID}
	if old, ok := k[name]; ok {
		first, told := old.FirstSeenAt, old.SourceTime
		if r.ObservedAt.Before(first) {
			first = r.ObservedAt
		}
		if r.SourceTime.Before(told) {
			told = r.SourceTime
		}
		same := bytes.Equal(old.Payload, r.Payload)
		if old.ObservedAt.After(r.ObservedAt) {
			r = old
		}
		r.FirstSeenAt = first
		if same {
			r.SourceTime = told
		}
	}
	k[name] = r
}

// Fold folds what is kept.
func (k Kept) Fold(read func(*pipeline.Record) (pipeline.Facts, error)) (pipeline.Result, error) {
	told := make([]pipeline.Told, 0, len(k))
	for _, r := range k {
		facts, err := read(&r)
		if err != nil {
			return pipeline.Result{}, err
		}
		told = append(told, pipeline.TellOf(&r, facts))
	}
	return pipeline.Fold(told, pipeline.Rules{}), nil
}

// canonical is the JSON without the way it is spelt, as jsonb keeps it.
func canonical(payload []byte) []byte {
	var value any
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	must(d.Decode(&value))
	return jsonOf(value)
}
