package tokenring_test

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExportedSurface compares what the packages export with testdata/api.txt, so
// that no change of it goes unseen: a line that is removed or changed breaks
// users. After an intended change run: go test -run ExportedSurface -update .
func TestExportedSurface(t *testing.T) {
	got := strings.Join(exportedSurface(t), "\n") + "\n"
	golden(t, "testdata/api.txt", got)
}

// exportedSurface lists each exported declaration of each package outside
// examples, one a line, sorted. All modules count.
func exportedSurface(t *testing.T) []string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(".", func(dir string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		switch name := entry.Name(); {
		case dir == ".":
		case strings.HasPrefix(name, "."), name == "testdata", name == "internal", name == "examples", name == "peerbench", name == "generate", name == "docs":
			return fs.SkipDir
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			return err
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			fset := token.NewFileSet()
			parsed, err := parser.ParseFile(fset, file, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, decl := range parsed.Decls {
				for _, line := range exported(fset, decl) {
					lines = append(lines, path.Clean(filepath.ToSlash(dir))+": "+line)
				}
			}
		}
		return nil
	})
	require.NoError(t, err)
	slices.Sort(lines)
	return slices.Compact(lines) // a function of two build constraints counts once
}

// exported renders what a declaration exports, each on one line.
func exported(fset *token.FileSet, decl ast.Decl) []string {
	var lines []string
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if !d.Name.IsExported() || d.Recv != nil && !exportedReceiver(d.Recv.List[0].Type) {
			return nil
		}
		lines = append(lines, oneLine(fset, &ast.FuncDecl{Recv: d.Recv, Name: d.Name, Type: d.Type}))
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					lines = append(lines, exportedType(fset, s)...)
				}
			case *ast.ValueSpec:
				for _, name := range s.Names {
					if name.IsExported() {
						lines = append(lines, d.Tok.String()+" "+name.Name)
					}
				}
			}
		}
	}
	return lines
}

// exportedType renders a type, and each field or method of it by itself.
func exportedType(fset *token.FileSet, s *ast.TypeSpec) []string {
	head := "type " + s.Name.Name
	var members *ast.FieldList
	switch t := s.Type.(type) {
	case *ast.StructType:
		members, head = t.Fields, head+" struct"
	case *ast.InterfaceType:
		members, head = t.Methods, head+" interface"
	default:
		return []string{head + " " + oneLine(fset, s.Type)}
	}
	lines := []string{head}
	for _, f := range members.List {
		if len(f.Names) == 0 {
			lines = append(lines, head+", "+oneLine(fset, f.Type))
		}
		for _, name := range f.Names {
			if name.IsExported() {
				lines = append(lines, head+", "+name.Name+" "+oneLine(fset, f.Type))
			}
		}
	}
	return lines
}

func exportedReceiver(t ast.Expr) bool {
	for {
		switch e := t.(type) {
		case *ast.StarExpr:
			t = e.X
		case *ast.IndexExpr:
			t = e.X
		case *ast.IndexListExpr:
			t = e.X
		case *ast.Ident:
			return e.IsExported()
		default:
			return false
		}
	}
}

// oneLine renders a node without comments on a single line.
func oneLine(fset *token.FileSet, node any) string {
	var b bytes.Buffer
	if err := format.Node(&b, fset, node); err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
