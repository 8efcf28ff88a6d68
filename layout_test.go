// Package trunkline_test checks the shape of the whole tree: names that are not to be used and the direction of imports.
package trunkline_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/trunkline/trunkline"

// pkg is what `go list` says of a package, its path shortened to what follows the module's.
type pkg struct {
	ImportPath string
	Name       string
	GoFiles    []string
	Imports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Name,GoFiles,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		list = append(list, p)
	}
}

func TestPackageNames(t *testing.T) {
	t.Parallel()
	banned := []string{"sync", "util", "utils", "common", "models", "model", "types", "helpers", "http", "vendor"}
	list := packages(t)
	if len(list) < 5 {
		t.Fatalf("go list found only %d packages", len(list))
	}
	for _, p := range list {
		if slices.Contains(banned, p.Name) {
			t.Errorf("%s is called %s: name it after what it does", p.ImportPath, p.Name)
		}
		if p.ImportPath == module+"/sync" && len(p.GoFiles) > 0 {
			t.Errorf("the folder sync holds packages only, found %v", p.GoFiles)
		}
	}
}

// rule says what the packages at or below a folder may import of ours (nil: nothing), and what they may not import of others.
type rule struct {
	folders []string
	ours    []string
	not     []string
}

var vendorFolders = []string{"sync/ipscape", "sync/dialedin", "sync/convolo", "sync/convoso", "sync/lendworks"}

func rules() []rule {
	const river, pgx = "github.com/riverqueue", "github.com/jackc"
	return []rule{
		{folders: []string{"sync/pipeline"}, not: []string{river, pgx, "net/http", "database/sql"}},
		{folders: []string{"sync/tracing"}, not: []string{river, pgx, "database/sql"}},
		{folders: []string{"sync/vendorapi"}, ours: []string{"sync/pipeline", "sync/tracing"}, not: []string{river, pgx, "database/sql"}},
		{folders: vendorFolders, ours: []string{"sync/pipeline", "sync/vendorapi"}, not: []string{river, pgx, "database/sql"}},
		{folders: []string{"sync/walk", "sync/deliver"}, ours: []string{"sync/pipeline", "sync/tracing", "sync/vendorapi"}, not: []string{river}},
		{folders: []string{"sync/apiwrite"}, ours: []string{"sync/pipeline"}, not: []string{river, pgx, "net/http", "database/sql"}},
		{folders: []string{"sync/webhook"}, ours: []string{"sync/pipeline", "sync/tracing", "sync/vendorapi", "sync/keyfile"}, not: []string{river, pgx, "database/sql"}},
		{folders: []string{"migrations", "store/embedded", "sync/keyfile"}},
		{folders: []string{"sync/erasure"}, ours: []string{"sync/keyfile"}},
		{folders: []string{"store/storetest"}, ours: []string{"migrations", "store"}},
		{folders: []string{"store"}, ours: []string{"sync/pipeline", "sync/tracing", "migrations", "store"}},
		{folders: []string{"sync/sandbox"}, ours: append([]string{"sync/pipeline", "sync/vendorapi", "sync/apiwrite", "sync/operator"}, vendorFolders...), not: []string{river, pgx}},
		{folders: []string{"jobs"}, ours: []string{"jobs", "sync", "store"}},
		{folders: []string{"api"}, ours: []string{"api", "sync", "store"}, not: []string{river}},
	}
}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		folder := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		governing := slices.IndexFunc(rules(), func(r rule) bool { return below(folder, r.folders) })
		for _, imported := range p.Imports {
			ours, isOurs := strings.CutPrefix(imported, module+"/")
			switch {
			case isOurs && ours == "store/storetest":
				t.Errorf("%s imports %s, which is for tests", folder, ours)
			case isOurs && ours == "sync/sandbox" && !below(folder, []string{"cmd", "sync/sandbox"}):
				t.Errorf("%s imports %s, which is for cmd and the tests", folder, ours)
			case governing < 0:
			case isOurs && !below(ours, rules()[governing].ours) && !sameSubtree(folder, ours, rules()[governing]):
				t.Errorf("%s imports %s: against the direction of imports", folder, ours)
			case !isOurs && below(imported, rules()[governing].not):
				t.Errorf("%s imports %s: not its business", folder, imported)
			}
		}
	}
}

// below says whether a path is one of the folders or lies in one.
func below(p string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool {
		return p == folder || strings.HasPrefix(p, folder+"/")
	})
}

// sameSubtree lets a package be cut into subpackages: sync/ipscape may import sync/ipscape/internal/x, never sync/convoso.
func sameSubtree(from, to string, r rule) bool {
	return slices.ContainsFunc(r.folders, func(folder string) bool {
		return below(from, []string{folder}) && below(to, []string{folder})
	}) && path.Base(to) != "storetest"
}
