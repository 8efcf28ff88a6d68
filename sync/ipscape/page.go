package ipscape

import (
	"encoding/json"
	"fmt"
)

// Limits of one answer.
const (
	maxPageBytes = 256 << 20
	maxItemBytes = 8 << 20
	// maxItemHead is how much of an item that is too large is handed out.
	maxItemHead = 64 << 10
	// maxMetadata and maxKey are far beyond what the vendor sends.
	maxMetadata = 64 << 10
	maxKey      = 1 << 10
)

// limits of the answers read; tests make them small.
type limits struct{ page, item int64 }

// page reads one answer of a list. It knows nothing of HTTP.
type page struct {
	scan  *scanner
	limit limits
	// cursor turns a nextUri into a cursor.
	cursor func(nextURI string) (string, error)
	onNext func(cursor string)
	emit   func(raw json.RawMessage, bad *ItemError) error

	next                  string
	items                 int
	listed, metadataFound bool
	// pageNo, inPage and perPage are what campaigns have in place of metadata (contracts/ipscape.md 5.2).
	pageNo, inPage, perPage number
	// keys are some names of members, to tell a list from something else.
	keys []string
}

// handlerError is an error of the caller's own emit, on its way back to the caller.
type handlerError struct{ err error }

func (e *handlerError) Error() string { return e.err.Error() }
func (e *handlerError) Unwrap() error { return e.err }

// read consumes the whole answer, to its very end: only there does a missing rest show.
func (p *page) read() error {
	if err := p.scan.expect('{'); err != nil {
		return err
	}
	if err := p.members(); err != nil {
		return err
	}
	if err := p.scan.ended(); err != nil {
		return err
	}
	if !p.listed {
		return malformed("answer has neither items nor data")
	}
	return nil
}

// members reads the object's members, its closing bracket included.
func (p *page) members() error {
	c, err := p.scan.need()
	if err == nil && c == '}' {
		p.scan.pos++
		return nil
	}
	for err == nil {
		if err = p.member(); err != nil {
			break
		}
		if c, err = p.scan.need(); err != nil {
			break
		}
		p.scan.pos++
		switch c {
		case '}':
			return nil
		case ',':
		default:
			return malformed("a comma is missing between members")
		}
	}
	return err
}

func (p *page) member() error {
	c, err := p.scan.need()
	if err != nil {
		return err
	}
	if c != '"' {
		return malformed("a member has no name")
	}
	raw, size, err := p.scan.value(maxKey)
	if err != nil {
		return err
	}
	if err := p.scan.expect(':'); err != nil {
		return err
	}
	key := ""
	if size <= maxKey {
		key = unquote(raw)
	}
	if len(p.keys) < 8 {
		p.keys = append(p.keys, key[:min(len(key), 24)])
	}
	switch key {
	case "items", "data":
		return p.list(key)
	case "metadata":
		return p.metadata()
	case "pageNo":
		return p.count(&p.pageNo)
	case "inPage":
		return p.count(&p.inPage)
	case "perPage":
		return p.count(&p.perPage)
	}
	_, _, err = p.scan.value(0)
	return err
}

// count reads a number of the page shape. One that cannot be read counts as absent: cursor lists have no such thing.
func (p *page) count(into *number) error {
	raw, size, err := p.scan.value(maxKey)
	if err != nil {
		return err
	}
	if v, ok := parseNumber(raw); ok && size <= maxKey && v >= 0 {
		*into = number{v, true}
	}
	return nil
}

// metadata looks for the next page. Whatever is not understood is an error: taken for the end of the walk, it would make the
// rest of the window look read.
func (p *page) metadata() error {
	raw, size, err := p.scan.value(maxMetadata)
	switch {
	case err != nil:
		return err
	case size > maxMetadata:
		return malformed("metadata is too large")
	case p.metadataFound:
		return malformed("metadata comes twice")
	}
	p.metadataFound = true
	if string(raw) == "null" || emptyList(raw) {
		return nil
	}
	var meta struct {
		NextURI *string `json:"nextUri"`
	}
	if json.Unmarshal(raw, &meta) != nil {
		return malformed("metadata cannot be read")
	}
	if meta.NextURI == nil || *meta.NextURI == "" {
		return nil
	}
	if p.next, err = p.cursor(*meta.NextURI); err != nil {
		return err
	}
	if p.onNext != nil {
		p.onNext(p.next)
	}
	return nil
}

func (p *page) list(key string) error {
	c, err := p.scan.need()
	if err != nil {
		return err
	}
	if c != '[' {
		return malformed("%s is no list", key)
	}
	p.scan.pos++
	p.listed = true
	if c, err = p.scan.need(); err != nil {
		return err
	}
	if c == ']' {
		p.scan.pos++
		return nil
	}
	for {
		if err := p.item(); err != nil {
			return err
		}
		if c, err = p.scan.need(); err != nil {
			return err
		}
		p.scan.pos++
		switch c {
		case ']':
			return nil
		case ',':
		default:
			return malformed("a comma is missing between items")
		}
	}
}

func (p *page) item() error {
	raw, size, err := p.scan.value(p.limit.item)
	if err != nil {
		return err
	}
	p.items++
	var bad *ItemError
	if size > p.limit.item {
		raw = append([]byte(nil), raw[:min(len(raw), maxItemHead)]...)
		bad = &ItemError{Reason: ReasonTooLarge, Err: fmt.Errorf("%d bytes, %d are allowed", size, p.limit.item)}
	}
	if err := p.emit(raw, bad); err != nil {
		return &handlerError{err}
	}
	return nil
}
