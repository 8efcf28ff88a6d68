package store_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store/storetest"
)

// source is package store as it is written.
type source struct {
	t      *testing.T
	set    *token.FileSet
	files  []*ast.File
	consts map[string]ast.Expr
}

func readSource(t *testing.T) *source {
	t.Helper()
	s := &source{t: t, set: token.NewFileSet(), consts: map[string]ast.Expr{}}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(s.set, e.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		s.files = append(s.files, file)
		ast.Inspect(file, func(n ast.Node) bool {
			decl, ok := n.(*ast.GenDecl)
			if !ok || decl.Tok != token.CONST {
				return true
			}
			for _, spec := range decl.Specs {
				value := spec.(*ast.ValueSpec)
				for i, name := range value.Names {
					if i < len(value.Values) {
						s.consts[name.Name] = value.Values[i]
					}
				}
			}
			return true
		})
	}
	return s
}

// text is the value of a constant of text.
func (s *source) text(e ast.Expr) string {
	s.t.Helper()
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			return text
		}
	case *ast.BinaryExpr:
		return s.text(e.X) + s.text(e.Y)
	case *ast.Ident:
		if value, ok := s.consts[e.Name]; ok {
			return s.text(value)
		}
	}
	s.t.Fatalf("%s: a statement is put together of more than constants", s.set.Position(e.Pos()))
	return ""
}

// statements are the constants whose names end in SQL.
func (s *source) statements() map[string]string {
	s.t.Helper()
	found := map[string]string{}
	for name, value := range s.consts {
		if strings.HasSuffix(name, "SQL") {
			found[name] = s.text(value)
		}
	}
	if len(found) < 100 {
		s.t.Fatalf("only %d statements were found", len(found))
	}
	return found
}

// TestEveryStatementPrepares finds misspelt tables and columns, and parameters whose type Postgres cannot tell, in every
// statement of the package, whether another test runs it or not.
func TestEveryStatementPrepares(t *testing.T) {
	t.Parallel()
	conn, err := storetest.DB(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for name, sql := range readSource(t).statements() {
		// As pgx itself rewrites names, whatever their values.
		rewritten, _, err := pgx.NamedArgs{}.RewriteQuery(t.Context(), conn.Conn(), sql, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := conn.Conn().Prepare(t.Context(), name, rewritten); err != nil {
			t.Errorf("%s: %v\n%s", name, err, sql)
		}
	}
}

var namedArg = regexp.MustCompile(`(^|[^@\w])@([a-zA-Z_]\w*)`)

// TestStatementsGetTheirArguments compares the names in a statement with those that its callers give, where they give them
// in place: pgx.StrictNamedArgs refuses one too many or too few only when the statement runs.
func TestStatementsGetTheirArguments(t *testing.T) {
	t.Parallel()
	s := readSource(t)
	statements := s.statements()
	checked := 0
	for _, file := range s.files {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			for i := range call.Args {
				name, ok := call.Args[i].(*ast.Ident)
				if !ok || statements[name.Name] == "" || i+1 >= len(call.Args) {
					continue
				}
				args, ok := call.Args[i+1].(*ast.CompositeLit)
				if !ok || !named(args) {
					continue
				}
				checked++
				var given, wanted []string
				for _, element := range args.Elts {
					given = append(given, s.text(element.(*ast.KeyValueExpr).Key))
				}
				for _, match := range namedArg.FindAllStringSubmatch(statements[name.Name], -1) {
					wanted = append(wanted, match[2])
				}
				slices.Sort(wanted)
				slices.Sort(given)
				if diff := cmp.Diff(slices.Compact(wanted), given, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s: %s (-in the statement +given):\n%s", s.set.Position(call.Pos()), name.Name, diff)
				}
			}
			return true
		})
	}
	if checked < 80 {
		t.Errorf("only %d calls were found", checked)
	}
}

func named(lit *ast.CompositeLit) bool {
	selector, ok := lit.Type.(*ast.SelectorExpr)
	return ok && selector.Sel.Name == "StrictNamedArgs"
}
