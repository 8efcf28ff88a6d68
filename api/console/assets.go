package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strings"

	"github.com/trunkline/trunkline/store"
)

//go:embed assets/*
var assetFiles embed.FS

// asset is a file that the pages name by what it holds, so that a browser may keep it.
type asset struct {
	name, kind string
	body       []byte
}

var assetKinds = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// readAssets returns the files by the names under which they are served.
func readAssets() (map[string]asset, error) {
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		return nil, fmt.Errorf("reading the page's files: %w", err)
	}
	assets := map[string]asset{}
	for _, e := range entries {
		body, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("reading the page's files: %w", err)
		}
		sum, ext := sha256.Sum256(body), path.Ext(e.Name())
		name := strings.TrimSuffix(e.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
		assets[name] = asset{e.Name(), assetKinds[ext], body}
	}
	return assets, nil
}

// assetPath is where a file is served.
func (s *Site) assetPath(file string) (string, error) {
	for name, a := range s.assets {
		if a.name == file {
			return "/assets/" + name, nil
		}
	}
	return "", fmt.Errorf("the page has no file %s", file)
}

func (s *Site) asset(w http.ResponseWriter, r *http.Request) error {
	a, ok := s.assets[r.PathValue("name")]
	if !ok {
		return store.ErrNotFound
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(a.body)
	return nil
}
