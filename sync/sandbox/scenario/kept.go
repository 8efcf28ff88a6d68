package scenario

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// object is what a record is a version of.
type object struct {
	source     pipeline.Source
	stream, id string
}

// Kept is what there is of each object once observations have landed: what ops.records must hold, by the laws and without a
// database.
type Kept map[object]look

// look is the latest observation of an object, and the furthest time ahead of our clock that was told of it, with the first
// observation that told it; zero for none.
type look struct {
	pipeline.Record
	ahead, seen time.Time
}

// Land keeps the latest observation of an object, its first sight, and the furthest time ahead of our clock (laws 3 and 4).
func (k Kept) Land(r pipeline.Record) {
	now := look{Record: r}
	now.Payload, now.FirstSeenAt = canonical(r.Payload), r.ObservedAt
	if r.SourceTime.After(r.ObservedAt) {
		now.ahead, now.seen = r.SourceTime, r.ObservedAt
	}
	name := object{r.Source, r.Stream, r.ObjectID}
	if old, ok := k[name]; ok {
		if old.ahead.After(now.ahead) || old.ahead.Equal(now.ahead) && old.seen.Before(now.seen) {
			now.ahead, now.seen = old.ahead, old.seen
		}
		if old.FirstSeenAt.Before(now.FirstSeenAt) {
			now.FirstSeenAt = old.FirstSeenAt
		}
		if old.ObservedAt.After(r.ObservedAt) {
			old.ahead, old.seen, old.FirstSeenAt = now.ahead, now.seen, now.FirstSeenAt
			now = old
		}
	}
	k[name] = now
}

// Fold folds what is kept.
func (k Kept) Fold(read func(*pipeline.Record) (pipeline.Facts, error)) (pipeline.Result, error) {
	told := make([]pipeline.Told, 0, len(k))
	for _, l := range k {
		r := l.Record
		switch {
		case !r.SourceTime.IsZero() && r.SourceTime.Equal(l.ahead):
			r.SourceTime = l.seen
		case r.SourceTime.After(r.ObservedAt):
			r.SourceTime = r.ObservedAt
		}
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
