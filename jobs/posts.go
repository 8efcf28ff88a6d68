package jobs

import (
	"fmt"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// PostReaders hold what the drain makes of the posts of each source.
type PostReaders map[pipeline.Source]func(store.Post) ([]store.InboxFact, error)

// ReadPosts returns what the drain of the inbox makes of posts, each read by its own source's reader.
func ReadPosts(readers PostReaders) func(store.Post) ([]store.InboxFact, error) {
	return func(p store.Post) ([]store.InboxFact, error) {
		read, ok := readers[pipeline.Source(p.Source)]
		if !ok {
			return nil, fmt.Errorf("no package reads posts of source %s", p.Source)
		}
		return read(p)
	}
}
