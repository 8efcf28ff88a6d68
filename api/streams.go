package api

import (
	"maps"
	"net/http"
	"slices"

	"github.com/trunkline/trunkline/store"
)

type streamAttributes struct {
	Source         string          `json:"source"`
	Stream         string          `json:"stream"`
	Account        string          `json:"account"`
	Capability     string          `json:"capability"`
	CoveredFrom    *string         `json:"coveredFrom"`
	CoveredThrough *string         `json:"coveredThrough"`
	LagSec         *int64          `json:"lagSec"`
	Holes          int             `json:"holes"`
	OpenWalks      int             `json:"openWalks"`
	LastSuccessAt  *string         `json:"lastSuccessAt"`
	LastError      *string         `json:"lastError"`
	LastErrorAt    *string         `json:"lastErrorAt"`
	Warning        *string         `json:"warning"`
	SweptAt        *string         `json:"sweptAt"`
	LastWalk       *walkAttributes `json:"lastWalk"`
}

type walkAttributes struct {
	ID         string  `json:"id"`
	Kind       string  `json:"kind"`
	State      string  `json:"state"`
	Rows       int64   `json:"rows"`
	FinishedAt *string `json:"finishedAt"`
}

func streamResource(st *store.StreamStatus) resource {
	attributes := streamAttributes{
		Source: string(st.Key.Source), Stream: st.Key.Stream, Account: st.Key.Account, Capability: st.Capability,
		CoveredThrough: formatSet(st.CoveredThrough), Holes: st.Holes, OpenWalks: st.OpenWalks,
		LastSuccessAt: formatSet(st.LastSuccessAt), LastError: textPtr(st.LastError), LastErrorAt: formatSet(st.LastErrorAt),
		Warning: textPtr(st.Warning), SweptAt: formatSet(st.SweptAt),
	}
	if len(st.Covered) > 0 {
		attributes.CoveredFrom = formatSet(st.Covered[0].From)
	}
	if st.Lag > 0 {
		lag := int64(st.Lag.Seconds())
		attributes.LagSec = &lag
	}
	if st.LastWalkState != "" {
		attributes.LastWalk = &walkAttributes{
			st.LastWalk.String(), st.LastWalkKind, st.LastWalkState, st.LastWalkRows, formatSet(st.LastWalkEndsAt),
		}
	}
	id := string(st.Key.Source) + "." + st.Key.Stream
	if st.Key.Account != store.DefaultAccount {
		id += "." + st.Key.Account
	}
	return resource{ID: id, Type: "stream", Attributes: attributes}
}

// listStreams is GET /v1/sync/streams: all of them on one page, for they are few.
func (s *Server) listStreams(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := query(r)
	defer cancel()
	streams, err := s.cfg.Backfills.Streams(ctx, organisation(r))
	if err != nil {
		return err
	}
	data := make([]resource, len(streams))
	for i := range streams {
		data[i] = streamResource(&streams[i])
	}
	return writePage(w, r, paging{page: 1, limit: max(len(data), 1)}, int64(len(data)), data, nil)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
